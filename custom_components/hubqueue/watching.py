"""Triggers that only watch: jobs that end, a queue that fills, links that go down and up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, ClassVar, Final, cast, override

import probatio as vol
from homeassistant.const import CONF_OPTIONS
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.event import async_call_later
from homeassistant.helpers.trigger import Trigger, TriggerActionRunner, TriggerConfig, TriggerNotTriggeredReporter
from homeassistant.helpers.typing import ConfigType

from .actions import QUEUE
from .const import ATTR_CONFIG_ENTRY_ID, ATTR_FORWARDER, ATTR_QUEUE, LOGGER
from .coordinator import SIGNAL_LINK, SIGNAL_LOADED, HubqueueConfigEntry
from .durations import duration
from .endings import COMPLETED, DEAD, EXPIRED, Endings
from .hubs import OF_A_HUB, OF_A_QUEUE, async_follow_hubs

ATTR_ABOVE: Final = "above"
ATTR_FOR: Final = "for"

type Fire = Callable[[dict[str, Any], str], None]


class _HubTrigger(Trigger):
    """A trigger that hears of hubs as they come and go. fields: its options."""

    fields: ClassVar[Mapping[Any, Any]]

    @classmethod
    @override
    async def async_validate_config(cls, hass: HomeAssistant, config: ConfigType) -> ConfigType:
        return cast(ConfigType, vol.Schema({vol.Required(CONF_OPTIONS, default=dict): {**cls.fields}})(config))

    def __init__(self, hass: HomeAssistant, config: TriggerConfig) -> None:
        super().__init__(hass, config)
        self._options: dict[str, Any] = config.options or {}

    @override
    async def async_attach_runner(
        self, run_action: TriggerActionRunner, did_not_trigger: TriggerNotTriggeredReporter | None = None
    ) -> CALLBACK_TYPE:
        @callback
        def attach(entry: HubqueueConfigEntry) -> CALLBACK_TYPE:
            @callback
            def fire(extra: dict[str, Any], description: str) -> None:
                run_action({**extra, ATTR_CONFIG_ENTRY_ID: entry.entry_id}, description)

            return self._watch(entry, fire)

        return async_follow_hubs(self._hass, self._options.get(ATTR_CONFIG_ENTRY_ID), attach)

    def _watch(self, entry: HubqueueConfigEntry, fire: Fire) -> CALLBACK_TYPE:
        """Begin to watch a hub, until what is answered is called."""
        raise NotImplementedError


class _JobTrigger(_HubTrigger):
    fields: ClassVar[Mapping[Any, Any]] = {vol.Optional(ATTR_QUEUE): QUEUE, **OF_A_HUB}
    kind: ClassVar[str]
    said: ClassVar[str]

    @override
    def _watch(self, entry: HubqueueConfigEntry, fire: Fire) -> CALLBACK_TYPE:
        @callback
        def tell(job: dict[str, Any]) -> None:
            fire({"job": job, ATTR_QUEUE: job["queue"]}, f"job {job['id']} of queue {job['queue']} {self.said}")

        endings = Endings(entry.runtime_data, self._options.get(ATTR_QUEUE), self.kind, tell)
        endings.start()
        return endings.close


class JobCompleted(_JobTrigger):
    """Triggers for each job that is done, wherever it ran."""

    kind = COMPLETED
    said = "completed"


class JobDeadLettered(_JobTrigger):
    """Triggers for each job that will not be tried again by itself."""

    kind = DEAD
    said = "is a dead letter"


class JobExpired(_JobTrigger):
    """Triggers for each job that was removed unfinished as its `ttl` was over."""

    kind = EXPIRED
    said = "has expired"


class QueueBacklog(_HubTrigger):
    """Triggers once when more jobs than `above` wait for as long as `for`, and again after they were fewer."""

    fields: ClassVar[Mapping[Any, Any]] = {
        **OF_A_QUEUE,
        vol.Required(ATTR_ABOVE): vol.All(vol.Coerce(int), vol.Range(min=0)),
        vol.Optional(ATTR_FOR, default=timedelta()): duration,
    }

    @override
    def _watch(self, entry: HubqueueConfigEntry, fire: Fire) -> CALLBACK_TYPE:
        coordinator = entry.runtime_data.coordinator
        queue: str = self._options[ATTR_QUEUE]
        if not coordinator.shows(queue):
            LOGGER.warning("a queue that is not shown has no backlog that could be seen queue=%s", queue)
        timer: CALLBACK_TYPE | None = None
        above = False

        def waiting() -> int:
            state = coordinator.data.queues.get(queue)
            return 0 if state is None else state.waiting

        @callback
        def reached(_: object) -> None:
            nonlocal timer
            timer = None
            fire({ATTR_QUEUE: queue, "waiting": waiting()}, f"{waiting()} jobs wait in queue {queue}")

        @callback
        def stop() -> None:
            nonlocal timer
            if timer is not None:
                timer()
                timer = None

        @callback
        def look() -> None:
            nonlocal above, timer
            if not coordinator.last_update_success or above == (waiting() > self._options[ATTR_ABOVE]):
                return
            above = not above
            stop()
            if above:
                timer = async_call_later(self._hass, self._options[ATTR_FOR], reached)

        unsubscribe = coordinator.async_add_listener(look)
        look()

        @callback
        def unwatch() -> None:
            unsubscribe()
            stop()

        return unwatch


class _LinkTrigger(_HubTrigger):
    """Without a forwarder: the link of Home Assistant with the hub."""

    fields: ClassVar[Mapping[Any, Any]] = {vol.Optional(ATTR_FORWARDER): cv.string, **OF_A_HUB}
    up: ClassVar[bool]

    @override
    async def async_attach_runner(
        self, run_action: TriggerActionRunner, did_not_trigger: TriggerNotTriggeredReporter | None = None
    ) -> CALLBACK_TYPE:
        if ATTR_FORWARDER in self._options:
            return await super().async_attach_runner(run_action, did_not_trigger)
        wanted: str | None = self._options.get(ATTR_CONFIG_ENTRY_ID)
        down: set[str] = set()  # hubs that may be loaded anew before their link is up

        @callback
        def changed(entry_id: str, up: bool) -> None:
            if wanted not in (None, entry_id) or up == (entry_id not in down):
                return
            (down.discard if up else down.add)(entry_id)
            if up is self.up:
                run_action({ATTR_CONFIG_ENTRY_ID: entry_id}, f"the link with the hub is {'up' if up else 'down'}")

        stop = [
            async_dispatcher_connect(self._hass, SIGNAL_LINK, changed),
            async_dispatcher_connect(self._hass, SIGNAL_LOADED, lambda entry_id: changed(entry_id, True)),
        ]

        @callback
        def unwatch() -> None:
            for each in stop:
                each()

        return unwatch

    @override
    def _watch(self, entry: HubqueueConfigEntry, fire: Fire) -> CALLBACK_TYPE:
        coordinator = entry.runtime_data.coordinator
        name: str = self._options[ATTR_FORWARDER]
        known: bool | None = None

        @callback
        def look() -> None:
            nonlocal known
            link = coordinator.data.links.get(name)
            if not coordinator.last_update_success or link is None or link.link == "idle":
                return  # idle: paused or outside its hours, which says nothing of the link
            before, known = known, link.link == "up"
            if before is not None and before is not known and known is self.up:
                extra = {ATTR_FORWARDER: name, "error": link.error}
                fire(extra, f"the link of forwarder {name} is {'up' if known else 'down'}")

        look()
        return coordinator.async_add_listener(look)


class LinkDown(_LinkTrigger):
    """Triggers when a link goes down."""

    up = False


class LinkUp(_LinkTrigger):
    """Triggers when a link that was down is up again."""

    up = True
