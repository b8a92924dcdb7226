"""Done means done: however a job is worked and however a target is addressed, one that is away is a failure of the job.

All entities are real, and so are Home Assistant's own actions.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from custom_components.hubqueue.const import DOMAIN
from flows import add_subentry
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from house import furnish
from pytest_homeassistant_custom_component.common import MockConfigEntry

from conftest import Call

type Steps = list[dict[str, Any]]
type Work = Callable[[Steps], Awaitable[None]]

GARDEN = "light.garden is not available"
GONE = "light.gone does not exist"


def turn_on(target: dict[str, Any], action: str = "light.turn_on", **more: Any) -> dict[str, Any]:
    return {"action": action, "target": target, **more}


def on(*entity_ids: str) -> dict[str, Any]:
    return turn_on({"entity_id": list(entity_ids)})


def ways(hass: HomeAssistant, loaded: MockConfigEntry, way: str, **options: Any) -> Work:
    """Begin to work the queue "jobs" with these steps."""

    async def trigger(steps: Steps) -> None:
        taking = {"trigger": "hubqueue.job_received", "options": {"queue": "jobs", **options}}
        named = {"variables": {"job": "{{ trigger.job }}"}}
        config = {"id": "take", "alias": "Take", "triggers": [taking], "actions": [named, *steps]}
        assert await async_setup_component(hass, "automation", {"automation": [config]})

    async def worker(**what: Any) -> None:
        call = {"queue": "jobs", "max_jobs": 1000, **what, **options}
        hass.async_create_task(hass.services.async_call(DOMAIN, "worker", call, blocking=True))

    async def sequence(steps: Steps) -> None:
        await worker(sequence=steps)

    async def script(steps: Steps) -> None:
        assert await async_setup_component(hass, "script", {"script": {"work": {"sequence": steps}}})
        await worker(script="script.work")

    async def subentry(steps: Steps) -> None:
        given = {"name": "Worker", "queue": "jobs", "sequence": steps, "concurrency": 1, **options}
        await add_subentry(hass, loaded, "worker", given)

    return {"trigger": trigger, "sequence": sequence, "script": script, "subentry": subentry}[way]


WAYS = ("trigger", "sequence", "script", "subentry")


async def reasons(call: Call, work: Work, kinds: dict[str, Steps]) -> dict[str, str | None]:
    """How a job of each kind ends: the error of a dead letter, None: completed."""
    pushed = [{"name": name, "maxAttempts": 1} for name in kinds]
    ids = (await call("PUSHB", queue="jobs", jobs=pushed))["ids"]
    choices = [{"conditions": "{{ job.name == '" + name + "' }}", "sequence": steps} for name, steps in kinds.items()]
    await work([{"choose": choices, "default": [{"stop": "no such kind", "error": True}]}])
    ended: dict[str, str | None] = {}
    for name, id in zip(kinds, ids, strict=True):
        job: dict[str, Any] = {}
        while job.get("state") not in ("completed", "failed"):
            job = (await call("WaitJob", id=id, timeout=5000)) and (await call("GetJob", id=id))["job"]
        ended[name] = job["failedReason"] if job["state"] == "failed" else None
    return ended


@pytest.mark.parametrize("way", WAYS)
async def test_a_target_that_is_away_is_a_failure_with_words(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, way: str
) -> None:
    place = await furnish(hass)
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
        "empty area": ([turn_on({"area_id": "empty"})], "light.turn_on has nothing to act on in its target"),
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
            "homeassistant.turn_on has nothing to act on in its target",
        ),
        "wrong domain": ([on("input_boolean.porch")], "light.turn_on cannot be used with input_boolean.porch"),
        "no script": ([turn_on({"entity_id": "script.none"}, "script.turn_on")], "script.none does not exist"),
        "all": ([turn_on({"entity_id": "all"})], None),
        "none": ([turn_on({"entity_id": "none"})], None),
        "empty list": ([turn_on({"entity_id": "{{ [] }}"})], None),
        "refreshed": ([{"action": "homeassistant.update_entity", "data": {"entity_id": "light.garden"}}], None),
        "no target": ([{"action": "persistent_notification.create", "data": {"message": "hello"}}], None),
        "continued": ([{**on("light.garden"), "continue_on_error": True}, on("light.near")], None),
        "in parallel": ([{"parallel": [on("light.garden"), on("light.near")]}], GARDEN),
        "repeated": ([{"repeat": {"count": 2, "sequence": [on("light.garden")]}}], GARDEN),
    }
    if way != "script":
        assert await async_setup_component(hass, "script", {"script": {}})
    assert await async_setup_component(hass, "persistent_notification", {})
    seen = await reasons(call, ways(hass, loaded, way), {kind: steps for kind, (steps, _) in expected.items()})
    assert seen == {kind: error for kind, (_, error) in expected.items()}
