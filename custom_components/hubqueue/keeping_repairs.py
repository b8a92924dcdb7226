"""Repairs of what waits in Home Assistant: it grows, some of it was lost, or it cannot be kept. Loaded or not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import probatio as vol
from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN
from .issues import Issue, Raised
from .listeners import Listeners
from .outbox import Outbox
from .outbox_file import Left

if TYPE_CHECKING:
    from .keeping import Keeping

KEEPINGS: Final = HassKey[dict[str, "Keeping"]](f"{DOMAIN}_keepings")


class KeepingRepairs:
    """From `begin` to `end`."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry[Any], outbox: Outbox, left: Left) -> None:
        self._entry = entry
        self._outbox = outbox
        self._left = left
        self._raised = Raised(hass)
        self._stop: CALLBACK_TYPE | None = None

    @callback
    def begin(self, listeners: Listeners) -> None:
        """Look now, and whenever something has changed."""
        self._stop = listeners.add(self._look)
        self._look()

    @callback
    def end(self) -> None:
        """Take back what is said."""
        if self._stop is not None:
            self._stop()
            self._stop = None
        self._raised.keep({})

    @callback
    def _look(self) -> None:
        self._raised.keep(dict(self._wanted()))

    def _wanted(self) -> Iterator[tuple[str, Issue]]:
        outbox, hub = self._outbox, self._entry.title
        if outbox.grown:
            told = {"hub": hub, "count": str(outbox.waiting), "megabytes": f"{outbox.bytes / 1024**2:.1f}"}
            codes = ", ".join(sorted(set(outbox.errors().values()))) if outbox.connected else "link_down"
            yield self._issue("outbox_grown", {**told, "error": codes or "-"})
        if outbox.keeper.error is not None:
            told = {"hub": hub, "error": outbox.keeper.error}
            yield self._issue("outbox_disk", told, severity=ir.IssueSeverity.ERROR)
        if self._left.damaged:
            yield self._issue("outbox_damaged", {"hub": hub, "count": str(self._left.damaged)})
        if self._left.aside is not None:
            yield self._issue("outbox_aside", {"hub": hub, "file": self._left.aside})
        for of, tally in outbox.tallies.items():
            subentry = None if of is None else self._entry.subentries.get(of)
            if of is not None and subentry is None:
                continue
            feed = hub if subentry is None else subentry.title
            if tally.dropped:
                yield self._issue("overflow", {"feed": feed, "count": str(tally.dropped)}, of, fixable=True)
            if tally.refused:
                last = tally.words[-1] if tally.words else {"queue": "-", "error": "-"}
                told = {"feed": feed, "count": str(tally.refused), "queue": last["queue"], "error": last["error"]}
                yield self._issue("outbox_refused", told, of, fixable=True)

    def _issue(
        self,
        key: str,
        told: dict[str, str],
        of: str | None = None,
        *,
        fixable: bool = False,
        severity: ir.IssueSeverity = ir.IssueSeverity.WARNING,
    ) -> tuple[str, Issue]:
        """With its id. of: the feed whose losses are told; they are confirmed, and count from nothing again."""
        entry_id = self._entry.entry_id
        data = {"entry_id": entry_id, "key": key, "lost_of": of}
        return f"{key}_{entry_id}_{of or '-'}", Issue(key, told, data, fixable, severity)


class Lost(RepairsFlow):
    """Somebody has seen that jobs were lost: count from nothing again."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._given = data

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        return await self.async_step_confirm()

    async def async_step_confirm(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        if user_input is None:
            return self.async_show_form(
                step_id="confirm",
                data_schema=vol.Schema({}),
                description_placeholders={key: str(value) for key, value in self._given.items()},
            )
        if (keeping := self.hass.data[KEEPINGS].get(self._given["entry_id"])) is not None:
            keeping.outbox.forget_lost(self._given["lost_of"], self._given["key"] == "overflow")
        return self.async_create_entry(data={})
