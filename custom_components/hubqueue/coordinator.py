"""One hub for Home Assistant: the link, the newest snapshot, and who is told of it.

The hub tells changes itself, at most once a second; every `RESYNC` the whole is asked for again, for what no summary
tells (disk, lag of forwarders, limits). Rule: entities are written at most once a second, whatever the hub does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_TOKEN, CONF_URL
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryAuthFailed, ConfigEntryError, ConfigEntryNotReady
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.debounce import Debouncer
from homeassistant.helpers.dispatcher import async_dispatcher_send
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed
from homeassistant.util.signal_type import SignalType

from . import pages
from .action_calls import Calls
from .client import HubClient
from .connection import HubInfo
from .const import CONF_QUEUES, DOMAIN, LOGGER
from .errors import AnotherHubError, ApiMismatchError, AuthError, HubError, IncompatibleError
from .keeping import Keeping
from .queues import pattern_of
from .runs import Runs
from .snapshot import Message, Snapshot, of_overview, of_summary
from .subentry_worker import SubentryWorker

RESYNC: Final = timedelta(seconds=30)
EVERY_S: Final = 1.0  # at most one write of entities in this time
MOST_QUEUES: Final = 10_000  # what one Overview answers
MOST_LIMITS: Final = 100  # queues whose limits are asked for in a resync

# Triggers are attached without our entry: they hear of hubs by these, with the entry's id.
SIGNAL_LOADED: Final = SignalType[str](f"{DOMAIN}_loaded")
SIGNAL_UNLOADED: Final = SignalType[str](f"{DOMAIN}_unloaded")
SIGNAL_LINK: Final = SignalType[str, bool](f"{DOMAIN}_link")


@dataclass(slots=True)
class HubqueueData:
    """What the entry holds while it is loaded."""

    client: HubClient
    coordinator: HubqueueCoordinator
    runs: Runs
    keeping: Keeping
    workers: Mapping[str, SubentryWorker]
    calls: Calls


type HubqueueConfigEntry = ConfigEntry[HubqueueData]


class HubqueueCoordinator(DataUpdateCoordinator[Snapshot]):
    """Keeps the snapshot of one hub, and its link up."""

    config_entry: HubqueueConfigEntry

    def __init__(self, hass: HomeAssistant, entry: HubqueueConfigEntry) -> None:
        super().__init__(
            hass,
            LOGGER,
            config_entry=entry,
            name=entry.title,
            update_interval=RESYNC,
            always_update=False,
            # who has pressed a button waits for what it does: no cooldown of ten seconds
            request_refresh_debouncer=Debouncer(hass, LOGGER, cooldown=EVERY_S, immediate=True),
        )
        self.client = HubClient(
            async_get_clientsession(hass), entry.data[CONF_URL], entry.data.get(CONF_TOKEN), hub_id=entry.unique_id
        )
        self.client.on_summaries = self._on_summaries
        self.client.on_notice = self._on_notice
        self.client.on_link = self._on_link
        self._next: Snapshot | None = None
        self._last_write = float("-inf")
        self._write_later: CALLBACK_TYPE | None = None
        self._wanted = pattern_of(entry.options.get(CONF_QUEUES, ()))

    @property
    def hub(self) -> HubInfo:
        """Who the hub is; known since `async_connect`."""
        assert self.client.info is not None
        return self.client.info

    async def async_connect(self) -> None:
        """Open the link, or say why the entry cannot be set up."""
        try:
            await self.client.connect()
        except AnotherHubError as error:
            raise ConfigEntryError(
                translation_domain=DOMAIN,
                translation_key="another_hub",
                translation_placeholders={"expected": str(self.config_entry.unique_id), "found": error.found},
            ) from error
        except HubError as error:
            if isinstance(error, ApiMismatchError):
                self._ask_for_update(error)
            raise _not_ready(error) from error
        async_forget_update(self.hass, self.config_entry.entry_id)

    def _ask_for_update(self, error: ApiMismatchError) -> None:
        """Until the link is up again; it is tried for as long as that takes."""
        async_forget_update(self.hass, self.config_entry.entry_id)  # it may be the other side's turn now
        ir.async_create_issue(
            self.hass,
            DOMAIN,
            f"update_{self.config_entry.entry_id}",
            is_fixable=False,
            severity=ir.IssueSeverity.ERROR,
            learn_more_url=pages.REPAIRS,
            translation_key=error.key,
            translation_placeholders={"hub": self.config_entry.title, "version": error.version},
        )

    async def async_keep(self) -> None:
        """Keep the link up; runs as long as the entry is loaded."""
        try:
            await self.client.run()
        except AuthError:
            self.async_set_update_error(UpdateFailed(translation_domain=DOMAIN, translation_key="token_refused"))
            self.config_entry.async_start_reauth(self.hass)
        except IncompatibleError as error:
            self.async_set_update_error(error)
            self.hass.config_entries.async_schedule_reload(self.config_entry.entry_id)

    async def async_close(self) -> None:
        """End the link and what was to be written."""
        if self._write_later is not None:
            self._write_later()
            self._write_later = None
        await self.client.close()

    @override
    async def _async_update_data(self) -> Snapshot:
        if not self.client.connected:
            raise UpdateFailed(translation_domain=DOMAIN, translation_key="link_down")
        try:
            answer = await self.client.call("Overview", limit=MOST_QUEUES)
            shown = [each["name"] for each in answer["queues"] if self.shows(each["name"])]
            limited = shown[:MOST_LIMITS]
            limits = await asyncio.gather(*(self.client.call("GetQueueLimits", queue=name) for name in limited))
        except HubError as error:
            raise UpdateFailed(
                translation_domain=DOMAIN, translation_key="refused", translation_placeholders={"error": str(error)}
            ) from error
        concurrency = {
            name: _limit(told["data"]["limits"]["concurrencyLimit"]) for name, told in zip(limited, limits, strict=True)
        }
        self._next = None
        return of_overview(answer, shown, concurrency, self.data)

    def shows(self, queue: str) -> bool:
        """Whether the options let this queue be shown."""
        return self._wanted is None or self._wanted.fullmatch(queue) is not None

    @callback
    def _on_summaries(self, told: Message) -> None:
        before = self._next or self.data or Snapshot()  # the first come before the first refresh
        changed = [
            of_summary(each, told["timestamp"], before.queues.get(each["queue"]))
            for each in told["queues"]
            if self.shows(each["queue"])
        ]
        names = [each["queue"] for each in told["queues"]]
        self._write(before.with_queues(changed, names, told["gone"]))

    @callback
    def _on_notice(self, _: Message) -> None:
        self.config_entry.async_create_task(self.hass, self.async_request_refresh(), "hubqueue link changed")

    @callback
    def _on_link(self, up: bool) -> None:
        if up:
            LOGGER.info("The hub is back url=%s", self.client.url)
            self.config_entry.async_create_task(self.hass, self.async_refresh(), "hubqueue back")
        else:
            self.async_set_update_error(UpdateFailed(translation_domain=DOMAIN, translation_key="link_down"))
        async_dispatcher_send(self.hass, SIGNAL_LINK, self.config_entry.entry_id, up)

    @callback
    def _write(self, snapshot: Snapshot) -> None:
        """Let entities know, at once or when a second is over."""
        self._next = snapshot
        if self._write_later is not None:
            return
        wait_s = self._last_write + EVERY_S - self.hass.loop.time()
        if wait_s <= 0:
            self._write_now()
        else:
            self._write_later = self.hass.loop.call_later(wait_s, self._write_now).cancel

    @callback
    def _write_now(self) -> None:
        self._write_later = None
        snapshot, self._next = self._next, None
        if snapshot is None or not self.client.connected:
            return
        self._last_write = self.hass.loop.time()
        if snapshot == self.data and self.last_update_success:
            return
        self.data = snapshot
        self.last_update_success = True
        self.last_exception = None
        self.async_update_listeners()


@callback
def async_forget_update(hass: HomeAssistant, entry_id: str) -> None:
    """Nobody has to update anything for this entry."""
    ir.async_delete_issue(hass, DOMAIN, f"update_{entry_id}")


def _limit(value: float | None) -> int | None:
    return None if value is None else int(value)


def _not_ready(error: HubError) -> Exception:
    """What Home Assistant is told when an entry cannot be set up."""
    kind: Callable[..., Exception] = ConfigEntryNotReady
    key, placeholders = "cannot_connect", {"error": str(error)}
    match error:
        case AuthError():
            kind, key = ConfigEntryAuthFailed, "token_refused"
        case ApiMismatchError():
            key, placeholders = error.key, {"version": error.version}
        case IncompatibleError():
            key = "incompatible"
    return kind(translation_domain=DOMAIN, translation_key=key, translation_placeholders=placeholders)
