"""Every blueprint in a real Home Assistant, with a real hub: instantiated with few inputs, and run to its end."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from automations import heard, until_job
from custom_components.hubqueue.const import DOMAIN
from custom_components.hubqueue.queues import async_name_queue
from homeassistant.components import automation
from homeassistant.components.blueprint import Blueprint
from homeassistant.components.media_player import MediaPlayerState
from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.script import Script
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from homeassistant.util import yaml as yaml_util
from house import furnish, phone, power, speak
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed
from seen import until, until_async

from conftest import ROOT, Call

FOLDER = ROOT / "blueprints" / "automation" / "hubqueue"
ALL = sorted(FOLDER.glob("*.yaml"))
ON_EVENT = [{"trigger": "event", "event_type": "go"}]
CONNECTION = {
    "template": [
        {
            "binary_sensor": [
                {"name": "Internet", "device_class": "connectivity", "state": "{{ is_state('sensor.wan', 'up') }}"}
            ]
        }
    ]
}


async def use(hass: HomeAssistant, folder: Path, name: str, **inputs: Any) -> None:
    """An automation of a blueprint, as somebody has imported it."""
    hass.config.config_dir = str(folder)
    shutil.copytree(FOLDER, folder / "blueprints" / "automation" / "hubqueue")
    made = {"id": "made", "alias": "Made", "use_blueprint": {"path": f"hubqueue/{name}.yaml", "input": inputs}}
    assert await async_setup_component(hass, "homeassistant", {})
    assert await async_setup_component(hass, automation.DOMAIN, {automation.DOMAIN: [made]})
    await hass.async_block_till_done()
    state = hass.states.get("automation.made")
    assert state is not None
    assert state.state == "on"


async def until_done(call: Call, queue: str, count: int = 1) -> list[dict[str, Any]]:
    """So many jobs of a queue are completed. One that waits for its next attempt need not."""
    jobs: list[dict[str, Any]] = []

    async def done() -> bool:
        await call("PromoteJobs", queue=queue, count=10)
        jobs[:] = (await call("GetJobs", queue=queue, state=["completed"]))["jobs"]
        return len(jobs) == count

    await until_async(done, f"{count} jobs of {queue} done")
    return jobs


async def until_dead(call: Call, queue: str) -> dict[str, Any]:
    """What is told of the one dead letter of a queue."""
    entries: list[dict[str, Any]] = []

    async def dead() -> bool:
        entries[:] = (await call("Dlq", queue=queue))["entries"]
        return len(entries) == 1

    await until_async(dead, f"a dead letter of {queue}")
    return entries[0]


async def until_refused(call: Call, queue: str, error: str) -> None:
    """A job of a queue has failed for this reason, and will be tried again."""

    async def refused() -> bool:
        jobs = (await call("GetJobs", queue=queue, state=["delayed", "waiting", "active"]))["jobs"]
        return any(job.get("failedReason") == error for job in jobs)

    await until_async(refused, error)


def test_there_are_those_that_the_documentation_names() -> None:
    text = (ROOT / "docs" / "home-assistant.md").read_text()
    assert [path.stem for path in ALL if path.name not in text] == []
    assert len(ALL) == 6


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_it_is_a_blueprint_that_can_be_imported(path: Path) -> None:
    blueprint = Blueprint(
        yaml_util.load_yaml(path), expected_domain="automation", schema=automation.config.AUTOMATION_BLUEPRINT_SCHEMA
    )
    assert blueprint.validate() is None
    about = blueprint.data["blueprint"]
    assert about["source_url"].endswith(f"/blueprints/automation/hubqueue/{path.name}")
    guide = (ROOT / "docs" / "home-assistant.md").read_text()
    assert f"/redirect/blueprint_import/?blueprint_url={quote(about['source_url'], safe='')})" in guide
    for key, field in about["input"].items():
        assert field["name"], key
        assert field["selector"], key


async def test_a_notification_is_tried_until_it_is_through(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, tmp_path: Path
) -> None:
    notifier = await phone(hass)
    sent = heard(hass, "notify")
    notifier.show(False)
    message = {"title": "{{ title }}", "message": "{{ message }}"}
    notify = [{"action": "notify.send_message", "target": {"entity_id": "notify.phone"}, "data": message}]
    inputs = {"triggers": ON_EVENT, "message": "{{ trigger.event.data.what }} is open", "notify": notify}
    await use(hass, tmp_path, "offline_safe_notification", **inputs)
    hass.bus.async_fire("go", {"what": "The door"})
    await until_refused(call, "notifications", "notify.phone is not available")
    assert sent == []
    notifier.show(True)
    await until_done(call, "notifications")
    assert sent == [{"title": "Home Assistant", "message": "The door is open"}]
    await call("PUSH", queue="notifications", data={"message": "from elsewhere"})
    await until_done(call, "notifications", 2)
    assert sent[-1]["message"] == "from elsewhere"


async def test_a_notification_that_never_is_through_is_a_dead_letter_of_which_is_told(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, tmp_path: Path
) -> None:
    notify = [{"action": "notify.not_there", "data": {"message": "{{ message }}"}}]
    inputs = {"triggers": ON_EVENT, "message": "Hello", "notify": notify, "keep_trying": {"seconds": 1}}
    await use(hass, tmp_path, "offline_safe_notification", **inputs)
    hass.bus.async_fire("go")
    dead = await until_dead(call, "notifications")
    assert dead["reason"] == "ttl_expired"
    assert dead["attempts"][-1]["error"]
    assert dead["attempts"][-1]["error"] in dead["error"]
    issues = ir.async_get(hass).issues
    await until(lambda: "dead_letters" in {issue.translation_key for issue in issues.values()}, "a repair")


async def test_a_light_that_never_is_on_is_a_dead_letter(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, tmp_path: Path
) -> None:
    hass.states.async_set("light.garden", "off")
    inputs = {"triggers": ON_EVENT, "entities": ["light.garden"], "wait": {"seconds": 0}, "keep_trying": {"seconds": 1}}
    await use(hass, tmp_path, "until_it_is_on", **inputs)
    hass.bus.async_fire("go")
    dead = await until_dead(call, "until_it_is_on")
    assert dead["reason"] == "ttl_expired"


async def test_a_light_is_tried_until_it_is_on(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, tmp_path: Path
) -> None:
    """One that does not hear the first command, one that is away at first, and one that has been there all the time."""
    await furnish(hass)
    entities = ["light.deaf", "light.garden", "light.near"]
    inputs = {"triggers": ON_EVENT, "entities": entities, "wait": {"seconds": 0.2}}
    await use(hass, tmp_path, "until_it_is_on", **inputs)
    hass.bus.async_fire("go")
    await until_done(call, "until_it_is_on", 2)
    (waiting,) = (await call("GetJobs", queue="until_it_is_on", state=["delayed", "waiting", "active"]))["jobs"]
    assert (waiting["data"], waiting["failedReason"]) == (
        {"entity_id": "light.garden"},
        "light.garden is not available",
    )
    await power(hass)
    await until_done(call, "until_it_is_on", 3)
    assert [hass.states.get(each).state for each in entities] == ["on"] * 3  # type: ignore[union-attr]
    assert hass.states.get("counter.tries").state == "2"  # type: ignore[union-attr]


async def test_a_light_that_is_not_wanted_any_more_stays_off(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, tmp_path: Path
) -> None:
    await furnish(hass)
    wanted = [{"condition": "state", "entity_id": "input_boolean.porch", "state": "on"}]
    inputs = {"triggers": ON_EVENT, "entities": ["light.near"], "still_wanted": wanted}
    await use(hass, tmp_path, "until_it_is_on", **inputs)
    hass.bus.async_fire("go")
    await until_done(call, "until_it_is_on")
    assert hass.states.get("light.near").state == "off"  # type: ignore[union-attr]


async def test_readings_go_into_the_queue_of_an_uplink(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, tmp_path: Path
) -> None:
    hass.states.async_set("sensor.t", "21.5", {"unit_of_measurement": "°C"})
    hass.states.async_set("sensor.gone", "unavailable")
    sensors = ["sensor.t", "sensor.gone", "sensor.none"]
    await use(hass, tmp_path, "readings_to_a_central_server", sensors=sensors, minutes=1, site="cabin")
    later = dt_util.utcnow().replace(second=0, microsecond=0) + dt_util.dt.timedelta(minutes=1)
    async_fire_time_changed(hass, later, fire_all=True)

    async def there() -> bool:
        return bool((await call("GetJobs", queue="readings"))["jobs"])

    await until_async(there, "a reading")
    (job,) = (await call("GetJobs", queue="readings"))["jobs"]
    state = hass.states.get("sensor.t")
    assert state is not None
    assert job["data"] == {
        "site": "cabin",
        "entity_id": "sensor.t",
        "value": "21.5",
        "unit": "°C",
        "at": state.last_reported.isoformat(),
    }
    assert (job["keepTrying"], job["ttl"]) == (30 * 86_400_000, None)
    await hass.services.async_call("automation", "turn_off", {"entity_id": "automation.made"}, blocking=True)


async def test_commands_of_a_burst_run_one_after_the_other(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, tmp_path: Path
) -> None:
    await furnish(hass)
    ran = heard(hass, "call_service")
    await call("Pause", queue="mesh")
    for name, action in (("near", "turn_on"), ("garden", "turn_on"), ("near", "turn_off")):
        data = {"action": f"light.{action}", "target": {"entity_id": f"light.{name}"}}
        await call("PUSH", queue="mesh", data=data, keepTrying=86_400_000)  # until_done has it tried many times
    await use(hass, tmp_path, "one_command_at_a_time", pause={"milliseconds": 1})
    await call("Resume", queue="mesh")
    await until_done(call, "mesh", 2)
    await until_refused(call, "mesh", "light.garden is not available")
    commands = [(each["service"], each["service_data"]["entity_id"]) for each in ran if each["domain"] == "light"]
    assert commands[0] == ("turn_on", ["light.near"])
    assert [each for each in commands if each[1] == ["light.near"]] == [commands[0], ("turn_off", ["light.near"])]
    await power(hass)
    await until_done(call, "mesh", 3)
    assert hass.states.get("light.garden").state == "on"  # type: ignore[union-attr]


async def test_commands_of_other_domains_are_refused(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, tmp_path: Path
) -> None:
    await furnish(hass)
    await use(hass, tmp_path, "one_command_at_a_time", pause={"milliseconds": 1})
    data = {"action": "input_boolean.turn_on", "target": {"entity_id": "input_boolean.porch"}}
    id = (await call("PUSH", queue="mesh", data=data, maxAttempts=1))["id"]
    await until_job(call, id, state="failed", failedReason="This action is not allowed")
    assert hass.states.get("input_boolean.porch").state == "off"  # type: ignore[union-attr]


async def test_announcements_wait_for_each_other_and_the_important_goes_first(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, tmp_path: Path
) -> None:
    speaker = await speak(hass)
    await call("Pause", queue="announcements")
    await call("PUSH", queue="announcements", data={"message": "Dinner"})
    await call("PUSH", queue="announcements", data={"message": "Fire"}, priority=10)
    await use(hass, tmp_path, "announcements", player="media_player.kitchen", voice="tts.voice")
    await call("Resume", queue="announcements")
    for number, message in enumerate(("Fire", "Dinner")):
        await until(lambda number=number: len(speaker.played) == number + 1, message)
        assert speaker.played[number] == message
        assert len((await call("GetJobs", queue="announcements", state=["completed"]))["jobs"]) == number
        speaker.show(MediaPlayerState.IDLE)
    await until_done(call, "announcements", 2)


async def test_an_announcement_is_tried_as_long_as_it_is_worth_anything(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, tmp_path: Path
) -> None:
    """The speaker is away for more tries than the hub's own default has."""
    speaker = await speak(hass)
    speaker.show(None)
    await use(hass, tmp_path, "announcements", player="media_player.kitchen", voice="tts.voice")
    fields = {"queue": "announcements", "data": {"message": "Water in the cellar"}, "ttl": {"minutes": 10}}
    await hass.services.async_call(DOMAIN, "enqueue", fields, blocking=True)

    async def failed(times: int) -> bool:
        jobs = (await call("GetJobs", queue="announcements", state=["delayed"]))["jobs"]
        if jobs and jobs[0]["attempts"] < times:
            await call("PromoteJobs", queue="announcements")
        return bool(jobs) and jobs[0]["attempts"] >= times

    await until_async(lambda: failed(6), "tried six times, and still waiting")
    await until_refused(call, "announcements", "media_player.kitchen is not available")
    speaker.show(MediaPlayerState.IDLE)
    await hass.services.async_call(DOMAIN, "try_now", {"queue": "announcements"}, blocking=True)
    await until(lambda: bool(speaker.played), "said")
    speaker.show(MediaPlayerState.IDLE)
    await until_done(call, "announcements")
    assert speaker.played == ["Water in the cellar"]


async def test_the_commands_of_the_documentation_do_what_it_says(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    text = (ROOT / "docs" / "home-assistant.md").read_text().partition("## Blueprints")[2].partition("\n## ")[0]
    examples = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    assert len(examples) == 2
    for queue in ("mesh", "announcements"):  # as the blueprints do which work them
        async_name_queue(hass, None, queue)
    for example in examples:
        script = Script(hass, cv.SCRIPT_SCHEMA(example["actions"]), "example", DOMAIN)
        await script.async_run(context=Context())
    (command,) = (await call("GetJobs", queue="mesh"))["jobs"]
    assert command["data"]["target"] == {"entity_id": "light.hall"}
    (said,) = (await call("GetJobs", queue="announcements"))["jobs"]
    assert (said["priority"], said["ttl"]) == (10, 600_000)
