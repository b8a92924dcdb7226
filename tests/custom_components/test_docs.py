"""The automations of docs/home-assistant.md: each is one that Home Assistant takes, and does what is said of it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from automations import Actions, until_job
from custom_components.hubqueue.actions import ACTIONS
from custom_components.hubqueue.condition import CONDITIONS
from custom_components.hubqueue.trigger import TRIGGERS
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry
from seen import until

from conftest import ROOT, Call

TEXT = (ROOT / "docs" / "home-assistant.md").read_text()
EXAMPLES: dict[str, dict[str, Any]] = {
    example["alias"]: example
    for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    if "alias" in (example := yaml.safe_load(block))
}


@pytest.fixture
def expected_lingering_timers() -> bool:
    """Some wait for a time of the day."""
    return True


async def automate(hass: HomeAssistant, alias: str) -> str:
    """Set an example up; its automation."""
    assert await async_setup_component(hass, "automation", {"automation": [EXAMPLES[alias]]})
    await hass.async_block_till_done()
    (state,) = hass.states.async_all("automation")
    assert state.state == "on", state.attributes
    return state.entity_id


def notes(hass: HomeAssistant, domain: str, name: str) -> list[ServiceCall]:
    """Calls of an action that is somebody else's."""
    calls: list[ServiceCall] = []

    async def note(call: ServiceCall) -> None:
        calls.append(call)

    hass.services.async_register(domain, name, note)
    return calls


@pytest.mark.parametrize("alias", EXAMPLES)
async def test_home_assistant_takes_each_example(hass: HomeAssistant, loaded: MockConfigEntry, alias: str) -> None:
    await automate(hass, alias)


def test_everything_there_is_is_told() -> None:
    for name in (*ACTIONS, "worker", "run_action", *TRIGGERS, *CONDITIONS):
        assert f"`hubqueue.{name}`" in TEXT or f"`{name}`" in TEXT, name


async def test_notifications_are_sent(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    sent = notes(hass, "notify", "send_message")
    await automate(hass, "Send notifications")
    id = (await call("PUSH", queue="notifications", name="send", data={"message": "Hello"}))["id"]
    await until_job(call, id, state="completed")
    assert sent[0].data["message"] == "Hello"


async def test_meters_are_read(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    await automate(hass, "Read meters")
    hass.states.async_set("sensor.water", "12.5")
    data = {"entity_id": "sensor.water"}
    id = (await call("PUSH", queue="meters", name="read.water", data=data))["id"]
    await until_job(call, id, state="completed", returnvalue={"value": 12.5})
    data = {"entity_id": "sensor.gas"}
    id = (await call("PUSH", queue="meters", name="read.gas", data=data, maxAttempts=1))["id"]
    await until_job(call, id, state="failed")


async def test_the_gate_is_asked_for(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    opened = notes(hass, "cover", "open_cover")
    entity_id = await automate(hass, "Ask before opening")
    hass.states.async_set("input_button.open_the_gate", "unknown")
    id = (await call("PUSH", queue="gate", name="open"))["id"]
    await until(lambda: hass.states.get(entity_id).attributes["current"] == 1, "it waits")  # type: ignore[union-attr]
    await until_job(call, id, state="active")
    hass.states.async_set("input_button.open_the_gate", "2026-11-22T08:00:00+00:00")
    await until_job(call, id, state="completed", returnvalue={"opened": True})
    assert len(opened) == 1


async def test_the_night_is_worked(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    sent = notes(hass, "notify", "send_message")
    Actions(hass)
    steps = [{"action": "test.bad"}]
    assert await async_setup_component(hass, "script", {"script": {"upload_backup": {"sequence": steps}}})
    entity_id = await automate(hass, "Heavy work at night")
    await call("PUSHB", queue="backups", jobs=[{"name": "upload", "maxAttempts": 1}] * 2)
    await hass.services.async_call("automation", "trigger", {"entity_id": entity_id}, blocking=True)
    await until(lambda: bool(sent), "told")
    assert sent[0].data["message"] == "2 of 2 uploads failed"


async def test_the_beds_are_watered(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    opened = notes(hass, "switch", "turn_on")
    entity_id = await automate(hass, "Water the beds")
    id = (await call("PUSH", queue="watering", name="bed", data={"valve": "switch.roses"}))["id"]
    await hass.services.async_call("automation", "trigger", {"entity_id": entity_id}, blocking=True)
    await until_job(call, id, state="completed")
    assert opened[0].data["entity_id"] == ["switch.roses"]


async def test_the_garden_light_is_on(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    async def turn_on(call: ServiceCall) -> None:
        hass.states.async_set("light.garden", "on", {"brightness_pct": call.data["brightness_pct"]})

    hass.services.async_register("light", "turn_on", turn_on)
    hass.states.async_set("light.garden", "off")
    entity_id = await automate(hass, "Garden light on at dusk")
    await hass.services.async_call("automation", "trigger", {"entity_id": entity_id}, blocking=True)
    await until(lambda: hass.states.is_state("light.garden", "on"), "on")


async def test_dead_letters_are_told(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    told = notes(hass, "persistent_notification", "create")
    await automate(hass, "Tell of dead letters")
    client = loaded.runtime_data.client
    await until(lambda: bool(client._seen.asked) and not client._tasks, "subscribed")
    await call("PUSH", queue="notifications", name="send", maxAttempts=1)
    reply = await call("PULL", queue="notifications", owner="test")
    await call("FAIL", id=reply["job"]["id"], token=reply["token"], error="no route")
    await until(lambda: bool(told), "told")
    assert dict(told[0].data) == {"title": "notifications: send has failed", "message": "no route"}
