"""Every blueprint in a real Home Assistant, with a real hub: instantiated with few inputs, and run to its end."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from custom_components.hubqueue.const import DOMAIN
from custom_components.hubqueue.queues import async_name_queue
from homeassistant.components import automation
from homeassistant.components.blueprint import Blueprint
from homeassistant.core import Context, HomeAssistant, ServiceCall
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.script import Script
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from homeassistant.util import yaml as yaml_util
from house import furnish, power
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


def listen(hass: HomeAssistant, domain: str, action: str, fails: int = 0) -> list[dict[str, Any]]:
    """What an action is called with; the first calls fail."""
    calls: list[dict[str, Any]] = []

    async def handle(call: ServiceCall) -> None:
        calls.append(dict(call.data))
        if len(calls) <= fails:
            raise HomeAssistantError("the internet is away")

    hass.services.async_register(domain, action, handle)
    return calls


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
    told = listen(hass, "notify", "phone", fails=1)
    notify = [{"action": "notify.phone", "data": {"title": "{{ title }}", "message": "{{ message }}"}}]
    inputs = {"triggers": ON_EVENT, "message": "{{ trigger.event.data.what }} is open", "notify": notify}
    await use(hass, tmp_path, "offline_safe_notification", **inputs)
    hass.bus.async_fire("go", {"what": "The door"})
    await until_done(call, "notifications")
    assert told == [{"title": "Home Assistant", "message": "The door is open"}] * 2
    await call("PUSH", queue="notifications", data={"message": "from elsewhere"})
    await until_done(call, "notifications", 2)
    assert told[-1]["message"] == "from elsewhere"


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
    wanted = [{"condition": "state", "entity_id": "input_boolean.party", "state": "on"}]
    hass.states.async_set("input_boolean.party", "off")
    inputs = {"triggers": ON_EVENT, "entities": ["light.garden"], "still_wanted": wanted}
    await use(hass, tmp_path, "until_it_is_on", **inputs)
    tries = listen(hass, "homeassistant", "turn_on")
    hass.bus.async_fire("go")
    await until_done(call, "until_it_is_on")
    assert tries == []


async def test_what_waits_is_tried_when_the_internet_is_back(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, tmp_path: Path
) -> None:
    assert await async_setup_component(hass, "template", CONNECTION)
    await call("ForwarderPut", name="up", queue="readings", to="tcp://127.0.0.1:9")
    await call("PUSH", queue="notifications", data=1, delay=600_000)
    await call("PUSH", queue="notifications", data=2, maxAttempts=1)
    reply = await call("PULL", queue="notifications", owner="test")
    await call("FAIL", id=reply["job"]["id"], token=reply["token"], error="the internet is away")
    await call("PUSH", queue="other", data=3, delay=600_000)
    inputs = {"connection": ["binary_sensor.internet"], "steady": {"seconds": 0}, "dead_letters": True}
    await use(hass, tmp_path, "internet_is_back", **inputs, forwarders=["up"])
    assert hass.states.is_state("binary_sensor.internet", "off")
    hass.states.async_set("sensor.wan", "up")

    async def tried() -> bool:
        return len((await call("GetJobs", queue="notifications", state=["waiting"]))["jobs"]) == 2

    await until_async(tried, "what was delayed and dead waits")
    assert len((await call("GetJobs", queue="other", state=["delayed"]))["jobs"]) == 1


async def test_another_trigger_may_tell_that_it_is_back(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, tmp_path: Path
) -> None:
    await call("PUSHB", queue="mail", jobs=[{"data": 1, "delay": 600_000}] * 2)
    await use(hass, tmp_path, "internet_is_back", triggers=ON_EVENT, queues=["mail"])
    hass.bus.async_fire("go")

    async def tried() -> bool:
        return len((await call("GetJobs", queue="mail", state=["waiting"]))["jobs"]) == 2

    await until_async(tried, "what was delayed waits")


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
    calls = listen(hass, "light", "turn_on", fails=1)
    shell = listen(hass, "shell_command", "bad")
    await use(hass, tmp_path, "one_command_at_a_time", pause={"milliseconds": 1})
    for number in range(3):
        data = {"action": "light.turn_on", "target": {"entity_id": f"light.l{number}"}, "data": {"brightness": 9}}
        await call("PUSH", queue="mesh", data=data, backoff=60_000)
    await until_done(call, "mesh", 3)
    assert [each["entity_id"] for each in calls].count(["light.l0"]) == 2  # the one that failed ran again
    assert {each["brightness"] for each in calls} == {9}
    await call("PUSH", queue="mesh", data={"action": "shell_command.bad"}, maxAttempts=1)

    async def dead() -> bool:
        return bool((await call("GetJobs", queue="mesh", state=["failed"]))["jobs"])

    await until_async(dead, "a dead letter")
    assert shell == []


async def test_announcements_wait_for_each_other_and_the_important_goes_first(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, tmp_path: Path
) -> None:
    said = listen(hass, "tts", "speak")
    hass.states.async_set("media_player.kitchen", "idle")
    await call("Pause", queue="announcements")
    await call("PUSH", queue="announcements", data={"message": "Dinner"})
    await call("PUSH", queue="announcements", data={"message": "Fire"}, priority=10)
    await use(hass, tmp_path, "announcements", player="media_player.kitchen", voice="tts.voice")
    await call("Resume", queue="announcements")
    for number, message in enumerate(("Fire", "Dinner")):
        await until(lambda number=number: len(said) == number + 1, message)
        assert said[number]["message"] == message
        hass.states.async_set("media_player.kitchen", "playing")
        await hass.async_block_till_done()
        assert len(said) == number + 1
        hass.states.async_set("media_player.kitchen", "idle")
    await until_done(call, "announcements", 2)
    assert DOMAIN in hass.config.components


async def test_an_announcement_is_tried_as_long_as_it_is_worth_anything(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, tmp_path: Path
) -> None:
    """The speaker is away for more tries than the hub's own default has."""
    said = listen(hass, "tts", "speak")
    await use(hass, tmp_path, "announcements", player="media_player.kitchen", voice="tts.voice")
    fields = {"queue": "announcements", "data": {"message": "Water in the cellar"}, "expires": {"minutes": 10}}
    await hass.services.async_call(DOMAIN, "enqueue", fields, blocking=True)

    async def failed(times: int) -> bool:
        jobs = (await call("GetJobs", queue="announcements", state=["delayed"]))["jobs"]
        if jobs and jobs[0]["attempts"] < times:
            await call("PromoteJobs", queue="announcements")
        return bool(jobs) and jobs[0]["attempts"] >= times

    await until_async(lambda: failed(6), "tried six times, and still waiting")
    hass.states.async_set("media_player.kitchen", "idle")
    await hass.services.async_call(DOMAIN, "try_now", {"queue": "announcements"}, blocking=True)
    await until(lambda: bool(said), "said")
    hass.states.async_set("media_player.kitchen", "playing")
    await hass.async_block_till_done()
    hass.states.async_set("media_player.kitchen", "idle")
    await until_done(call, "announcements")


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
