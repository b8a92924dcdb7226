"""All feeds of an entry, and what they keep over restarts of Home Assistant while the hub is away.

The file is written only while the hub takes nothing, every `SAVE_S` at most, so that a hub that is there costs a memory
card nothing; who kills Home Assistant while the hub is away loses at most what came since the last write.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, TypedDict

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import EVENT_HOMEASSISTANT_FINAL_WRITE
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, callback
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.helpers.storage import Store

from .client import HubClient
from .const import DOMAIN
from .feed import Feed
from .feed_rule import SUBENTRY_FEED

SAVE_S: Final = 10.0


class Kept(TypedDict):
    """What the file says of a feed."""

    jobs: list[dict[str, Any]]
    dropped: int


type Everything = dict[str, Kept]


def store_of(hass: HomeAssistant, entry_id: str) -> Store[Everything]:
    return Store(hass, 1, f"{DOMAIN}.{entry_id}.feeds", atomic_writes=True)


class Feeds:
    """The feeds of a loaded entry, by subentry."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry[Any], client: HubClient) -> None:
        self._hass = hass
        self._entry = entry
        self._store = store_of(hass, entry.entry_id)
        self._written: Everything = {}
        self._unsubscribe: list[CALLBACK_TYPE] = []
        self.by_id = {
            subentry.subentry_id: Feed(hass, client, subentry)
            for subentry in entry.subentries.values()
            if subentry.subentry_type == SUBENTRY_FEED
        }

    async def async_start(self) -> None:
        """Begin with what was left."""
        self._written = await self._store.async_load() or {}
        for subentry_id, feed in self.by_id.items():
            kept = self._written.get(subentry_id)
            if kept is not None:
                feed.outbox.restore(kept["jobs"])
                feed.outbox.dropped += kept["dropped"]
            await feed.async_start()
            self._entry.async_create_background_task(self._hass, feed.outbox.run(), f"hubqueue feed {feed.title}")
        self._unsubscribe = [
            async_track_time_interval(self._hass, self._async_save, timedelta(seconds=SAVE_S), cancel_on_shutdown=True),
            self._hass.bus.async_listen(EVENT_HOMEASSISTANT_FINAL_WRITE, self._async_at_the_end),
        ]

    async def async_stop(self) -> None:
        """Listen no more, and keep what the hub does not have."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        self.stop_listening()
        await self._async_save(everything=True)

    @callback
    def stop_listening(self) -> None:
        for feed in self.by_id.values():
            feed.stop()

    async def _async_at_the_end(self, _: Event[Any]) -> None:
        self.stop_listening()
        await self._async_save(everything=True)

    async def _async_save(self, _: datetime | None = None, *, everything: bool = False) -> None:
        kept: Everything = {}
        for subentry_id, feed in self.by_id.items():
            jobs = feed.outbox.jobs() if everything or feed.outbox.stuck else []
            if jobs or feed.outbox.dropped:
                kept[subentry_id] = {"jobs": jobs, "dropped": feed.outbox.dropped}
        if kept != self._written:
            self._written = kept
            await self._store.async_save(kept)
