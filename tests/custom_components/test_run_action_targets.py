"""run_action for several entities, however they are named: each is done once, now or when it can be reached."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from automations import promote, until_at_hub, until_job
from custom_components.hubqueue import attempt, comebacks, entity_services, trying
from custom_components.hubqueue.const import ACTIONS_QUEUE, DOMAIN
from homeassistant.components.light import LightEntityFeature
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import floor_registry as fr
from homeassistant.helpers import label_registry as lr
from homeassistant.helpers import service
from homeassistant.helpers.entity_component import DATA_INSTANCES
from homeassistant.setup import async_setup_component
from lamps import Lamps
from pytest_homeassistant_custom_component.common import MockConfigEntry
from seen import until, until_state

from conftest import Call

QUEUE = ACTIONS_QUEUE


@pytest.fixture
async def lamps(hass: HomeAssistant, loaded: MockConfigEntry, monkeypatch: pytest.MonkeyPatch) -> Lamps:
    """`light.one` and `light.two`, which is away."""
    monkeypatch.setattr(trying, "FIRST", timedelta(minutes=20))  # nothing is tried again before the test wants it
    made = Lamps(hass)
    await made.make("one", "two")
    await made.be("unavailable", "two")
    return made


async def run(hass: HomeAssistant, target: Mapping[str, Any], action: str = "light.turn_on", **fields: Any) -> str:
    given = {"action": action, "target": dict(target), **fields}
    answer = await hass.services.async_call(DOMAIN, "run_action", given, blocking=True, return_response=True)
    assert answer is not None
    return str(answer["id"])


async def failed(call: Call, id: str, attempts: int = 1) -> str:
    """Why it has failed, once it has."""
    job = await until_job(call, id, state="delayed", attempts=attempts)
    return str(job["timeline"][-1]["error"])


async def progress(call: Call, id: str) -> dict[str, str]:
    found: dict[str, str] = (await call("GetJob", id=id))["job"]["data"].get("progress", {})
    return found


async def test_one_that_is_away_does_not_hold_the_others_back(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    id = await run(hass, {"entity_id": ["light.one", "light.two"]}, state="on")
    assert await failed(call, id) == "light.two is not available (done: light.one)"
    assert lamps.calls("one") == ["turn_on"]
    assert await progress(call, id) == {"light.one": "done", "light.two": "light.two is not available"}
    job = (await call("GetJob", id=id))["job"]
    assert job["progress"] == 50
    await lamps.be("off", "one")  # somebody wants it dark again: what is done is not done again
    await lamps.be("off", "two")
    await promote(call, id)
    job = await until_job(call, id, state="completed", attempts=1)
    assert job["returnvalue"] == {"done": ["light.one", "light.two"]}
    assert (lamps.calls("one"), lamps.calls("two")) == (["turn_on"], ["turn_on"])


async def house(hass: HomeAssistant) -> dict[str, dict[str, Any]]:
    """The two lamps in a floor, an area, a device, a label and groups, beside what is not meant; ways to name them."""
    floor = fr.async_get(hass).async_create("Outside")
    area = ar.async_get(hass).async_create("Yard", floor_id=floor.floor_id)
    label = lr.async_get(hass).async_create("Night")
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    device = dr.async_get(hass).async_get_or_create(config_entry_id=entry.entry_id, identifiers={("test", "lamps")})
    registry = er.async_get(hass)
    for name in ("one", "two"):
        registry.async_update_entity(f"light.{name}", area_id=area.id, device_id=device.id, labels={label.label_id})
    others: dict[str, dict[str, Any]] = {
        "hidden": {"hidden_by": er.RegistryEntryHider.USER},
        "disabled": {"disabled_by": er.RegistryEntryDisabler.USER},
        "category": {"entity_category": er.EntityCategory.CONFIG},
    }
    for name, options in others.items():
        made = registry.async_get_or_create("light", "test", name, original_name=name, **options)
        registry.async_update_entity(made.entity_id, area_id=area.id, device_id=device.id)
    lux = registry.async_get_or_create("sensor", "test", "lux", original_name="lux", suggested_object_id="lux")
    registry.async_update_entity(lux.entity_id, area_id=area.id, device_id=device.id, labels={label.label_id})
    hass.states.async_set(lux.entity_id, "300")
    assert await async_setup_component(
        hass, "group", {"group": {"yard": {"entities": ["light.one", "light.two", "sensor.lux"]}}}
    )
    for name, members in (("Both", ["light.one", "light.two"]), ("Around", ["light.both"])):
        options = {"group_type": "light", "name": name, "entities": members, "hide_members": False, "all": False}
        group = MockConfigEntry(domain="group", title=name, options=options, version=1, minor_version=1)
        group.add_to_hass(hass)
        assert await hass.config_entries.async_setup(group.entry_id)
    await hass.async_block_till_done()
    return {
        "area": {"area_id": area.id},
        "floor": {"floor_id": floor.floor_id},
        "label": {"label_id": label.label_id},
        "device": {"device_id": device.id},
        "group": {"entity_id": "group.yard"},
        "light group": {"entity_id": "light.both"},
        "group of a group": {"entity_id": "light.around"},
        "twice": {"entity_id": ["light.one", "light.two", "light.both", "group.yard"], "area_id": area.id},
    }


WAYS = ("area", "floor", "label", "device", "group", "light group", "group of a group", "twice")


@pytest.mark.parametrize("action", ["light.turn_on", "homeassistant.turn_on"])
async def test_however_they_are_named(hass: HomeAssistant, call: Call, lamps: Lamps, action: str) -> None:
    assert await async_setup_component(hass, "homeassistant", {})
    ways = await house(hass)
    assert set(ways) == set(WAYS)
    for way, target in ways.items():
        lamps.told.clear()
        await lamps.be("off", "one")
        await lamps.be("unavailable", "two")
        id = await run(hass, target, action, state="on")
        assert await failed(call, id) == "light.two is not available (done: light.one)", way
        assert (lamps.calls("one"), lamps.calls("two")) == (["turn_on"], []), way
        await lamps.be("off", "two")
        await promote(call, id)
        job = await until_job(call, id, state="completed")
        assert job["returnvalue"] == {"done": ["light.one", "light.two"]}, way
        assert (lamps.calls("one"), lamps.calls("two")) == (["turn_on"], ["turn_on"]), way


async def test_all_may_stand_in_the_data(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    id = await run(hass, {}, data={"entity_id": "all"})
    assert await failed(call, id) == "light.two is not available (done: light.one)"
    await lamps.be("off", "two")
    await promote(call, id)
    await until_job(call, id, state="completed")
    id = await run(hass, {}, data={"entity_id": "none"})
    await until_job(call, id, state="completed")
    assert len(lamps.told) == 2


async def test_an_area_is_looked_up_at_each_try(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    area = ar.async_get(hass).async_create("Yard")
    id = await run(hass, {"area_id": area.id})
    assert await failed(call, id) == "nothing of the target exists that light.turn_on is for"
    er.async_get(hass).async_update_entity("light.one", area_id=area.id)
    await promote(call, id)
    job = await until_job(call, id, state="completed")
    assert job["returnvalue"] == {"done": ["light.one"]}


async def test_what_does_not_exist_is_told_by_its_kind(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    target = {"entity_id": ["light.one", "light.nope", "group.nope"], "area_id": "here", "device_id": "it"}
    id = await run(hass, {**target, "floor_id": "up", "label_id": "red"})
    why = await failed(call, id)
    for missing in ("area here", "device it", "floor up", "label red", "light.nope", "group.nope"):
        assert f"{missing} does not exist" in why
    assert why.endswith("(done: light.one)")


@pytest.mark.parametrize("bad", [{"entity_id": "the lamp"}, {"area_id": [[7]]}, {"label_id": {}}])
async def test_a_target_that_is_none_is_said_at_once(
    hass: HomeAssistant, call: Call, lamps: Lamps, bad: dict[str, Any]
) -> None:
    for given in (bad, {"entity_id": "light.one"} | bad):
        id = await run(hass, {}, data=given)
        job = await until_job(call, id, state="failed", attempts=1)
        assert job["failedReason"].startswith("light.turn_on does not take this: ")
    assert lamps.told == []


async def test_what_an_action_is_not_for_is_said_at_once(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    assert await async_setup_component(hass, "input_boolean", {"input_boolean": {"flag": {}}})
    id = await run(hass, {"entity_id": ["light.one", "input_boolean.flag"]})
    job = await until_job(call, id, state="failed", attempts=1)
    assert job["failedReason"] == "light.turn_on is not for input_boolean.flag (done: light.one)"


async def test_one_that_is_disabled_is_told(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    registry = er.async_get(hass)
    registry.async_get_or_create(
        "light", "test", "off", suggested_object_id="off", disabled_by=er.RegistryEntryDisabler.USER
    )
    id = await run(hass, {"entity_id": ["light.one", "light.off"]})
    assert await failed(call, id) == "light.off is disabled (done: light.one)"


async def test_one_whose_integration_is_not_loaded_yet_is_waited_for(
    hass: HomeAssistant, call: Call, lamps: Lamps
) -> None:
    area = ar.async_get(hass).async_create("Yard")
    registry = er.async_get(hass)
    late = registry.async_get_or_create("light", "test", "late", original_name="late", suggested_object_id="late")
    for entity_id in ("light.one", late.entity_id):
        registry.async_update_entity(entity_id, area_id=area.id)
    hass.states.async_set("light.late", "unavailable", {"restored": True})
    id = await run(hass, {"area_id": area.id})
    assert await failed(call, id) == "light.late is not available (done: light.one)"


async def test_one_that_fails_is_tried_again_alone(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    await lamps.be("off", "two")
    lamps.errors["one"] = RuntimeError("no route")
    id = await run(hass, {"entity_id": ["light.one", "light.two"]})
    assert await failed(call, id) == "light.one: no route (done: light.two)"
    lamps.errors.clear()
    await promote(call, id)
    await until_job(call, id, state="completed")
    assert (lamps.calls("one"), lamps.calls("two")) == (["turn_on", "turn_on"], ["turn_on"])


async def test_those_that_are_there_are_told_at_once(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    await lamps.be("off", "two")
    lamps.go.clear()
    id = await run(hass, {"entity_id": ["light.one", "light.two"]})
    await until(lambda: len(lamps.told) == 2, "both")
    lamps.go.set()
    await until_job(call, id, state="completed", attempts=0)


async def test_the_state_and_success_are_of_each(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    await lamps.be("off", "two")
    lamps.works = False
    success = "is_state(entity_id.replace('light', 'sensor'), '1')"
    hass.states.async_set("sensor.two", "1")
    id = await run(hass, {"entity_id": ["light.one", "light.two"]}, success=success, success_within=0)
    assert await failed(call, id) == f"light.one: not so: {success} (done: light.two)"
    id = await run(hass, {"entity_id": ["light.one", "light.two"]}, state="on", success_within=0)
    assert await failed(call, id) == "light.one is off, not on; light.two is off, not on"
    await lamps.be("on", "one")
    await promote(call, id)
    assert await failed(call, id, 2) == "light.two is off, not on (done: light.one)"


async def test_what_is_done_is_noted_while_others_are_waited_for(
    hass: HomeAssistant, call: Call, lamps: Lamps, loaded: MockConfigEntry
) -> None:
    """And not done again when the run was broken off."""
    await lamps.be("off", "two")
    lamps.errors["two"] = RuntimeError("no route")
    id = await run(hass, {"entity_id": ["light.one", "light.two"]}, success="is_state(entity_id, 'on')")
    await until_job(call, id, state="delayed")
    lamps.told.clear()
    lamps.errors.clear()
    lamps.works = False
    id = await run(hass, {"entity_id": ["light.one", "light.two"]}, state="on", success_within=3600)
    await until(lambda: len(lamps.told) == 2, "told")
    await lamps.be("on", "one")

    async def noted() -> bool:
        return (await progress(call, id)).get("light.one") == "done"

    await until_at_hub(noted, "noted")
    assert (await progress(call, id))["light.two"] == "light.two is being done"
    await until_job(call, id, state="active")
    await lamps.be("off", "one")
    lamps.works = True
    assert await hass.config_entries.async_reload(loaded.entry_id)
    await until_job(call, id, state="completed")
    assert (lamps.calls("one"), lamps.calls("two")) == (["turn_on"], ["turn_on", "turn_on"])


async def test_a_note_that_is_not_ours_is_none(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    await lamps.be("unavailable", "one")
    id = await run(hass, {"entity_id": ["light.one", "light.two"]})
    await until_job(call, id, state="delayed", attempts=1)
    data = (await call("GetJob", id=id))["job"]["data"]
    forged = json.dumps({"done": {"light.one": er.async_get(hass).async_get("light.one").id}, "id": id})  # type: ignore[union-attr]
    await lamps.be("off", "one")
    for attempts, bad in enumerate(({"noted": forged}, {"noted": 7}, {"noted_signature": None}, {"noted": "{}"}), 1):
        await call("Update", id=id, data={**data, **bad, "progress": {"light.one": "done"}})
        await promote(call, id)
        await until_job(call, id, state="delayed", attempts=attempts + 1)
        assert lamps.calls("one") == ["turn_on"] * attempts
    other = await run(hass, {"entity_id": ["light.one", "light.two"]})
    await until_job(call, other, state="delayed", attempts=1)
    theirs = (await call("GetJob", id=other))["job"]["data"]
    note = {key: theirs[key] for key in ("noted", "noted_signature")}
    await call("Update", id=id, data={**data, **note})  # of another job
    await promote(call, id)
    await until_job(call, id, state="delayed", attempts=6)
    assert lamps.calls("one") == ["turn_on"] * 6


async def test_a_newer_call_ends_what_waits_of_an_older_one(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    lamps.go.clear()
    both = {"entity_id": ["light.one", "light.two"]}
    first = await run(hass, both, supersede="yard")
    await until(lambda: len(lamps.told) == 1, "the first runs")
    second = await run(hass, both, "light.turn_off", supersede="yard")
    lamps.go.set()
    job = await until_job(call, first, state="completed")
    assert job["returnvalue"] == {"superseded": True, "done": ["light.one"]}
    assert await failed(call, second) == "light.two is not available (done: light.one)"
    await lamps.be("on", "two")
    await promote(call, second)
    await until_job(call, second, state="completed")
    assert (lamps.calls("one"), lamps.calls("two")) == (["turn_on", "turn_off"], ["turn_off"])


async def test_a_dead_letter_says_who_was_done(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    id = await run(hass, {"entity_id": ["light.one", "light.two"]}, keep_trying=2)
    job = await until_job(call, id, state="failed", reason="ttl_expired")
    assert job["failedReason"] == "light.two is not available (done: light.one)"
    await lamps.be("off", "two")
    await call("RetryDlq", queue=QUEUE, jobId=id)
    await until_job(call, id, state="completed")
    assert (lamps.calls("one"), lamps.calls("two")) == (["turn_on"], ["turn_on"])


async def test_one_is_found_by_its_new_name(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    """And what was done is not done again under a new name."""
    area = ar.async_get(hass).async_create("Yard")
    registry = er.async_get(hass)
    registry.async_update_entity("light.one", area_id=area.id)
    id = await run(hass, {"entity_id": "light.two", "area_id": area.id})
    assert await failed(call, id) == "light.two is not available (done: light.one)"
    for old, new in (("one", "uno"), ("two", "due")):
        registry.async_update_entity(f"light.{old}", new_entity_id=f"light.{new}")
        await hass.async_block_till_done()
    hass.states.async_set("test.two", "off")
    await until_state(hass, "light.due", "off")
    await promote(call, id)
    await until_job(call, id, state="completed")
    assert (lamps.calls("one"), lamps.calls("two")) == (["turn_on"], ["turn_on"])


async def test_one_that_was_removed_is_not_waited_for(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    area = ar.async_get(hass).async_create("Yard")
    registry = er.async_get(hass)
    for name in ("one", "two"):
        registry.async_update_entity(f"light.{name}", area_id=area.id)
    id = await run(hass, {"area_id": area.id})
    assert await failed(call, id) == "light.two is not available (done: light.one)"
    named = await run(hass, {"entity_id": "light.two"})
    await until_job(call, named, state="delayed", attempts=1)
    registry.async_remove("light.two")
    await hass.async_block_till_done()
    await promote(call, id)
    await until_job(call, id, state="completed")
    await promote(call, named)
    assert await failed(call, named, 2) == "light.two does not exist"


async def test_an_action_for_all_at_once_is_called_once(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    """As Home Assistant's batched actions are."""
    batches: list[list[str]] = []

    async def paint(entities: list[Any], _: Any) -> None:
        batches.append(sorted(each.entity_id for each in entities))

    hass.data[DATA_INSTANCES]["light"].async_register_batched_entity_service("paint", {}, paint)
    await lamps.be("off", "two")
    id = await run(hass, {"entity_id": ["light.one", "light.two"]}, "light.paint")
    await until_job(call, id, state="completed")
    assert batches == [["light.one", "light.two"]]
    await lamps.be("unavailable", "two")
    id = await run(hass, {"entity_id": ["light.one", "light.two"]}, "light.paint")
    assert await failed(call, id) == "light.two is not available (done: light.one)"


async def test_features_count(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    """Who lacks one is left out of an area, and told when it is named."""
    hass.data[DATA_INSTANCES]["light"].async_register_entity_service(
        "flash", {}, "async_turn_on", [LightEntityFeature.FLASH]
    )
    area = ar.async_get(hass).async_create("Yard")
    er.async_get(hass).async_update_entity("light.one", area_id=area.id)
    id = await run(hass, {"area_id": area.id}, "light.flash")
    assert await failed(call, id) == "nothing of the target exists that light.flash is for"
    id = await run(hass, {"entity_id": "light.one"}, "light.flash")
    assert "light.one does not support" in await failed(call, id)


async def test_one_that_comes_back_is_done_at_once(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    """Its back-off is ten minutes here."""
    id = await run(hass, {"entity_id": ["light.one", "light.two"]}, state="on")
    await until_job(call, id, state="delayed", attempts=1)
    await lamps.be("off", "two")
    await until_job(call, id, state="completed", attempts=1)


async def test_calls_that_are_remembered_are_bounded(
    hass: HomeAssistant, call: Call, lamps: Lamps, loaded: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comebacks, "MOST", 2)
    ids = [await run(hass, {"entity_id": "light.two"}) for _ in range(3)]
    for id in ids:
        await until_job(call, id, state="delayed")
    waiting = loaded.runtime_data.calls._comebacks._waiting
    await until(lambda: len(waiting) == 2, "two are remembered")
    assert await hass.config_entries.async_unload(loaded.entry_id)
    assert not waiting
    await lamps.be("off", "two")


async def test_one_that_hangs_does_not_hold_the_others_back(
    hass: HomeAssistant, call: Call, lamps: Lamps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "CALL_S", 0.2)
    await lamps.be("off", "two")
    lamps.hang = {"two"}
    lamps.go.clear()
    id = await run(hass, {"entity_id": ["light.one", "light.two"]})
    assert await failed(call, id) == "light.two: it did not end within 0.2 s (done: light.one)"
    lamps.go.set()


async def test_one_that_goes_away_without_a_word_has_not_done_it(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    """Integrations that catch every error do so. A button that restarts its device has worked."""
    await lamps.be("off", "two")
    lamps.breaks = {"two": "light.two", "button": "button.restart"}
    press = [{"action": "test.lamp", "data": {"lamp": "button", "service": "press"}}]
    there = "{{ not is_state('test.button', 'unavailable') }}"
    hass.states.async_set("test.button", "on")
    button = {"name": "restart", "press": press, "availability": there}
    assert await async_setup_component(hass, "button", {})
    made = MockConfigEntry(domain="template", title="restart", options={"template_type": "button", **button})
    made.add_to_hass(hass)
    assert await hass.config_entries.async_setup(made.entry_id)
    await until_state(hass, "button.restart", "unknown")
    id = await run(hass, {"entity_id": ["light.one", "light.two"]}, success_within=0)
    assert await failed(call, id) == "light.two is not available (done: light.one)"
    id = await run(hass, {"entity_id": "button.restart"}, "button.press", success_within=0)
    await until_job(call, id, state="completed", attempts=0)
    await until_state(hass, "button.restart", "unavailable")
    assert lamps.calls("button") == ["press"]


async def test_an_action_of_a_platform_is_for_its_entities(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    async def blink(entity: Any, _: ServiceCall) -> None:
        await entity.async_turn_on()

    service.async_register_platform_entity_service(
        hass, "template", "blink", entity_domain="light", func=blink, schema=None
    )
    area = ar.async_get(hass).async_create("Yard")
    registry = er.async_get(hass)
    other = registry.async_get_or_create("light", "test", "other", original_name="other", suggested_object_id="other")
    for entity_id in ("light.one", "light.two", other.entity_id):
        registry.async_update_entity(entity_id, area_id=area.id)
    hass.states.async_set("light.other", "unavailable")
    id = await run(hass, {"area_id": area.id}, "template.blink")
    assert await failed(call, id) == "light.two is not available (done: light.one)"
    id = await run(hass, {"entity_id": "light.other"}, "template.blink")
    job = await until_job(call, id, state="failed")
    assert job["failedReason"] == "template.blink is not for light.other"


NAMES = ("one", "two", "three", "four", "five")


@pytest.mark.parametrize("seed", range(3))
async def test_whoever_is_away_or_fails_each_is_done_once(
    hass: HomeAssistant, loaded: MockConfigEntry, seed: int
) -> None:
    """Lamps that come, go and fail by chance, named in any way, are told until they have done it, and not again."""
    chance = random.Random(seed)
    lamps = Lamps(hass)
    await lamps.make(*NAMES)
    areas = {name: ar.async_get(hass).async_create(name).id for name in NAMES}
    for name, area in areas.items():
        er.async_get(hass).async_update_entity(f"light.{name}", area_id=area)
    for _ in range(25):
        lamps.told.clear()
        meant = chance.sample(NAMES, chance.randint(1, len(NAMES)))
        by_area = [name for name in meant if chance.random() < 0.5]
        target = {
            "area_id": [areas[name] for name in by_area],
            "entity_id": [f"light.{name}" for name in meant if name not in by_area or chance.random() < 0.3],
        }
        call = {"action": "light.turn_on", "data": {}, "target": target, "success_within_s": 0}
        done: dict[str, str] = {}
        did: set[str] = set()
        while len(did) < len(meant):
            for name in NAMES:
                await lamps.be(chance.choice(("unavailable", "off", "on")), name)
            lamps.errors = {name: RuntimeError("no route") for name in NAMES if chance.random() < 0.3}
            before = len(lamps.told)
            tried = attempt.Attempt(hass, call | {"ids": {}, "user_id": None}, done)
            there = {name for name in meant if not hass.states.is_state(f"light.{name}", "unavailable")}
            await tried.run()
            now = there - did
            assert sorted(each.lamp for each in lamps.told[before:]) == sorted(now)
            did |= now - set(lamps.errors)
            done = tried.done
            assert set(done) == {f"light.{name}" for name in did}
            assert set(tried.waits) == {f"light.{name}" for name in set(meant) - did}


async def test_what_a_scene_or_a_script_cannot_reach_counts(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    await lamps.be("off", "two")
    scene = {"name": "Night", "entities": {"light.one": "on", "light.gone": "on"}}
    assert await async_setup_component(hass, "scene", {"scene": [scene]})
    steps = [{"action": "light.turn_on", "target": {"entity_id": name}} for name in ("light.one", "light.two")]
    assert await async_setup_component(hass, "script", {"script": {"night": {"sequence": steps}}})
    await hass.async_block_till_done()
    id = await run(hass, {"entity_id": "scene.night"}, "scene.turn_on")
    assert "light.gone does not exist" in await failed(call, id)
    await lamps.be("unavailable", "two")
    id = await run(hass, {}, "script.night")
    assert await failed(call, id) == "light.two is not available"
    await lamps.be("off", "two")
    await promote(call, id)
    job = await until_job(call, id, state="completed")
    assert lamps.calls("two") == ["turn_on"]
    assert "returnvalue" not in job


async def test_what_is_for_those_that_are_away_is_done(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    """An action that is not one of entities may be there for just that."""
    assert await async_setup_component(hass, "homeassistant", {})
    id = await run(hass, {}, "homeassistant.update_entity", data={"entity_id": ["light.two"]})
    await until_job(call, id, state="completed", attempts=0)


async def test_a_generic_action_is_for_whoever_can_do_it(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    note = [{"action": "test.lamp", "data": {"lamp": "script", "service": "turn_on"}}]
    house: dict[str, Any] = {
        "homeassistant": {},
        "input_boolean": {"flag": {}},
        "script": {"night": {"sequence": note}},
        "input_number": {"level": {"min": 0, "max": 9}},
    }
    for domain, config in house.items():
        assert await async_setup_component(hass, domain, {domain: config})
    entity_ids = ["light.one", "light.two", "input_boolean.flag", "script.night", "input_number.level"]
    id = await run(hass, {"entity_id": entity_ids}, "homeassistant.turn_on")
    assert await failed(call, id) == (
        "homeassistant.turn_on is not for input_number.level; light.two is not available "
        "(done: input_boolean.flag, light.one, script.night)"
    )
    await until(lambda: lamps.calls("script") == ["turn_on"], "the script has run")
    assert hass.states.is_state("input_boolean.flag", "on")


async def test_how_home_assistant_registers_actions_of_entities_is_known(hass: HomeAssistant) -> None:
    domains = "alarm_control_panel automation button climate cover fan input_boolean lawn_mower light lock notify"
    domains += " media_player number scene script select siren switch todo update vacuum valve water_heater"
    for domain in domains.split():
        assert await async_setup_component(hass, domain, {})
    found, others = set[str](), set[str]()
    for domain, services in hass.services.async_services().items():
        for name, registered in services.items():
            known = entity_services.entity_service(hass, domain, name)
            if known is not None:
                assert known.domains == {domain}
                found.add(f"{domain}.{name}")
            elif registered.schema is not None and cv.is_entity_service_schema(registered.schema):
                others.add(f"{domain}.{name}")
    assert others == {"scene.delete", "script.toggle", "script.turn_off", "script.turn_on"}  # they do as they like
    assert {"light.turn_on", "cover.open_cover", "notify.send_message", "vacuum.clean_area"} <= found


async def test_a_home_assistant_that_is_not_known_does_all_at_once(
    hass: HomeAssistant, call: Call, lamps: Lamps, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(entity_services, "ONE_BY_ONE", None)
    entity_services.look_for_them()
    assert "this version of Home Assistant is not known" in caplog.text
    id = await run(hass, {"entity_id": ["light.one", "light.two"]}, state="on")
    assert await failed(call, id) == "light.two is not available"
    await lamps.be("off", "two")
    await promote(call, id)
    await until_job(call, id, state="completed")


def test_what_is_told_is_bounded() -> None:
    assert attempt._some([str(n) for n in range(30)], ", ").endswith("19 and 10 more")
