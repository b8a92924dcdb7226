"""Who is meant by the target of run_action, however it is named, and who of them is told."""

from __future__ import annotations

from typing import Any

import pytest
from automations import promote, until_job
from custom_components.hubqueue import entity_services
from custom_components.hubqueue.const import DOMAIN
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
from targets import failed, run, two_lamps

from conftest import Call


@pytest.fixture
async def lamps(hass: HomeAssistant, loaded: MockConfigEntry, monkeypatch: pytest.MonkeyPatch) -> Lamps:
    return await two_lamps(hass, monkeypatch)


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
