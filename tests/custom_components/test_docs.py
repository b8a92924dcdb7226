"""The automations of docs/home-assistant.md: each is one that Home Assistant takes, and does what is said of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from automations import Actions, heard, promote, until_job
from custom_components.hubqueue.actions import ACTIONS
from custom_components.hubqueue.condition import CONDITIONS
from custom_components.hubqueue.trigger import TRIGGERS
from homeassistant.components.persistent_notification import Notification, UpdateType, async_register_callback
from homeassistant.core import HomeAssistant, callback
from homeassistant.setup import async_setup_component
from house import furnish, phone, power
from pytest_homeassistant_custom_component.common import MockConfigEntry
from seen import until, until_async, until_state

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


@pytest.mark.parametrize("alias", EXAMPLES)
async def test_home_assistant_takes_each_example(hass: HomeAssistant, loaded: MockConfigEntry, alias: str) -> None:
    await automate(hass, alias)


def test_everything_there_is_is_told() -> None:
    for name in (*ACTIONS, "worker", "run_action", *TRIGGERS, *CONDITIONS):
        assert f"`hubqueue.{name}`" in TEXT or f"`{name}`" in TEXT, name


async def test_notifications_are_sent(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    await automate(hass, "Send notifications")
    sent = heard(hass, "notify")
    id = (await call("PUSH", queue="notifications", name="send", data={"message": "Hello"}, backoff=60_000))["id"]
    await until_job(call, id, state="delayed", failedReason="Action notify.send_message not found")
    notifier = await phone(hass)
    notifier.show(False)
    await promote(call, id)
    await until_job(call, id, state="delayed", attempts=2, failedReason="notify.phone is not available")
    notifier.show(True)
    await promote(call, id)
    await until_job(call, id, state="completed")
    assert sent == [{"message": "Hello"}]


async def test_meters_are_read(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    await automate(hass, "Read meters")
    hass.states.async_set("sensor.water", "12.5")
    data = {"entity_id": "sensor.water"}
    id = (await call("PUSH", queue="meters", name="read.water", data=data))["id"]
    await until_job(call, id, state="completed", returnvalue={"value": 12.5})
    data = {"entity_id": "sensor.gas"}
    id = (await call("PUSH", queue="meters", name="read.gas", data=data, maxAttempts=1))["id"]
    await until_job(call, id, state="failed", failedReason="The meter says nothing")


async def test_the_gate_is_asked_for(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    await furnish(hass)
    entity_id = await automate(hass, "Ask before opening")
    away = (await call("PUSH", queue="gate", name="open", maxAttempts=1))["id"]
    there = (await call("PUSH", queue="gate", name="open"))["id"]
    for id, outcome in (
        (away, {"state": "failed", "failedReason": "cover.gate is not available"}),
        (there, {"state": "completed", "returnvalue": {"opened": True}}),
    ):
        await until_job(call, id, state="active")
        await until(lambda: hass.states.get(entity_id).attributes["current"] == 1, "it waits")  # type: ignore[union-attr]
        await hass.services.async_call(
            "input_button", "press", {"entity_id": "input_button.open_the_gate"}, blocking=True
        )
        await until_job(call, id, **outcome)
        await power(hass)
    assert hass.states.get("cover.gate").state == "open"  # type: ignore[union-attr]


async def test_the_night_is_worked(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    await phone(hass)
    sent = heard(hass, "notify")
    Actions(hass)
    steps = [{"action": "test.bad"}]
    assert await async_setup_component(hass, "script", {"script": {"upload_backup": {"sequence": steps}}})
    entity_id = await automate(hass, "Heavy work at night")
    await call("PUSHB", queue="backups", jobs=[{"name": "upload", "maxAttempts": 1}] * 2)
    await hass.services.async_call("automation", "trigger", {"entity_id": entity_id}, blocking=True)
    await until(lambda: bool(sent), "told")
    assert sent == [{"message": "2 of 2 uploads failed"}]


async def test_the_beds_are_watered(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    await furnish(hass)
    entity_id = await automate(hass, "Water the beds")
    jobs = [
        {"name": "bed", "data": {"valve": each}, "backoff": 60_000} for each in ("switch.roses", "switch.not_there")
    ]
    roses, none = (await call("PUSHB", queue="watering", jobs=jobs))["ids"]

    async def sunrise() -> None:
        await hass.services.async_call("automation", "trigger", {"entity_id": entity_id}, blocking=True)

    await sunrise()
    await until_job(call, roses, state="delayed", failedReason="switch.roses is not available")
    await until_job(call, none, state="delayed", failedReason="switch.not_there does not exist")
    await power(hass)
    await promote(call, roses)
    await sunrise()
    await until_job(call, roses, state="completed")
    await until_state(hass, "switch.roses", "on")


async def test_the_garden_light_is_on(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    await furnish(hass)
    entity_id = await automate(hass, "Garden light on at dusk")
    await hass.services.async_call("automation", "trigger", {"entity_id": entity_id}, blocking=True)

    async def waits() -> bool:
        jobs = (await call("GetJobs", queue="ha_actions", state=["delayed"]))["jobs"]
        return [job["failedReason"] for job in jobs] == ["light.garden is not available"]

    await until_async(waits, "it waits for the light")
    await power(hass)
    await call("PromoteJobs", queue="ha_actions", count=10)
    await until_state(hass, "light.garden", "on")


async def test_dead_letters_are_told(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    assert await async_setup_component(hass, "persistent_notification", {})
    told: list[tuple[str | None, str]] = []

    @callback
    def tell(kind: UpdateType, notifications: Mapping[str, Notification]) -> None:
        if kind is UpdateType.ADDED:
            told.extend((each["title"], each["message"]) for each in notifications.values())

    async_register_callback(hass, tell)
    await automate(hass, "Tell of dead letters")
    client = loaded.runtime_data.client
    await until(lambda: bool(client._seen.asked) and not client._tasks, "subscribed")
    await call("PUSH", queue="notifications", name="send", maxAttempts=1)
    reply = await call("PULL", queue="notifications", owner="test")
    await call("FAIL", id=reply["job"]["id"], token=reply["token"], error="no route")
    await until(lambda: bool(told), "told")
    assert told == [("notifications: send has failed", "no route")]
