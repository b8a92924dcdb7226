"""What entities show of a real hub and do with it."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from custom_components.hubqueue import pages
from custom_components.hubqueue.const import ACTIONS_QUEUE, DOMAIN
from custom_components.hubqueue.diagnostics import (
    async_get_config_entry_diagnostics,
    async_get_device_diagnostics,
)
from custom_components.hubqueue.repairs import async_create_fix_flow
from homeassistant.components.repairs import repairs_flow_manager
from homeassistant.config_entries import SOURCE_HASSIO
from homeassistant.core import Event, EventStateChangedData, HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry, get_system_health_info
from seen import until, until_state

from conftest import ROOT, Call
from support.hub_process import HubProcess


async def press(hass: HomeAssistant, domain: str, action: str, entity_id: str, **fields: Any) -> None:
    await hass.services.async_call(domain, action, {"entity_id": entity_id, **fields}, blocking=True)


async def dead_letter(call: Call, queue: str, error: str = "no") -> str:
    await call("PUSH", queue=queue, data="secret payload")
    reply = await call("PULL", queue=queue, owner="test")
    await call("FAIL", id=reply["job"]["id"], token=reply["token"], error=error, unrecoverable=True)
    id: str = reply["job"]["id"]
    return id


@pytest.mark.usefixtures("all_entities")
async def test_a_queue_is_shown_in_numbers(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    await dead_letter(call, "mail")
    await call("PUSH", queue="mail", data=1, priority=5)
    await call("PUSH", queue="mail", data=1, delay=600_000)
    await call("PUSHB", queue="mail", jobs=[{"data": 1}, {"data": 2}])
    await call("PULL", queue="mail", owner="test")
    for entity, state in {
        "sensor.mail_waiting": "2",
        "sensor.mail_delayed": "1",
        "sensor.mail_active": "1",
        "sensor.mail_dead_letters": "1",
        "binary_sensor.mail_problem": "on",
        "switch.mail_paused": "off",
        "number.mail_concurrency_limit": "0",
        "binary_sensor.home_connection": "on",
    }.items():
        await until_state(hass, entity, state)
    assert int(hass.states.get("sensor.mail_oldest_waiting").state) < 60
    assert hass.states.get("sensor.mail_waiting").attributes["unit_of_measurement"] == "jobs"


async def test_noisy_entities_are_off_until_wanted(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    await call("PUSH", queue="mail", data=1)
    await until_state(hass, "sensor.mail_waiting", "1")
    await until_state(hass, "sensor.mail_delayed", "0")  # what waits for its next try is seen
    registry = er.async_get(hass)
    for entity in (
        "sensor.mail_active",
        "sensor.mail_throughput",
        "sensor.mail_failure_rate",
        "number.mail_concurrency_limit",
        "event.mail_outcome",
        "button.mail_purge_dead_letters",
        "sensor.home_storage_free",
    ):
        assert registry.async_get(entity).disabled_by is er.RegistryEntryDisabler.INTEGRATION, entity
    for each in er.async_entries_for_config_entry(registry, loaded.entry_id):
        registry.async_update_entity(each.entity_id, disabled_by=None)
    await hass.config_entries.async_reload(loaded.entry_id)
    await until_state(hass, "sensor.mail_throughput", "0.0")
    assert hass.states.get("sensor.mail_failure_rate").state == "unknown"
    assert float(hass.states.get("sensor.home_storage_free").state) > 0


async def test_a_queue_is_paused_by_its_switch(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    await call("PUSH", queue="mail", data=1)
    await until_state(hass, "switch.mail_paused", "off")
    await press(hass, "switch", "turn_on", "switch.mail_paused")
    await until_state(hass, "switch.mail_paused", "on")
    assert (await call("IsPaused", queue="mail"))["paused"]
    await press(hass, "switch", "turn_off", "switch.mail_paused")
    await until_state(hass, "switch.mail_paused", "off")


async def test_the_queue_of_actions_is_called_what_it_is(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    await call("PUSH", queue=ACTIONS_QUEUE, data=1)
    await until_state(hass, "sensor.actions_of_home_assistant_waiting", "1")


async def test_no_two_rows_of_a_device_have_one_name(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    await call("ForwarderPut", name="up", queue="readings", to="tcp://127.0.0.1:9")
    await call("PUSH", queue="mail", data=1)
    await until_state(hass, "sensor.mail_waiting", "1")
    await loaded.runtime_data.coordinator.async_refresh()
    await until_state(hass, "sensor.uplink_up_lag", "0")
    names = [
        (each.device_id, each.original_name)
        for each in er.async_entries_for_config_entry(er.async_get(hass), loaded.entry_id)
    ]
    assert len(set(names)) == len(names) > 15


@pytest.mark.usefixtures("all_entities")
async def test_concurrency_is_limited_and_set_free(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    await call("PUSH", queue="mail", data=1)
    await until_state(hass, "number.mail_concurrency_limit", "0")
    for value, limit in ((3, 3), (0, None)):
        await press(hass, "number", "set_value", "number.mail_concurrency_limit", value=value)
        await until_state(hass, "number.mail_concurrency_limit", str(value))
        assert (await call("GetQueueLimits", queue="mail"))["data"]["limits"]["concurrencyLimit"] == limit


async def test_dead_letters_are_retried_by_a_button(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    await dead_letter(call, "mail")
    await until_state(hass, "sensor.mail_dead_letters", "1")
    await press(hass, "button", "press", "button.mail_retry_dead_letters")
    await until_state(hass, "sensor.mail_dead_letters", "0")
    await until_state(hass, "sensor.mail_waiting", "1")


@pytest.mark.usefixtures("all_entities")
async def test_delayed_jobs_are_tried_by_a_button(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    await call("PUSHB", queue="mail", jobs=[{"data": 1, "delay": 600_000}] * 3)
    await until_state(hass, "sensor.mail_delayed", "3")
    await press(hass, "button", "press", "button.mail_try_now")
    await until_state(hass, "sensor.mail_waiting", "3")
    await until_state(hass, "sensor.mail_delayed", "0")


async def test_a_forwarder_is_shown_and_driven(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    await call("ForwarderPut", name="up", queue="readings", to="tcp://127.0.0.1:9")
    await call("PUSH", queue="readings", data=1)
    await loaded.runtime_data.coordinator.async_refresh()
    await until_state(hass, "binary_sensor.uplink_up_connection", "off")
    await until_state(hass, "sensor.uplink_up_lag", "1")
    await press(hass, "button", "press", "button.uplink_up_try_now")
    await press(hass, "switch", "turn_on", "switch.uplink_up_paused")
    await until_state(hass, "switch.uplink_up_paused", "on")
    await until_state(hass, "binary_sensor.uplink_up_connection", "unknown")
    with pytest.raises(HomeAssistantError) as refused:
        await press(hass, "button", "press", "button.uplink_up_try_now")
    assert refused.value.translation_key == "refused"
    await press(hass, "switch", "turn_off", "switch.uplink_up_paused")
    await until_state(hass, "switch.uplink_up_paused", "off")
    await call("ForwarderDelete", name="up")
    await loaded.runtime_data.coordinator.async_refresh()
    await until_state(hass, "switch.uplink_up_paused", None)


@pytest.mark.usefixtures("all_entities")
async def test_outcomes_are_events(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    await call("PUSH", queue="mail", data=1)
    await until_state(hass, "event.mail_outcome", "unknown")
    await dead_letter(call, "mail")
    await until(lambda: hass.states.get("event.mail_outcome").state != "unknown", "an event")
    attributes = hass.states.get("event.mail_outcome").attributes
    assert attributes["event_type"] == "dead_lettered"
    assert attributes["dead_letters"] == 1


async def test_a_busy_queue_writes_at_most_once_a_second(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    await call("PUSH", queue="mail", data=1)
    await until_state(hass, "sensor.mail_waiting", "1")
    writes: list[str] = []

    def note(event: Event[EventStateChangedData]) -> None:
        if event.data["entity_id"] == "sensor.mail_waiting":
            writes.append(event.data["new_state"].state)

    hass.bus.async_listen("state_changed", note)
    changes = 0
    while len(writes) < 2:
        await call("PUSHB", queue="mail", jobs=[{"data": n} for n in range(5)])
        changes += 1
    assert changes > 2 * len(writes)  # not one for each: what the hub sums up in a second is one
    assert len(set(writes)) == len(writes)


async def test_dead_letters_are_a_repair_with_a_way_out(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    issues = ir.async_get(hass).issues
    for step in ("retry", "purge"):
        await dead_letter(call, "mail")
        await until(lambda: bool(issues), "a repair")
        ((_, issue_id),) = issues
        issue = issues[(DOMAIN, issue_id)]
        assert issue.is_fixable
        assert issue.translation_placeholders["queue"] == "mail"
        flow = await async_create_fix_flow(hass, issue_id, issue.data)
        flow.hass = hass
        flow.flow_id = "f"
        flow.handler = DOMAIN
        flow.context = {}
        shown = await flow.async_step_init()
        assert shown["menu_options"] == ["retry", "purge"]
        if step == "purge":
            assert (await flow.async_step_purge())["type"] == "form"
        done = await getattr(flow, f"async_step_{step}")({})
        assert done["type"] == "create_entry"
        await until(lambda: not issues, "no repair")
        await call("Drain", queue="mail")
    flow = await async_create_fix_flow(hass, "x", {"entry_id": "nobody", "queue": "mail"})
    flow.hass = hass
    flow.flow_id, flow.handler, flow.context = "f", DOMAIN, {}
    assert (await flow.async_step_retry())["reason"] == "cannot_connect"


async def test_the_repair_of_dead_letters_says_how_many_why_and_where(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, hub: HubProcess
) -> None:
    issues = ir.async_get(hass).issues
    await dead_letter(call, "mail", "no route to 10.0.0.7")
    await until(lambda: bool(issues), "a repair")
    ((_, issue_id),) = issues
    for number in range(2):
        await dead_letter(call, "mail", f"no route to 10.0.0.{number}")
    for error in ("the last `one`\nsaid *this*", "x" * 1000):
        await dead_letter(call, "mail", error)

    def count() -> str:
        return (issues[(DOMAIN, issue_id)].translation_placeholders or {})["count"]

    await until(lambda: count() == "5", "the number follows")
    assert issues[(DOMAIN, issue_id)].learn_more_url == pages.REPAIRS
    assert await async_setup_component(hass, "repairs", {})
    shown = await repairs_flow_manager(hass).async_init(DOMAIN, data={"issue_id": issue_id})
    told = shown["description_placeholders"]
    assert told is not None
    assert (told["queue"], told["count"], told["hub"]) == ("mail", "5", "Home")
    last, other, alike = told["errors"].splitlines()
    assert last.startswith("- 1 × `xxx")
    assert len(last) < 500
    assert other.startswith("- 1 × `the last 'one'` (rejected by the worker, 20")
    assert alike.startswith("- 3 × `no route to 10.0.0.1` (rejected by the worker, 20")
    async with aiohttp.ClientSession() as session, session.get(told["page"]) as page:
        assert "no route to 10.0.0.1" in await page.text()
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, f"{hub.hub_id}_queue_mail"), loaded.entry_id)
    assert device is not None
    assert told["device"] == f"/config/devices/device/{device.id}"


def test_each_repair_leads_to_the_guide() -> None:
    guide = (ROOT / "docs" / "home-assistant.md").read_text()
    page, _, anchor = pages.REPAIRS.partition("#")
    assert page == json.loads((ROOT / "custom_components" / "hubqueue" / "manifest.json").read_text())["documentation"]
    assert f"\n## {anchor.capitalize()}\n" in guide


async def test_of_the_app_its_panel_is_named(hass: HomeAssistant) -> None:
    data = {"url": "http://a1b2c3d4-hubqueue:6790", "token": "x"}
    app = MockConfigEntry(domain=DOMAIN, unique_id="h", data=data, source=SOURCE_HASSIO)
    app.add_to_hass(hass)
    assert pages.of_dead_letters(app, "mail") == "/app/a1b2c3d4_hubqueue"
    assert pages.of_queue(hass, app, "mail") == "/config/integrations/integration/hubqueue"


async def test_diagnostics_hold_no_payload_and_no_secret(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    await dead_letter(call, "mail")
    await call("ForwarderPut", name="up", queue="readings", to="tcp://127.0.0.1:9", token="hidden")
    await until_state(hass, "sensor.mail_dead_letters", "1")
    await loaded.runtime_data.coordinator.async_refresh()
    dump = await async_get_config_entry_diagnostics(hass, loaded)
    assert dump["snapshot"]["queues"]["mail"]["dead"] == 1
    assert dump["entry"]["url"] == "**REDACTED**"
    assert dump["snapshot"]["links"]["up"]["to"] == "**REDACTED**"
    assert "secret payload" not in str(dump)
    assert "hidden" not in str(dump)
    devices = {each.name: each for each in dr.async_entries_for_config_entry(dr.async_get(hass), loaded.entry_id)}
    assert (await async_get_device_diagnostics(hass, loaded, devices["mail"]))["queue"]["dead"] == 1
    assert (await async_get_device_diagnostics(hass, loaded, devices["Uplink up"]))["link"]["queue"] == "readings"
    assert "snapshot" in await async_get_device_diagnostics(hass, loaded, devices["Home"])


async def test_system_health_sums_up(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    assert await async_setup_component(hass, "system_health", {})
    await call("PUSH", queue="mail", data=1)
    await until_state(hass, "sensor.mail_waiting", "1")
    info = await get_system_health_info(hass, DOMAIN)
    assert (info["hubs"], info["connected"], info["waiting"], info["dead_letters"]) == (1, 1, 1, 0)
