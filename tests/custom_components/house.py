"""A house of real entities, some of which are away: Home Assistant's own template lights, groups, scenes and scripts.

`light.near` is always there, `light.garden` only while `input_boolean.power` is on, and so are `switch.roses`,
`cover.gate` and `button.restart`; `light.gone` never was. `light.deaf` hears only the second command.
The garden light is in the area, on the floor, and has the label and the device that are called after it.
"""

from __future__ import annotations

import logging
from typing import Any, override

import yaml
from homeassistant.components.demo.notify import DemoNotifyEntity
from homeassistant.components.media_player import MediaPlayerEntity, MediaPlayerEntityFeature, MediaPlayerState
from homeassistant.components.media_player.const import DATA_COMPONENT as PLAYERS
from homeassistant.components.notify import DATA_COMPONENT as NOTIFIERS
from homeassistant.core import HomeAssistant
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import floor_registry as fr
from homeassistant.helpers import label_registry as lr
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_component import EntityComponent
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry

LOGGER = logging.getLogger(__name__)
POWER = "input_boolean.power"

LIGHT = """
name: {name}
unique_id: {name}
{more}
state: "{{{{ is_state('input_boolean.{name}', 'on') }}}}"
turn_on: {{action: input_boolean.turn_on, target: {{entity_id: input_boolean.{name}}}}}
turn_off: {{action: input_boolean.turn_off, target: {{entity_id: input_boolean.{name}}}}}
"""
WHILE_POWERED = "availability: \"{{ is_state('input_boolean.power', 'on') }}\""

# a device that is restarted, as long as it is there
OFF_BUTTON = {
    "name": "restart",
    "unique_id": "restart",
    "availability": "{{ is_state('input_boolean.power', 'on') }}",
    "press": [{"action": "input_boolean.turn_off", "target": {"entity_id": "input_boolean.power"}}],
}

GATE = {
    "name": "gate",
    "unique_id": "gate",
    "availability": "{{ is_state('input_boolean.power', 'on') }}",
    "state": "{{ 'open' if is_state('input_boolean.gate', 'on') else 'closed' }}",
    "open_cover": [{"action": "input_boolean.turn_on", "target": {"entity_id": "input_boolean.gate"}}],
    "close_cover": [{"action": "input_boolean.turn_off", "target": {"entity_id": "input_boolean.gate"}}],
}
DEAF = {
    "name": "deaf",
    "unique_id": "deaf",
    "state": "{{ states('counter.tries') | int >= 2 }}",
    "turn_on": [{"action": "counter.increment", "target": {"entity_id": "counter.tries"}}],
    "turn_off": [{"action": "counter.reset", "target": {"entity_id": "counter.tries"}}],
}


def light(name: str, more: str = "") -> dict[str, Any]:
    made: dict[str, Any] = yaml.safe_load(LIGHT.format(name=name, more=more))
    return made


def lights_group(name: str, *members: str) -> dict[str, Any]:
    return {"platform": "group", "name": name, "unique_id": name, "entities": list(members)}


async def furnish(hass: HomeAssistant, *more: dict[str, Any]) -> dict[str, str]:
    """All of it, and more of templates; where the garden light is: the ids of its area, floor, label and device."""
    helpers = {each: {"initial": False} for each in ("power", "near", "garden", "porch", "roses", "gate")}
    groups = {
        "both": {"entities": ["light.near", "light.garden"]},
        "mixed": {"entities": ["light.near", "input_boolean.porch"]},
    }
    scenes = [
        {"name": "evening", "entities": {"light.near": "on", "light.garden": "on"}},
        {"name": "broken", "entities": {"light.near": "on", "light.gone": "on"}},
    ]
    for domain, config in {
        "homeassistant": {},
        "input_boolean": helpers,
        "group": groups,
        "light": [lights_group("lamps", "light.near", "light.garden")],
        "counter": {"tries": {}},
        "template": [
            {
                "light": [light("near"), light("garden", WHILE_POWERED), DEAF],
                "switch": [light("roses", WHILE_POWERED)],
                "cover": [GATE],
                "button": [OFF_BUTTON],
            },
            *more,
        ],
        "input_button": {"open_the_gate": {}},
        "scene": scenes,
    }.items():
        assert await async_setup_component(hass, domain, {domain: config}), domain
    await hass.async_block_till_done()
    assert {each: hass.states.get(each).state for each in ("light.near", "light.garden")} == {  # type: ignore[union-attr]
        "light.near": "off",
        "light.garden": "unavailable",
    }
    return _place(hass, "light.garden")


def _place(hass: HomeAssistant, entity_id: str) -> dict[str, str]:
    floor = fr.async_get(hass).async_create("Outside")
    area = ar.async_get(hass).async_create("Yard", floor_id=floor.floor_id)
    ar.async_get(hass).async_create("Empty")
    label = lr.async_get(hass).async_create("Dusk")
    owner = MockConfigEntry(domain="test", title="Lamp")
    owner.add_to_hass(hass)
    device = dr.async_get(hass).async_get_or_create(config_entry_id=owner.entry_id, identifiers={("test", "lamp")})
    er.async_get(hass).async_update_entity(entity_id, area_id=area.id, labels={label.label_id}, device_id=device.id)
    return {"area_id": area.id, "floor_id": floor.floor_id, "label_id": label.label_id, "device_id": device.id}


async def power(hass: HomeAssistant, on: bool = True) -> None:
    """The garden light comes back, or goes."""
    await hass.services.async_call(
        "input_boolean", "turn_on" if on else "turn_off", {"entity_id": POWER}, blocking=True
    )
    await hass.async_block_till_done()


class Phone(DemoNotifyEntity):
    """Of Home Assistant's demo, which tells of messages by the event "notify"."""

    def show(self, is_there: bool) -> None:
        self._attr_available = is_there
        self.async_write_ha_state()


async def phone(hass: HomeAssistant) -> Phone:
    """`notify.phone`."""
    assert await async_setup_component(hass, "notify", {})
    made = Phone("phone", "Phone")
    made.entity_id = "notify.phone"
    await hass.data[NOTIFIERS].async_add_entities([made])
    return made


class Speaker(MediaPlayerEntity):
    """Plays until it is told to be idle."""

    _attr_name = "kitchen"
    _attr_should_poll = False
    _attr_supported_features = MediaPlayerEntityFeature.PLAY_MEDIA

    def __init__(self) -> None:
        self._attr_state = MediaPlayerState.IDLE
        self.played: list[str] = []

    def show(self, state: MediaPlayerState | None) -> None:
        """None: it is away."""
        self._attr_available = state is not None
        self._attr_state = state
        self.async_write_ha_state()

    @override
    async def async_play_media(self, media_type: str, media_id: str, **kwargs: Any) -> None:
        self.played.append(media_id)
        self.show(MediaPlayerState.PLAYING)


class Voice(Entity):
    """As Home Assistant's own text-to-speech entity does, whose libraries are not here: it lets a player speak."""

    _attr_name = "voice"
    _attr_should_poll = False

    async def async_speak(self, media_player_entity_id: list[str], message: str) -> None:
        said = {"entity_id": media_player_entity_id, "media_content_id": message, "media_content_type": "music"}
        await self.hass.services.async_call("media_player", "play_media", said, blocking=True, context=self._context)


async def speak(hass: HomeAssistant) -> Speaker:
    """`media_player.kitchen`, and `tts.voice` to speak with."""
    assert await async_setup_component(hass, "media_player", {})
    speaker = Speaker()
    await hass.data[PLAYERS].async_add_entities([speaker])
    voices = EntityComponent[Voice](LOGGER, "tts", hass)
    fields = {"media_player_entity_id": cv.comp_entity_ids, "message": cv.string}
    voices.async_register_entity_service("speak", fields, "async_speak")
    await voices.async_add_entities([Voice()])
    return speaker
