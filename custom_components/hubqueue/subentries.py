"""What workers and uplinks of an entry do while it is loaded. `__init__.py` starts it; feeds: `keeping.py`."""

from __future__ import annotations

from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.start import async_at_started

from . import uplink
from .coordinator import HubqueueConfigEntry
from .runs import Runs
from .subentry_worker import SUBENTRY_WORKER, SubentryWorker


@callback
def workers_of(hass: HomeAssistant, entry: ConfigEntry[Any], runs: Runs) -> dict[str, SubentryWorker]:
    """Those of an entry, by subentry."""
    return {
        subentry.subentry_id: SubentryWorker(hass, runs, subentry)
        for subentry in entry.subentries.values()
        if subentry.subentry_type == SUBENTRY_WORKER
    }


@callback
def async_start_subentries(hass: HomeAssistant, entry: HubqueueConfigEntry) -> None:
    """Until the entry is unloaded."""

    async def start_workers(_: HomeAssistant) -> None:
        """Their actions are those of integrations that may not be there yet."""
        for worker in entry.runtime_data.workers.values():
            await worker.async_start()
            entry.async_on_unload(worker.async_stop)

    entry.async_on_unload(async_at_started(hass, start_workers))


async def async_forget_subentries(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """The entry was removed."""
    await uplink.async_forget(hass, entry)
