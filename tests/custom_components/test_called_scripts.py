"""Scripts that a run calls as actions: one that has not done what it is for fails the job, whoever called it."""

from __future__ import annotations

from typing import Any

import pytest
from automations import until_job
from custom_components.hubqueue.const import DOMAIN
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from house import furnish
from pytest_homeassistant_custom_component.common import MockConfigEntry
from seen import until_state
from ways import Steps, reasons, ways

from conftest import Call

CONTINUED = {"action": "script.says_no", "continue_on_error": True}
WAITING: Steps = [{"wait_for_trigger": [{"trigger": "event", "event_type": "go"}]}]
NEVER = {"wait_template": "{{ false }}", "timeout": {"milliseconds": 1}, "continue_on_timeout": False}
SCRIPTS: dict[str, dict[str, Any]] = {
    "says_no": {"sequence": [{"if": "{{ true }}", "then": [{"stop": "no: {{ 1 + 1 }}", "error": True}]}]},
    "says_nothing": {"sequence": [{"stop": "", "error": True}]},
    "waits": {"sequence": [NEVER]},
    "calls_one": {"sequence": [{"action": "script.says_no"}, {"stop": "not this", "error": True}]},
    "goes_on": {"sequence": [CONTINUED]},
    "calls_itself": {"mode": "queued", "sequence": [{"action": "script.calls_itself"}]},
    "has_nothing_to_do": {"sequence": [{"condition": "template", "value_template": "{{ false }}"}]},
    "stops": {"sequence": [{"stop": "enough"}]},
    "busy": {"sequence": WAITING},
    "crowded": {"mode": "parallel", "max": 2, "sequence": WAITING},
}
EXPECTED = {
    "says_no": "no: 2",
    "says_nothing": "script.says_nothing stopped with an error",
    "waits": "a wait among the actions took too long (sequence/0)",
    "calls_one": "no: 2",
    "goes_on": None,
    "calls_itself": "script.calls_itself calls itself without end",
    "has_nothing_to_do": None,
    "stops": None,
    "busy": "script.busy is running already",
    "crowded": "script.crowded is running already",
}


async def write(hass: HomeAssistant, **more: dict[str, Any]) -> None:
    """All scripts, and some of them run."""
    await furnish(hass)
    assert await async_setup_component(hass, "script", {"script": {**SCRIPTS, **more}})
    for name in ("busy", "crowded", "crowded"):
        running = hass.services.async_call("script", name, {}, blocking=True)
        hass.async_create_background_task(running, f"script {name}")  # nobody waits for it to end
    await until_state(hass, "script.busy", "on")
    await until_state(hass, "script.crowded", "on")


@pytest.mark.parametrize(("way", "unavailable"), [("trigger", "fail"), ("sequence", "ignore"), ("subentry", "fail")])
async def test_a_run_stops_at_a_script_that_was_not_done(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, way: str, unavailable: str
) -> None:
    await write(hass)
    work = ways(hass, loaded, way, unavailable=unavailable)
    after = {"action": "input_boolean.turn_on", "target": {"entity_id": "input_boolean.near"}}
    steps: dict[str, Steps] = {name: [{"action": f"script.{name}"}] for name in SCRIPTS}
    steps["after"] = [{"action": "script.says_no"}, after]
    assert await reasons(hass, call, work, steps) == {**EXPECTED, "after": "no: 2"}
    await until_state(hass, "light.near", "off")
    hass.bus.async_fire("go")
    await hass.async_block_till_done()


async def test_a_script_that_works_jobs_may_call_others(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    choices = [{"conditions": f"{{{{ job.name == '{n}' }}}}", "sequence": [{"action": f"script.{n}"}]} for n in SCRIPTS]
    await write(hass, work={"sequence": [{"choose": choices}]})
    ids = (await call("PUSHB", queue="jobs", jobs=[{"name": name, "maxAttempts": 1} for name in SCRIPTS]))["ids"]
    given = {"queue": "jobs", "max_jobs": 100, "script": "script.work"}
    await hass.services.async_call(DOMAIN, "worker", given, blocking=True)
    jobs = [(await call("GetJob", id=id))["job"] for id in ids]
    assert {job["name"]: job.get("failedReason") for job in jobs} == EXPECTED
    hass.bus.async_fire("go")
    await hass.async_block_till_done()


async def test_run_action_tries_a_script_again_that_was_not_done(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    await write(hass)
    ids = {}
    for name in ("says_no", "busy", "stops"):
        given = {"action": f"script.{name}"}
        answer = await hass.services.async_call(DOMAIN, "run_action", given, blocking=True, return_response=True)
        assert answer is not None
        ids[name] = str(answer["id"])
    for name in ("says_no", "busy"):
        job = await until_job(call, ids[name], state="delayed", attempts=1)
        assert job["timeline"][-1]["error"] == EXPECTED[name]
    await until_job(call, ids["stops"], state="completed", attempts=0)
    hass.bus.async_fire("go")
    await until_state(hass, "script.busy", "off")
    await call("Promote", id=ids["busy"])
    await until_state(hass, "script.busy", "on")
    hass.bus.async_fire("go")
    await until_job(call, ids["busy"], state="completed")
