"""Repairs: what a person should look at, with a way out; each goes by itself when its reason is gone."""

from __future__ import annotations

from typing import Any, Final

import probatio as vol
from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.translation import async_get_translations
from homeassistant.util import dt as dt_util

from . import pages
from .const import CONF_DEAD_LETTERS, DEFAULT_DEAD_LETTERS, DOMAIN
from .coordinator import HubqueueConfigEntry
from .errors import HubError
from .issues import Issue, Raised
from .keeping_repairs import Lost
from .snapshot import Message, Snapshot
from .uplink import uplinks_of

NEARLY_FULL_BYTES: Final = 200 * 1024 * 1024
MOST_GROUPS: Final = 5  # of dead letters that died of the same


@callback
def async_watch(hass: HomeAssistant, entry: HubqueueConfigEntry) -> CALLBACK_TYPE:
    """Keep the issues of an entry as its snapshot demands; the answer stops that and takes them back."""
    coordinator = entry.runtime_data.coordinator
    raised = Raised(hass)

    @callback
    def look() -> None:
        if coordinator.last_update_success:
            raised.keep(_issues(entry, coordinator.data))

    @callback
    def stop() -> None:
        for unsubscribe in unsubscribes:
            unsubscribe()
        raised.keep({})

    told = [worker.listeners for worker in entry.runtime_data.workers.values()]
    unsubscribes = [coordinator.async_add_listener(look), *(each.add(look) for each in told)]
    look()
    return stop


def _issues(entry: HubqueueConfigEntry, snapshot: Snapshot) -> dict[str, Issue]:
    """The issues there should be, by their id."""
    issues: dict[str, Issue] = {}

    def want(key: str, thing: str, *, severity: ir.IssueSeverity = ir.IssueSeverity.ERROR, **told: str) -> None:
        issues[f"{key}_{entry.entry_id}_{thing}"] = Issue(
            key,
            {"hub": entry.title, **told},
            {"entry_id": entry.entry_id, "thing": thing},
            fixable=key == "dead_letters",
            severity=severity,
        )

    threshold = entry.options.get(CONF_DEAD_LETTERS, DEFAULT_DEAD_LETTERS)
    for queue in snapshot.queues.values():
        if threshold and queue.dead >= threshold:
            warning = ir.IssueSeverity.WARNING
            want("dead_letters", queue.name, severity=warning, queue=queue.name, count=str(queue.dead))
    for link in snapshot.links.values():
        if link.alert:
            want("uplink", link.name, link=link.name, to=link.to, error=link.error or "-")
    storage = snapshot.storage
    if storage.full or (storage.free_bytes is not None and storage.free_bytes < NEARLY_FULL_BYTES):
        want("disk", "disk", free="0" if storage.free_bytes is None else str(storage.free_bytes // 1024**2))
    for subentry_id, worker in entry.runtime_data.workers.items():
        if not worker.valid:
            want("worker", subentry_id, worker=worker.title)
    for subentry_id, name in uplinks_of(entry).items():
        if name not in snapshot.links:
            want("no_forwarder", subentry_id, link=name)
    return issues


async def async_create_fix_flow(hass: HomeAssistant, issue_id: str, data: dict[str, Any] | None) -> RepairsFlow:
    """The way out of dead letters, and the end of what is said of losses."""
    assert data is not None
    if "lost_of" in data:
        return Lost(data)
    return DeadLetters({key: str(value) for key, value in data.items()})


class DeadLetters(RepairsFlow):
    """What the dead letters of a queue died of, and where they are; retry them, or delete them.

    told: what the issue said.
    """

    def __init__(self, told: dict[str, str]) -> None:
        self._told = told

    @property
    def _hub(self) -> HubqueueConfigEntry | None:
        """None: it is not set up now."""
        entry: HubqueueConfigEntry | None = self.hass.config_entries.async_get_entry(self._told["entry_id"])
        return entry if entry is not None and entry.state is ConfigEntryState.LOADED else None

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        queue, entry = self._told["queue"], self._hub
        if entry is None:
            return self.async_abort(reason="cannot_connect")
        try:
            found = await entry.runtime_data.client.call("DeadReasons", queue=queue)
        except HubError:
            return self.async_abort(reason="cannot_connect")
        self._told |= {
            "count": str(int(found["total"])),
            "errors": _errors(found["reasons"], await self._words()),
            "page": pages.of_dead_letters(entry, queue),
            "device": pages.of_queue(self.hass, entry, queue),
        }
        return self.async_show_menu(
            step_id="init", menu_options=["retry", "purge"], description_placeholders=self._told
        )

    async def _words(self) -> dict[str, str]:
        """The reasons in the language of the house; the frontend translates no parts of a text."""
        prefix = f"component.{DOMAIN}.selector.reason.options."
        texts = await async_get_translations(self.hass, self.hass.config.language, "selector", [DOMAIN])
        return {key.removeprefix(prefix): text for key, text in texts.items() if key.startswith(prefix)}

    async def async_step_retry(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        return await self._do("RetryDlq")

    async def async_step_purge(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """What is deleted is gone: ask once more."""
        if user_input is None:
            return self.async_show_form(
                step_id="purge", data_schema=vol.Schema({}), description_placeholders=self._told
            )
        return await self._do("PurgeDlq")

    async def _do(self, cmd: str) -> RepairsFlowResult:
        if (entry := self._hub) is None:
            return self.async_abort(reason="cannot_connect")
        try:
            await entry.runtime_data.client.call(cmd, queue=self._told["queue"])
        except HubError:
            return self.async_abort(reason="cannot_connect")
        return self.async_create_entry(data={})


def _errors(groups: list[Message], words: dict[str, str]) -> str:
    """What they died of, the last first, as Markdown that shows errors as they are."""
    groups = sorted(groups, key=lambda group: -float(group["newestAt"]))
    lines = [_line(each, words) for each in groups[:MOST_GROUPS]]
    return "\n".join([*lines, "- ..."] if len(groups) > MOST_GROUPS else lines)


def _line(group: Message, words: dict[str, str]) -> str:
    error = str(group["error"] or "-").replace("`", "'")  # one line, and not a long one
    at = dt_util.as_local(dt_util.utc_from_timestamp(group["newestAt"] / 1000))
    return f"- {int(group['count'])} × `{error}` ({words.get(group['reason'], group['reason'])}, {at:%Y-%m-%d %H:%M})"
