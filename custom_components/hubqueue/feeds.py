"""All feeds of an entry: they listen from Home Assistant's first moment, whether the hub was ever reached or not."""

from __future__ import annotations

from typing import Any

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.core import HomeAssistant, callback

from .feed import Feed
from .feed_rule import SUBENTRY_FEED
from .outbox import Outbox


class Feeds:
    """by_id: those at work, by subentry."""

    def __init__(self, hass: HomeAssistant, outbox: Outbox) -> None:
        self.by_id: dict[str, Feed] = {}
        self._hass = hass
        self._outbox = outbox
        self._made_of: dict[str, tuple[str, Any]] = {}

    async def async_follow(self, entry: ConfigEntry[Any]) -> None:
        """Be as the subentries are now; one that is as it was goes on listening."""
        wanted = {
            subentry.subentry_id: subentry
            for subentry in entry.subentries.values()
            if subentry.subentry_type == SUBENTRY_FEED
        }
        for subentry_id in list(self.by_id):
            if subentry_id not in wanted or _made_of(wanted[subentry_id]) != self._made_of[subentry_id]:
                self.by_id.pop(subentry_id).stop()
        for subentry_id, subentry in wanted.items():
            if subentry_id not in self.by_id:
                feed = self.by_id[subentry_id] = Feed(self._hass, self._outbox, subentry)
                self._made_of[subentry_id] = _made_of(subentry)
                await feed.async_start()

    @callback
    def stop(self) -> None:
        """Listen no more."""
        for feed in self.by_id.values():
            feed.stop()
        self.by_id.clear()


def _made_of(subentry: ConfigSubentry) -> tuple[str, Any]:
    return subentry.title, subentry.data
