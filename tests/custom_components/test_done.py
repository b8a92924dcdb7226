"""Done means done: however a job is worked and however a target is addressed, one that is away is a failure of the job.

All entities are real, and so are Home Assistant's own actions.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.service import (
    async_register_batched_platform_entity_service,
    async_register_platform_entity_service,
)
from homeassistant.setup import async_setup_component
from house import furnish
from pytest_homeassistant_custom_component.common import MockConfigEntry
from ways import WAYS, Steps, reasons, ways

from conftest import Call

GARDEN = "light.garden is not available"
GONE = "light.gone does not exist"


def turn_on(target: dict[str, Any], action: str = "light.turn_on", **more: Any) -> dict[str, Any]:
    return {"action": action, "target": target, **more}


def on(*entity_ids: str) -> dict[str, Any]:
    return turn_on({"entity_id": list(entity_ids)})


RUN_LATER = {"action": "light.turn_on", "target": {"entity_id": "light.garden"}}


async def add_services(hass: HomeAssistant) -> None:
    """Actions of integrations, registered in the ways that there are."""

    async def both(lights: list[Any], call: ServiceCall) -> None:
        await asyncio.gather(*(light.async_turn_on() for light in lights))

    async_register_platform_entity_service(
        hass, "template", "blink", entity_domain="light", schema=None, func="async_toggle"
    )
    async_register_batched_platform_entity_service(
        hass, "template", "both", entity_domain="light", schema=None, func=both
    )
    hass.services.async_register("test", "own", lambda call: None, schema=cv.make_entity_service_schema({}))
    for component in ("todo", "persistent_notification"):
        assert await async_setup_component(hass, component, {})


@pytest.mark.parametrize("way", WAYS)
async def test_a_target_that_is_away_is_a_failure_with_words(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, way: str
) -> None:
    place = await furnish(hass)
    await add_services(hass)
    registered = er.async_get(hass).async_get("light.garden").id  # type: ignore[union-attr]
    er.async_get(hass).async_get_or_create("light", "hue", "lost", suggested_object_id="lost")
    expected: dict[str, tuple[Steps, str | None]] = {
        "there": ([on("light.near")], None),
        "missing": ([on("light.gone")], GONE),
        "unavailable": ([on("light.garden")], GARDEN),
        "of two": ([on("light.near", "light.garden")], GARDEN),
        "both kinds": ([on("light.gone", "light.garden")], f"{GARDEN}; {GONE}"),
        "in data": ([{"action": "light.turn_on", "data": {"entity_id": "light.garden"}}], GARDEN),
        "template": ([turn_on({"entity_id": "{{ ['light.' ~ 'garden'] }}"})], GARDEN),
        **{f"by {key}": ([turn_on({key: id})], GARDEN) for key, id in place.items()},
        "no area": ([turn_on({"area_id": "attic"})], "area attic does not exist"),
        "no device": ([turn_on({"device_id": "abc"})], "device abc does not exist"),
        "no label": ([turn_on({"label_id": "abc"})], "label abc does not exist"),
        "no floor": ([turn_on({"floor_id": "abc"})], "floor abc does not exist"),
        "empty area": ([turn_on({"area_id": "empty"})], "nothing of the target exists that light.turn_on is for"),
        "no group": ([on("group.none")], "group.none does not exist"),
        "group": ([on("group.both")], GARDEN),
        "mixed group": ([on("group.mixed")], None),
        "light group": ([on("light.lamps")], GARDEN),
        "scene": ([turn_on({"entity_id": "scene.evening"}, "scene.turn_on")], GARDEN),
        "scene step": ([{"scene": "scene.evening"}], GARDEN),
        "broken scene": ([{"scene": "scene.broken"}], GONE),
        "no scene": ([{"scene": "scene.none"}], "scene.none does not exist"),
        "applied": ([{"action": "scene.apply", "data": {"entities": {"light.gone": "on"}}}], GONE),
        "generic": ([turn_on({"entity_id": "light.garden"}, "homeassistant.turn_on")], GARDEN),
        "generic of two": ([turn_on({"entity_id": ["light.near", "light.gone"]}, "homeassistant.turn_on")], GONE),
        "generic group": ([turn_on({"entity_id": "group.both"}, "homeassistant.turn_on")], GARDEN),
        "generic area": ([turn_on({"area_id": "yard"}, "homeassistant.turn_on")], GARDEN),
        "generic nothing": (
            [turn_on({"entity_id": "sun.sun"}, "homeassistant.turn_on")],
            "sun.sun does not exist",
        ),
        "generic empty": (
            [turn_on({"area_id": "empty"}, "homeassistant.turn_on")],
            "nothing of the target exists that homeassistant.turn_on is for",
        ),
        "wrong domain": ([on("input_boolean.porch")], "light.turn_on is not for input_boolean.porch"),
        "no script": ([turn_on({"entity_id": "script.none"}, "script.turn_on")], "script.none does not exist"),
        "all": ([turn_on({"entity_id": "all"})], None),
        "none": ([turn_on({"entity_id": "none"})], None),
        "empty list": ([turn_on({"entity_id": "{{ [] }}"})], None),
        "refreshed": ([{"action": "homeassistant.update_entity", "data": {"entity_id": "light.garden"}}], None),
        "no target": ([{"action": "persistent_notification.create", "data": {"message": "hello"}}], None),
        "continued": ([{**on("light.garden"), "continue_on_error": True}, on("light.near")], None),
        "of a device": (
            [{"device_id": place["device_id"], "domain": "light", "entity_id": registered, "type": "turn_on"}],
            GARDEN,
        ),
        "not loaded": ([on("light.lost")], "light.lost is not available"),
        "answer": (
            [turn_on({"entity_id": "todo.none"}, "todo.get_items", response_variable="items")],
            "todo.none does not exist",
        ),
        "of a platform": ([turn_on({"entity_id": "light.garden"}, "template.blink")], GARDEN),
        "of another platform": (
            [turn_on({"entity_id": "light.lamps"}, "template.blink")],
            f"{GARDEN}; template.blink is not for light.lamps",
        ),
        "together": ([turn_on({"entity_id": ["light.near", "light.garden"]}, "template.both")], GARDEN),
        "its own": ([turn_on({"entity_id": "light.gone"}, "test.own")], GONE),
        "its own, unavailable": ([turn_on({"entity_id": "light.garden"}, "test.own")], None),
        "put off": ([{"action": "hubqueue.run_action", "data": RUN_LATER}], None),
        "in parallel": ([{"parallel": [on("light.garden"), on("light.near")]}], GARDEN),
        "repeated": ([{"repeat": {"count": 2, "sequence": [on("light.garden")]}}], GARDEN),
    }
    if way != "script":
        assert await async_setup_component(hass, "script", {"script": {}})
    seen = await reasons(hass, call, ways(hass, loaded, way), {kind: steps for kind, (steps, _) in expected.items()})
    assert seen == {kind: error for kind, (_, error) in expected.items()}
