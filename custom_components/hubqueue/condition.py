"""Conditions: what a queue or a link is like now. What cannot be known now is not so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Unpack, cast, override

import probatio as vol
from homeassistant.const import CONF_OPTIONS
from homeassistant.core import HomeAssistant
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.condition import Condition, ConditionCheckParams, ConditionConfig
from homeassistant.helpers.typing import ConfigType

from .const import ATTR_CONFIG_ENTRY_ID, ATTR_FORWARDER, ATTR_QUEUE
from .hubs import OF_A_HUB, OF_A_QUEUE, async_hub, async_queue
from .snapshot import QueueState


class _HubCondition(Condition):
    fields: Mapping[Any, Any]

    @classmethod
    @override
    async def async_validate_config(cls, hass: HomeAssistant, config: ConfigType) -> ConfigType:
        return cast(ConfigType, vol.Schema({vol.Required(CONF_OPTIONS, default=dict): {**cls.fields}})(config))

    def __init__(self, hass: HomeAssistant, config: ConditionConfig) -> None:
        super().__init__(hass, config)
        self._options: dict[str, Any] = config.options or {}


class _QueueCondition(_HubCondition):
    fields = OF_A_QUEUE

    @override
    def _async_check(self, **kwargs: Unpack[ConditionCheckParams]) -> bool:
        entry = async_hub(self._hass, self._options.get(ATTR_CONFIG_ENTRY_ID))
        state = None if entry is None else async_queue(entry, self._options[ATTR_QUEUE])
        return state is not None and self._is(state)

    def _is(self, state: QueueState) -> bool:
        raise NotImplementedError


class QueueIsPaused(_QueueCondition):
    """No jobs of the queue are handed out."""

    @override
    def _is(self, state: QueueState) -> bool:
        return state.paused


class QueueIsEmpty(_QueueCondition):
    """No job of the queue waits, is delayed or runs."""

    @override
    def _is(self, state: QueueState) -> bool:
        return state.waiting + state.delayed + state.active == 0


class LinkIsUp(_HubCondition):
    """The hub is connected; with a forwarder: and the forwarder with its destination."""

    fields: Mapping[Any, Any] = {vol.Optional(ATTR_FORWARDER): cv.string, **OF_A_HUB}

    @override
    def _async_check(self, **kwargs: Unpack[ConditionCheckParams]) -> bool:
        entry = async_hub(self._hass, self._options.get(ATTR_CONFIG_ENTRY_ID))
        if entry is None or not entry.runtime_data.client.connected:
            return False
        if (name := self._options.get(ATTR_FORWARDER)) is None:
            return True
        link = entry.runtime_data.coordinator.data.links.get(name)
        return link is not None and link.link == "up"


CONDITIONS: Final[dict[str, type[Condition]]] = {
    "queue_is_paused": QueueIsPaused,
    "queue_is_empty": QueueIsEmpty,
    "link_is_up": LinkIsUp,
}


async def async_get_conditions(hass: HomeAssistant) -> dict[str, type[Condition]]:
    """What Home Assistant finds here."""
    return CONDITIONS
