"""Repairs: what a person should look at, with a way out; each goes by itself when its reason is gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import probatio as vol
from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .const import CONF_DEAD_LETTERS, DEFAULT_DEAD_LETTERS, DOMAIN
from .coordinator import HubqueueConfigEntry
from .errors import HubError
from .snapshot import Snapshot
from .uplink import uplinks_of

NEARLY_FULL_BYTES: Final = 200 * 1024 * 1024

type Issues = dict[str, Callable[[], None]]


@callback
def async_watch(hass: HomeAssistant, entry: HubqueueConfigEntry) -> CALLBACK_TYPE:
    """Keep the issues of an entry as its snapshot demands; the answer stops that and takes them back."""
    coordinator = entry.runtime_data.coordinator
    raised: set[str] = set()

    @callback
    def look() -> None:
        if not coordinator.last_update_success:
            return
        wanted = _issues(hass, entry, coordinator.data)
        for issue in raised - wanted.keys():
            ir.async_delete_issue(hass, DOMAIN, issue)
        for issue in wanted.keys() - raised:
            wanted[issue]()
        raised.clear()
        raised.update(wanted)

    @callback
    def stop() -> None:
        for unsubscribe in unsubscribes:
            unsubscribe()
        for issue in raised:
            ir.async_delete_issue(hass, DOMAIN, issue)

    data = entry.runtime_data
    told = [feed.listeners for feed in data.feeds.by_id.values()] + [each.listeners for each in data.workers.values()]
    unsubscribes = [coordinator.async_add_listener(look), *(each.add(look) for each in told)]
    look()
    return stop


def _issues(hass: HomeAssistant, entry: HubqueueConfigEntry, snapshot: Snapshot) -> Issues:
    """The issues there should be, by their id."""
    issues: Issues = {}

    def want(key: str, thing: str, *, fixable: bool, severity: ir.IssueSeverity, **placeholders: str) -> None:
        issue = f"{key}_{entry.entry_id}_{thing}"
        issues[issue] = lambda: ir.async_create_issue(
            hass,
            DOMAIN,
            issue,
            is_fixable=fixable,
            severity=severity,
            translation_key=key,
            translation_placeholders={"hub": entry.title, **placeholders},
            data={"entry_id": entry.entry_id, **placeholders},
        )

    threshold = entry.options.get(CONF_DEAD_LETTERS, DEFAULT_DEAD_LETTERS)
    for queue in snapshot.queues.values():
        if threshold and queue.dead >= threshold:
            want("dead_letters", queue.name, fixable=True, severity=ir.IssueSeverity.WARNING, queue=queue.name)
    for link in snapshot.links.values():
        if link.alert:
            want(
                "uplink",
                link.name,
                fixable=False,
                severity=ir.IssueSeverity.ERROR,
                link=link.name,
                to=link.to,
                error=link.error or "-",
            )
    storage = snapshot.storage
    if storage.full or (storage.free_bytes is not None and storage.free_bytes < NEARLY_FULL_BYTES):
        free = "0" if storage.free_bytes is None else str(storage.free_bytes // 1024**2)
        want("disk", "disk", fixable=False, severity=ir.IssueSeverity.ERROR, free=free)
    for subentry_id, feed in entry.runtime_data.feeds.by_id.items():
        if dropped := feed.outbox.dropped:
            told = {"feed": feed.title, "count": str(dropped)}
            want(
                "overflow",
                subentry_id,
                fixable=True,
                severity=ir.IssueSeverity.WARNING,
                subentry_id=subentry_id,
                **told,
            )
    for subentry_id, worker in entry.runtime_data.workers.items():
        if not worker.valid:
            want("worker", subentry_id, fixable=False, severity=ir.IssueSeverity.ERROR, worker=worker.title)
    for subentry_id, name in uplinks_of(entry).items():
        if name not in snapshot.links:
            want("no_forwarder", subentry_id, fixable=False, severity=ir.IssueSeverity.ERROR, link=name)
    return issues


async def async_create_fix_flow(hass: HomeAssistant, issue_id: str, data: dict[str, Any] | None) -> RepairsFlow:
    """The way out of dead letters, and the end of what an overflow says."""
    assert data is not None
    if "subentry_id" in data:
        return Overflow(
            str(data["entry_id"]), str(data["subentry_id"]), {key: str(data[key]) for key in ("feed", "count")}
        )
    return DeadLetters(str(data["entry_id"]), str(data["queue"]))


class DeadLetters(RepairsFlow):
    """Retry the dead letters of a queue, or delete them."""

    def __init__(self, entry_id: str, queue: str) -> None:
        self._entry_id = entry_id
        self._queue = queue

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        return self.async_show_menu(
            step_id="init", menu_options=["retry", "purge"], description_placeholders={"queue": self._queue}
        )

    async def async_step_retry(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        return await self._do("RetryDlq")

    async def async_step_purge(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """What is deleted is gone: ask once more."""
        if user_input is None:
            return self.async_show_form(
                step_id="purge", data_schema=vol.Schema({}), description_placeholders={"queue": self._queue}
            )
        return await self._do("PurgeDlq")

    async def _do(self, cmd: str) -> RepairsFlowResult:
        entry: HubqueueConfigEntry | None = self.hass.config_entries.async_get_entry(self._entry_id)
        client = getattr(getattr(entry, "runtime_data", None), "client", None)
        if client is None:
            return self.async_abort(reason="cannot_connect")
        try:
            await client.call(cmd, queue=self._queue)
        except HubError:
            return self.async_abort(reason="cannot_connect")
        return self.async_create_entry(data={})


class Overflow(RepairsFlow):
    """Somebody has seen that jobs were lost: count from nothing again."""

    def __init__(self, entry_id: str, subentry_id: str, told: dict[str, str]) -> None:
        self._entry_id = entry_id
        self._subentry_id = subentry_id
        self._told = told

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        return await self.async_step_confirm()

    async def async_step_confirm(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        if user_input is None:
            return self.async_show_form(
                step_id="confirm", data_schema=vol.Schema({}), description_placeholders=self._told
            )
        entry: HubqueueConfigEntry | None = self.hass.config_entries.async_get_entry(self._entry_id)
        if entry is not None and (data := getattr(entry, "runtime_data", None)) is not None:
            data.feeds.by_id[self._subentry_id].outbox.forget_dropped()
        return self.async_create_entry(data={})
