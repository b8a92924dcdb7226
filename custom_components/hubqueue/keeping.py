"""What an entry has from Home Assistant's first moment until it is removed, loaded or not: its outbox and its feeds.

`async_setup` of the integration begins it for the entries there are, `async_setup_entry` for new ones; the link is lent
to it while the entry is loaded. A disabled entry listens to nothing and keeps its file.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from homeassistant.config_entries import SIGNAL_CONFIG_ENTRY_CHANGED, ConfigEntry, ConfigEntryChange
from homeassistant.const import EVENT_HOMEASSISTANT_FINAL_WRITE
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.storage import STORAGE_DIR

from .const import CONF_OUTBOX_MB, DEFAULT_OUTBOX_MB, DOMAIN, LOGGER
from .errors import HubError
from .feeds import Feeds
from .keeping_repairs import KEEPINGS, KeepingRepairs
from .listeners import Listeners
from .outbox import Outbox


class Keeping:
    """Of one entry. listeners: told when a number of the outbox has changed."""

    outbox: Outbox
    feeds: Feeds
    listeners: Listeners

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
        self._hass = hass
        self._entry = entry
        self._changing = asyncio.Lock()
        self._repairs: KeepingRepairs | None = None  # while it is at work
        self._over = False  # the entry is gone, or Home Assistant stops

    async def async_follow(self) -> None:
        """Be as the entry is now."""
        async with self._changing:
            if self._over:
                return
            if self._entry.disabled_by is not None:
                await self._close()
                return
            if self._repairs is None:
                await self._open()
            self.outbox.most_bytes = _most_bytes(self._entry)
            await self.feeds.async_follow(self._entry)

    async def async_close(self) -> None:
        """Home Assistant stops: listen no more; what the hub does not have is on the disk when this is done."""
        async with self._changing:
            self._over = True
            await self._close()

    async def async_forget(self) -> None:
        """The entry is gone: so is what waits for its hub."""
        async with self._changing:
            self._over = True
            if self._repairs is None:
                await self._open()  # what its file holds is told of
            self._stop_listening()
            await self.outbox.async_forget()
            self.listeners.close()

    async def _open(self) -> None:
        path = Path(self._hass.config.path(STORAGE_DIR, f"{DOMAIN}.{self._entry.entry_id}.outbox"))
        self.listeners = Listeners(self._hass)
        hub_id, most = str(self._entry.unique_id), _most_bytes(self._entry)
        self.outbox = Outbox(self._hass, path, hub_id, most, self.listeners.changed)
        self.feeds = Feeds(self._hass, self.outbox)
        self._repairs = KeepingRepairs(self._hass, self._entry, self.outbox, await self.outbox.async_load())
        self._repairs.begin(self.listeners)

    async def _close(self) -> None:
        if self._repairs is not None:
            self._stop_listening()
            await self.outbox.async_close()
            self.listeners.close()

    def _stop_listening(self) -> None:
        self.feeds.stop()
        if self._repairs is not None:
            self._repairs.end()
            self._repairs = None


async def async_setup_keeping(hass: HomeAssistant) -> None:
    """For all entries there are, and as they change."""
    keepings = hass.data[KEEPINGS] = {}

    @callback
    def changed(change: ConfigEntryChange, entry: ConfigEntry[Any]) -> None:
        keeping = keepings.get(entry.entry_id)
        if change is ConfigEntryChange.UPDATED and keeping is not None and entry.domain == DOMAIN:
            hass.async_create_task(keeping.async_follow(), "hubqueue entry changed", eager_start=False)

    async def at_the_end(_: Event[Any]) -> None:
        for keeping in list(keepings.values()):
            await keeping.async_close()

    async_dispatcher_connect(hass, SIGNAL_CONFIG_ENTRY_CHANGED, changed)
    hass.bus.async_listen_once(EVENT_HOMEASSISTANT_FINAL_WRITE, at_the_end)
    for entry in hass.config_entries.async_entries(DOMAIN, include_ignore=False, include_disabled=False):
        try:
            await async_keeping(hass, entry)
        except Exception:  # one entry that cannot be begun leaves the others, and the actions, alone
            LOGGER.exception("what is kept for a hub cannot be begun entry=%s", entry.title)


async def async_keeping(hass: HomeAssistant, entry: ConfigEntry[Any]) -> Keeping:
    """The one of an entry, at work. Errors: HubError: the entry was removed meanwhile."""
    if hass.config_entries.async_get_entry(entry.entry_id) is None:
        raise HubError("link_down", "The hub was removed")
    keepings = hass.data[KEEPINGS]
    if entry.entry_id not in keepings:
        keepings[entry.entry_id] = Keeping(hass, entry)
    keeping = keepings[entry.entry_id]
    await keeping.async_follow()
    return keeping


async def async_forget_keeping(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """The entry was removed."""
    keeping = hass.data[KEEPINGS].pop(entry.entry_id, None) or Keeping(hass, entry)
    await keeping.async_forget()


def _most_bytes(entry: ConfigEntry[Any]) -> int:
    return int(entry.options.get(CONF_OUTBOX_MB, DEFAULT_OUTBOX_MB)) * 1024 * 1024
