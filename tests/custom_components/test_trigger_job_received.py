"""Trigger job_received: how the run of an automation ends decides what becomes of the job, row by row."""

from __future__ import annotations

from typing import Any

import probatio as vol
import pytest
import yaml
from automations import Actions, automate, heard, promote, until_job
from custom_components.hubqueue.const import DOMAIN
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import EVENT_HOMEASSISTANT_STARTED
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.trigger import async_validate_trigger_config
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry
from seen import until

from conftest import Call
from support.hub_process import HubProcess
from support.waiting import soon

TAKE = """
- id: take
  alias: Take
  mode: {mode}
  triggers: [{{trigger: hubqueue.job_received, options: {options}}}]
  {more}
  actions:
{actions}
"""


def take(actions: str, *, mode: str = "single", options: str = "{queue: mail}", more: str = "") -> str:
    lines = "\n".join(f"    - {line}" for line in actions.splitlines())
    return TAKE.format(mode=mode, options=options, more=more, actions=lines)


@pytest.fixture
def actions(hass: HomeAssistant, loaded: MockConfigEntry) -> Actions:
    return Actions(hass)


@pytest.fixture
async def job(call: Call) -> str:
    """A job that waits, tried at most twice."""
    id: str = (await call("PUSH", queue="mail", name="send", data={"to": "ada"}, maxAttempts=2, backoff=1))["id"]
    return id


async def test_run_to_the_end_completes(hass: HomeAssistant, call: Call, actions: Actions, job: str) -> None:
    said = "{action: test.note, data: {to: '{{ trigger.job.data.to }}', queue: '{{ trigger.queue }}'}}"
    await automate(hass, take(said))
    found = await until_job(call, job, state="completed")
    assert actions.noted == [{"to": "ada", "queue": "mail"}]
    assert (found.get("returnvalue"), found["attempts"]) == (None, 0)


async def test_stop_with_a_response_is_the_result(hass: HomeAssistant, call: Call, actions: Actions, job: str) -> None:
    await automate(
        hass, take("{action: test.note, response_variable: answer}\n{stop: done, response_variable: answer}")
    )
    found = await until_job(call, job, state="completed")
    assert found["returnvalue"] == {"noted": 1}


@pytest.mark.parametrize(
    ("steps", "error"),
    [
        ("{action: test.bad}", "it went wrong"),
        ("{action: test.missing}", "Action test.missing not found"),
        ("{action: test.note, data: {to: '{{ 1 / 0 }}'}}", "division by zero"),
        ("{stop: enough, error: true}", "enough"),
        ("{condition: template, value_template: '{{ false }}'}", "a condition among the actions"),
    ],
)
async def test_a_run_that_fails_is_tried_again_and_becomes_a_dead_letter(
    hass: HomeAssistant, call: Call, actions: Actions, job: str, steps: str, error: str
) -> None:
    await automate(hass, take(steps))
    found = await until_job(call, job, state="failed")
    assert error in found["failedReason"]
    assert (found["attempts"], found["reason"]) == (2, "max_attempts_exceeded")


async def test_a_failure_that_is_gone_by_the_next_run_completes(
    hass: HomeAssistant, call: Call, actions: Actions
) -> None:
    id = (await call("PUSH", queue="mail", name="send", maxAttempts=5, backoff=300_000))["id"]
    await automate(hass, take("{action: test.bad}"))
    await until_job(call, id, state="delayed", attempts=1)
    actions.bad = False
    await promote(call, id)
    await until_job(call, id, state="completed", attempts=1)


async def test_continue_on_error_completes(hass: HomeAssistant, call: Call, actions: Actions, job: str) -> None:
    await automate(hass, take("{action: test.bad, continue_on_error: true}"))
    await until_job(call, job, state="completed", attempts=0)


async def test_conditions_that_are_false_give_back_uncounted(
    hass: HomeAssistant, call: Call, actions: Actions, job: str
) -> None:
    more = 'conditions: [{condition: template, value_template: \'{{ is_state("sensor.home", "on") }}\'}]'
    await automate(hass, take("{action: test.note}", more=more))
    found = await until_job(call, job, state="delayed")
    assert (found["attempts"], actions.noted) == (0, [])
    hass.states.async_set("sensor.home", "on")
    await promote(call, job)
    await until_job(call, job, state="completed", attempts=0)


async def test_a_busy_automation_gives_back_uncounted(
    hass: HomeAssistant, call: Call, actions: Actions, job: str
) -> None:
    more = "max_exceeded: silent"
    await automate(hass, take("{action: test.wait}", options="{queue: mail, concurrency: 2}", more=more))
    await until(lambda: actions.waiting == 1, "the first runs")
    other = (await call("PUSH", queue="mail", name="send", maxAttempts=2))["id"]
    await until_job(call, other, state="delayed", attempts=0)
    actions.go.set()
    for id in (job, other):
        await until_job(call, id, state="completed", attempts=0)


async def test_too_many_runs_give_back_uncounted(hass: HomeAssistant, call: Call, actions: Actions) -> None:
    ids = (await call("PUSHB", queue="mail", jobs=[{"name": "send", "maxAttempts": 1}] * 3))["ids"]
    options = "{queue: mail, concurrency: 3}"
    await automate(
        hass, take("{action: test.wait}", mode="parallel", options=options, more="max: 2\n  max_exceeded: silent")
    )
    await until(lambda: actions.waiting == 2, "two run")
    await until_job(call, ids[2], state="delayed", attempts=0)
    actions.go.set()
    for id in ids:
        await until_job(call, id, state="completed", attempts=0)


async def test_variables_that_cannot_be_rendered_fail(
    hass: HomeAssistant, call: Call, actions: Actions, job: str
) -> None:
    await automate(hass, take("{action: test.note}", more="variables: {bad: '{{ 1 / 0 }}'}"))
    found = await until_job(call, job, state="failed")
    assert "division by zero" in found["failedReason"]


async def test_a_run_that_is_stopped_midway_gives_back(
    hass: HomeAssistant, call: Call, actions: Actions, job: str
) -> None:
    await automate(hass, take("{delay: 3600}\n{action: test.note}"))
    await until_job(call, job, state="active")
    await until(lambda: hass.states.get("automation.take").attributes["current"] == 1, "it runs")  # type: ignore[union-attr]
    await hass.services.async_call("automation", "turn_off", {"entity_id": "automation.take"}, blocking=True)
    found = await until_job(call, job, state="waiting")
    assert (found["attempts"], found["lostCount"], actions.noted) == (0, 0, [])


async def test_a_run_that_is_stopped_in_its_last_action_gives_back(
    hass: HomeAssistant, call: Call, actions: Actions, job: str
) -> None:
    await automate(hass, take("{delay: 3600}"))
    await until_job(call, job, state="active")
    await until(lambda: hass.states.get("automation.take").attributes["current"] == 1, "it runs")  # type: ignore[union-attr]
    await hass.services.async_call("automation", "turn_off", {"entity_id": "automation.take"}, blocking=True)
    await until_job(call, job, state="waiting", attempts=0)


async def test_queued_runs_wait_their_turn(hass: HomeAssistant, call: Call, actions: Actions) -> None:
    ids = (await call("PUSHB", queue="mail", jobs=[{"name": "send", "maxAttempts": 1}] * 3))["ids"]
    await automate(hass, take("{action: test.wait}", mode="queued", options="{queue: mail, concurrency: 3}"))
    await until_job(call, ids[2], state="active")
    assert actions.waiting == 1
    actions.go.set()
    for id in ids:
        await until_job(call, id, state="completed")
    assert len(actions.noted) == 3


async def test_a_wait_takes_one_job_and_completes_it(
    hass: HomeAssistant, call: Call, actions: Actions, job: str
) -> None:
    second = (await call("PUSH", queue="mail", name="send"))["id"]
    await automate(
        hass,
        """
- alias: Wait
  triggers: [{trigger: event, event_type: go}]
  actions:
    - wait_for_trigger: [{trigger: hubqueue.job_received, options: {queue: mail}}]
    - {action: test.note, data: {id: '{{ wait.trigger.job.id }}'}}
""",
    )
    hass.bus.async_fire("go")
    await until_job(call, job, state="completed")
    await until(lambda: bool(actions.noted), "it went on")
    assert actions.noted == [{"id": job}]
    await until_job(call, second, state="waiting", attempts=0)


async def test_manual_completion_is_left_to_the_actions(
    hass: HomeAssistant, call: Call, actions: Actions, job: str
) -> None:
    said = "{event: taken, event_data: {job: '{{ trigger.job }}'}}"
    jobs = heard(hass, "taken")
    await automate(hass, take(said, options="{queue: mail, ack: manual, lease: {hours: 1}}"))
    await until(lambda: bool(jobs), "taken")
    await until(lambda: hass.states.get("automation.take").attributes["current"] == 0, "the run is over")  # type: ignore[union-attr]
    await until_job(call, job, state="active")
    taken: dict[str, Any] = jobs[0]["job"]
    done = {"id": taken["id"], "token": taken["token"], "result": "later"}
    await hass.services.async_call(DOMAIN, "complete", done, blocking=True)
    await until_job(call, job, state="completed", returnvalue="later")


async def test_manual_completion_by_the_run_itself(hass: HomeAssistant, call: Call, actions: Actions, job: str) -> None:
    said = "{action: hubqueue.fail, data: {error: gone, id: '{{ trigger.job.id }}', token: '{{ trigger.job.token }}'}}"
    await automate(hass, take(said, options="{queue: mail, ack: manual}"))
    await until_job(call, job, state="failed", failedReason="gone")


async def test_a_manual_run_that_fails_is_tried_again(
    hass: HomeAssistant, call: Call, actions: Actions, job: str
) -> None:
    await automate(hass, take("{action: test.bad}", options="{queue: mail, ack: manual}"))
    await until_job(call, job, state="failed", attempts=2)


async def test_an_automation_without_an_id_decides_too(
    hass: HomeAssistant, call: Call, actions: Actions, job: str
) -> None:
    await automate(hass, take("{action: test.bad}").replace("- id: take\n  alias", "- alias"))
    await until_job(call, job, state="failed", attempts=2, failedReason="it went wrong")


async def test_names_choose_jobs(hass: HomeAssistant, call: Call, actions: Actions) -> None:
    await automate(
        hass,
        take("{action: test.note, data: {name: '{{ trigger.job.name }}'}}", options="{queue: mail, name: [send, a.*]}"),
    )
    ids = (await call("PUSHB", queue="mail", jobs=[{"name": name} for name in ("other", "send", "a.b")]))["ids"]
    for id in ids[1:]:
        await until_job(call, id, state="completed")
    await until_job(call, ids[0], state="delayed", attempts=0)
    assert [each["name"] for each in actions.noted] == ["send", "a.b"]


async def test_an_automation_that_was_there_before_the_hub_takes_jobs(
    hass: HomeAssistant, call: Call, entry: MockConfigEntry
) -> None:
    actions = Actions(hass)
    await automate(hass, take("{action: test.note}"))
    assert hass.states.get("automation.take").state == "on"  # type: ignore[union-attr]
    id = (await call("PUSH", queue="mail", name="send"))["id"]
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until_job(call, id, state="completed")
    await hass.config_entries.async_unload(entry.entry_id)
    assert len(actions.noted) == 1


async def test_jobs_wait_until_home_assistant_has_started(
    hass: HomeAssistant, call: Call, actions: Actions, job: str
) -> None:
    hass.set_state(CoreState.starting)
    await automate(hass, take("{action: test.note}"))
    await until_job(call, job, state="waiting")
    hass.set_state(CoreState.running)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
    await until_job(call, job, state="completed")


async def test_an_automation_survives_the_reloading_of_the_hub(
    hass: HomeAssistant, call: Call, actions: Actions, loaded: MockConfigEntry, job: str
) -> None:
    await automate(hass, take("{action: test.note}"))
    await until_job(call, job, state="completed")
    assert await hass.config_entries.async_reload(loaded.entry_id)
    second = (await call("PUSH", queue="mail", name="send"))["id"]
    await until_job(call, second, state="completed")
    assert await hass.config_entries.async_unload(loaded.entry_id)
    assert loaded.state is ConfigEntryState.NOT_LOADED
    third = (await call("PUSH", queue="mail", name="send"))["id"]
    assert await hass.config_entries.async_setup(loaded.entry_id)
    await until_job(call, third, state="completed")
    assert len(actions.noted) == 3


async def test_only_the_hub_that_is_named_gives_jobs(
    hass: HomeAssistant, call: Call, actions: Actions, loaded: MockConfigEntry, job: str
) -> None:
    await automate(
        hass,
        take("{action: test.note}", options="{queue: mail, config_entry_id: another}")
        + take("{action: test.note}", options=f"{{queue: other, config_entry_id: {loaded.entry_id}}}").replace(
            "take", "two"
        ),
    )
    id = (await call("PUSH", queue="other", name="send"))["id"]
    await until_job(call, id, state="completed")
    assert (await call("GetState", id=job))["state"] == "waiting"


@pytest.mark.parametrize(
    "options",
    ["{}", "{queue: 'a b'}", "{queue: a, concurrency: 0}", "{queue: a, ack: never}", "{queue: a, x: 1}"],
)
async def test_mistakes_are_told(hass: HomeAssistant, loaded: MockConfigEntry, options: str) -> None:
    assert await async_setup_component(hass, "automation", {})
    config = [{"trigger": "hubqueue.job_received", "options": yaml.safe_load(options)}]
    with pytest.raises(vol.Invalid):
        await async_validate_trigger_config(hass, cv.TRIGGER_SCHEMA(config))


async def test_a_run_outlives_a_broken_link(
    hass: HomeAssistant, call: Call, actions: Actions, loaded: MockConfigEntry, job: str, hub: HubProcess
) -> None:
    await automate(hass, take("{action: test.wait}"))
    await until(lambda: actions.waiting == 1, "it runs")
    client = loaded.runtime_data.client
    assert client._connection is not None
    await client._connection._socket.close(code=4000)
    await until(lambda: not client.connected, "down")
    await soon(client.up())
    actions.go.set()
    await until_job(call, job, state="completed", attempts=0)
    assert (actions.waiting, hub.hub_id) == (1, loaded.unique_id)
