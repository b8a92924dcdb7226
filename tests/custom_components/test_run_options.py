"""What may be said of runs: that what is away is left out, and what must be so when the actions are done."""

from __future__ import annotations

from typing import Any

import probatio as vol
import pytest
from automations import automate, until_job
from custom_components.hubqueue.const import DOMAIN
from custom_components.hubqueue.outcome import Complete, Fail, Keep, Release
from custom_components.hubqueue.run_options import RunOptions
from custom_components.hubqueue.success import expression
from flows import add_subentry, change_subentry, try_subentry
from homeassistant.core import HomeAssistant
from house import furnish, power
from pytest_homeassistant_custom_component.common import MockConfigEntry
from seen import until_state
from ways import WAYS, ways

from conftest import Call

NEAR_ON = "is_state('light.' ~ job.data.light, 'on')"
GARDEN_THEN_NEAR = [
    {"action": "light.turn_on", "target": {"entity_id": "light.garden"}},
    {"action": "light.turn_on", "target": {"entity_id": "light.near"}},
]


@pytest.mark.parametrize("way", WAYS)
async def test_what_is_away_may_be_ignored(hass: HomeAssistant, call: Call, loaded: MockConfigEntry, way: str) -> None:
    await furnish(hass)
    id = (await call("PUSH", queue="jobs", name="send", maxAttempts=1))["id"]
    await ways(hass, loaded, way, unavailable="ignore")(GARDEN_THEN_NEAR)
    await until_job(call, id, state="completed")
    await until_state(hass, "light.near", "on")
    await hass.async_block_till_done()


@pytest.mark.parametrize("way", WAYS)
async def test_a_job_is_done_only_when_things_are_so(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, way: str
) -> None:
    await furnish(hass)
    jobs = [{"name": "on", "data": {"light": name}, "maxAttempts": 1} for name in ("near", "deaf")]
    near, deaf = (await call("PUSHB", queue="jobs", jobs=jobs))["ids"]
    steps = [{"action": "light.turn_on", "target": {"entity_id": "light.{{ job.data.light }}"}}]
    within = {"seconds": 0} if way == "subentry" else {"milliseconds": 50}
    await ways(hass, loaded, way, success=NEAR_ON, success_within=within)(steps)
    await until_job(call, near, state="completed")
    await until_job(call, deaf, state="failed", failedReason=f"not so: {NEAR_ON}")
    await hass.async_block_till_done()


async def test_it_may_take_its_time(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    await furnish(hass)
    id = (await call("PUSH", queue="jobs", name="send", maxAttempts=1))["id"]
    await ways(hass, loaded, "trigger", success="is_state('input_boolean.power', 'on')", success_within="01:00:00")([])
    await until_job(call, id, state="active")
    await power(hass)
    await until_job(call, id, state="completed")


async def test_a_job_that_is_completed_by_hand_waits_for_success_too(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    await furnish(hass)
    id = (await call("PUSH", queue="jobs", name="send", maxAttempts=1))["id"]
    await ways(hass, loaded, "trigger", ack="manual", success="is_state('light.near', 'on')", success_within=0)([])
    await until_job(call, id, state="failed", failedReason="not so: is_state('light.near', 'on')")


@pytest.mark.parametrize("outcome", [Complete(1), Keep(5.0), Fail("broken", final=True), Release(3.0)])
async def test_a_run_that_has_failed_is_not_looked_at_again(hass: HomeAssistant, outcome: Any) -> None:
    never = RunOptions.of({"success": "false == true", "success_within": 0})
    judged = await never.judged(hass, outcome, {})
    assert judged == (Fail("not so: false == true") if isinstance(outcome, (Complete, Keep)) else outcome)
    assert await RunOptions.of({"success": "true == true"}).judged(hass, outcome, {}) == outcome
    wrong = await RunOptions.of({"success": "1 / 0", "success_within": 0}).judged(hass, Complete(), {})
    assert wrong == Fail("success cannot be told: ZeroDivisionError: division by zero")


@pytest.mark.parametrize(
    ("given", "meant"),
    [("is_state('a.b', 'on')", "is_state('a.b', 'on')"), (" {{ 1 == 1 }} ", "1 == 1"), ("{{1}}", "1"), (5, "5")],
)
def test_an_expression_is_taken_with_and_without_braces(given: Any, meant: str) -> None:
    assert expression(given) == meant


@pytest.mark.parametrize("given", [True, "False", " true ", "{% if", "{{ 1", "is_state(", None, ["a"], ""])
def test_what_is_no_expression_is_refused(hass: HomeAssistant, given: Any) -> None:
    with pytest.raises(vol.Invalid):
        expression(given)


@pytest.mark.parametrize(
    "wrong",
    [{"unavailable": "maybe"}, {"success": "is_state("}, {"success_within": -1}, {"success_within": {"hours": 2}}],
)
async def test_mistakes_are_told_everywhere(
    hass: HomeAssistant, loaded: MockConfigEntry, wrong: dict[str, Any]
) -> None:
    with pytest.raises(vol.Invalid):
        RunOptions.of(wrong)
    call = {"queue": "jobs", "sequence": [{"delay": 0}], **wrong}
    with pytest.raises(vol.Invalid):
        await hass.services.async_call(DOMAIN, "worker", call, blocking=True)
    options = {"queue": "jobs", **wrong}
    await automate(
        hass, f"[{{alias: Take, triggers: [{{trigger: hubqueue.job_received, options: {options}}}], actions: []}}]"
    )
    assert hass.states.get("automation.take").state == "unavailable"  # type: ignore[union-attr]


async def test_the_dialog_of_a_worker_takes_them(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    given = {"name": "Lamps", "queue": "jobs", "sequence": [{"delay": 0}], "concurrency": 1}
    wrong = await try_subentry(hass, loaded, "worker", {**given, "success": "is_state("})
    assert wrong["errors"] == {"success": "invalid_option"}
    assert wrong["description_placeholders"]["error"]
    subentry_id = await add_subentry(hass, loaded, "worker", {**given, "success": "1 == 1", "unavailable": "ignore"})
    worker = loaded.runtime_data.workers[subentry_id]
    assert worker._options == RunOptions(ignore=True, success="1 == 1", within_s=30.0)
    await change_subentry(hass, loaded, subentry_id, {**given, "success_within": {"minutes": 2}})
    worker = loaded.runtime_data.workers[subentry_id]
    assert worker._options == RunOptions(ignore=False, success=None, within_s=120.0)
