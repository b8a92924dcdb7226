"""Diagnostics: counters, links and versions; never a payload, a token or an address of another hub."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from homeassistant.components.diagnostics import async_redact_data
from homeassistant.const import CONF_TOKEN, CONF_URL
from homeassistant.core import HomeAssistant
from homeassistant.helpers.device_registry import DeviceEntry

from .const import ATTR_QUEUE
from .coordinator import HubqueueConfigEntry
from .entity import part_of_device
from .feed import Feed
from .outbox import Outbox
from .outbox_entry import Tally
from .snapshot import Snapshot
from .subentry_worker import SubentryWorker

TO_REDACT: Final = {CONF_TOKEN, CONF_URL, "to", "error"}


async def async_get_config_entry_diagnostics(hass: HomeAssistant, entry: HubqueueConfigEntry) -> dict[str, Any]:
    """All that is known of a hub."""
    coordinator = entry.runtime_data.coordinator
    return {
        "entry": async_redact_data(dict(entry.data), TO_REDACT),
        "options": dict(entry.options),
        "subentries": [
            {"type": each.subentry_type, "queue": each.data.get(ATTR_QUEUE)} for each in entry.subentries.values()
        ],
        "outbox": _outbox(entry.runtime_data.keeping.outbox),
        "feeds": [_feed(feed) for feed in entry.runtime_data.keeping.feeds.by_id.values()],
        "workers": [_worker(worker) for worker in entry.runtime_data.workers.values()],
        "hub": asdict(coordinator.hub),
        "connected": coordinator.client.connected,
        "last_update_success": coordinator.last_update_success,
        "snapshot": _shown(coordinator.data),
    }


async def async_get_device_diagnostics(
    hass: HomeAssistant, entry: HubqueueConfigEntry, device: DeviceEntry
) -> dict[str, Any]:
    """What is known of one queue or forwarder; of the hub's own device: everything."""
    part = part_of_device(entry, device)
    if part is None:
        return await async_get_config_entry_diagnostics(hass, entry)
    kind, name = part
    snapshot = entry.runtime_data.coordinator.data
    state = snapshot.queues.get(name) if kind == "queue" else snapshot.links.get(name)
    return {kind: None if state is None else async_redact_data(asdict(state), TO_REDACT)}


def _shown(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "queues": {name: asdict(queue) for name, queue in snapshot.queues.items()},
        "links": {name: async_redact_data(asdict(link), TO_REDACT) for name, link in snapshot.links.items()},
        "storage": asdict(snapshot.storage),
    }


def _outbox(outbox: Outbox) -> dict[str, Any]:
    """What waits in Home Assistant, and what the hub would not take, in its words."""
    return {
        "waiting": outbox.waiting,
        "bytes": outbox.bytes,
        "held_up": outbox.errors(),
        "file_error": outbox.keeper.error,
        "actions": _tally(outbox.tallies[None]),
    }


def _feed(feed: Feed) -> dict[str, Any]:
    return {"title": feed.title, "queue": feed.rule.queue, **_tally(feed.tally)}


def _tally(tally: Tally) -> dict[str, Any]:
    return {
        "sent": tally.sent,
        "buffered": tally.waiting,
        "dropped": tally.dropped,
        "refused": tally.refused,
        "refusals": list(tally.words),
    }


def _worker(worker: SubentryWorker) -> dict[str, Any]:
    return {
        "title": worker.title,
        "valid": worker.valid,
        "completed": worker.completed,
        "failed": worker.failed,
        "released": worker.released,
    }
