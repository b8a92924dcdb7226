"""Action worker: jobs that wait now, one after the other, each ended by how its actions went."""

from __future__ import annotations

from typing import Any

import pytest
from automations import Actions, automate, heard, until_job
from custom_components.hubqueue.const import ACTIONS_QUEUE, DOMAIN
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import script as scripts
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry
from seen import until

from conftest import Call
from support.waiting import soon


@pytest.fixture
def actions(hass: HomeAssistant, loaded: MockConfigEntry) -> Actions:
    return Actions(hass)


async def work(hass: HomeAssistant, **fields: Any) -> Any:
    return await hass.services.async_call(DOMAIN, "worker", fields, blocking=True, return_response=True)


async def push(call: Call, count: int, **options: Any) -> list[str]:
    jobs = [{"name": "send", "data": {"n": n}, **options} for n in range(count)]
    ids: list[str] = (await call("PUSHB", queue="mail", jobs=jobs))["ids"]
    return ids


async def test_each_job_is_run_in_order_and_counted(hass: HomeAssistant, call: Call, actions: Actions) -> None:
    ids = await push(call, 3)
    answer = await work(
        hass,
        queue="mail",
        sequence=[
            {"if": "{{ job.data.n == 1 }}", "then": [{"action": "test.bad"}]},
            {"action": "test.note", "data": {"n": "{{ job.data.n }}"}, "response_variable": "answer"},
            {"stop": "done", "response_variable": "answer"},
        ],
    )
    assert answer == {"jobs": 3, "completed": 2, "failed": 1, "released": 0}
    assert [each["n"] for each in actions.noted] == [0, 2]
    await until_job(call, ids[0], state="completed", returnvalue={"noted": 1})
    await until_job(call, ids[1], state="delayed", attempts=1)


async def test_no_more_jobs_than_wanted_are_taken(hass: HomeAssistant, call: Call, actions: Actions) -> None:
    await push(call, 3)
    sequence = [{"action": "test.note"}]
    assert (await work(hass, queue="mail", max_jobs=2, sequence=sequence))["jobs"] == 2
    assert (await work(hass, queue="mail", sequence=sequence))["jobs"] == 1
    assert (await work(hass, queue="mail", sequence=sequence))["jobs"] == 0


async def test_a_script_is_run_with_the_job(hass: HomeAssistant, call: Call, actions: Actions) -> None:
    steps = [
        {"if": "{{ job.data.n == 1 }}", "then": [{"stop": "no", "error": True}]},
        {"if": "{{ job.data.n == 2 }}", "then": [{"action": "test.bad"}]},
        {"action": "test.note", "data": {"n": "{{ job.data.n }}"}, "response_variable": "answer"},
        {"stop": "done", "response_variable": "answer"},
    ]
    assert await async_setup_component(hass, "script", {"script": {"send": {"sequence": steps}}})
    ids = await push(call, 3, maxAttempts=1)
    answer = await work(hass, queue="mail", script="script.send")
    assert answer == {"jobs": 3, "completed": 1, "failed": 2, "released": 0}
    await until_job(call, ids[0], state="completed", returnvalue={"noted": 1})
    await until_job(call, ids[1], state="failed")
    await until_job(call, ids[2], state="failed", failedReason="it went wrong")


async def test_a_script_without_an_answer_completes(hass: HomeAssistant, call: Call, actions: Actions) -> None:
    assert await async_setup_component(hass, "script", {"script": {"send": {"sequence": [{"action": "test.note"}]}}})
    (id,) = await push(call, 1)
    await hass.services.async_call(DOMAIN, "worker", {"queue": "mail", "script": "script.send"}, blocking=True)
    await until_job(call, id, state="completed")
    assert len(actions.noted) == 1


async def test_a_job_that_is_given_back_is_not_taken_again(hass: HomeAssistant, call: Call, actions: Actions) -> None:
    """Its script runs already: in single mode that is no failure of the job."""
    script = {"sequence": [{"action": "test.wait"}], "max_exceeded": "silent"}
    assert await async_setup_component(hass, "script", {"script": {"send": script}})
    hass.async_create_task(hass.services.async_call("script", "turn_on", {"entity_id": "script.send"}, blocking=True))
    await until(lambda: actions.waiting == 1, "it runs")
    (id,) = await push(call, 1, maxAttempts=1)
    assert await work(hass, queue="mail", script="script.send") == {
        "jobs": 1,
        "completed": 0,
        "failed": 0,
        "released": 1,
    }
    await until_job(call, id, state="delayed", attempts=0)
    actions.go.set()


async def test_who_is_stopped_gives_its_job_back(hass: HomeAssistant, call: Call, actions: Actions) -> None:
    (id,) = await push(call, 1)
    await automate(
        hass,
        """
- id: batch
  alias: Batch
  triggers: [{trigger: event, event_type: go}]
  actions: [{action: hubqueue.worker, data: {queue: mail, sequence: [{action: test.wait}]}}]
""",
    )
    hass.bus.async_fire("go")
    await until(lambda: actions.waiting == 1, "it runs")
    await hass.services.async_call("automation", "turn_off", {"entity_id": "automation.batch"}, blocking=True)
    await until_job(call, id, state="waiting", attempts=0)


async def test_an_automation_works_a_batch(hass: HomeAssistant, call: Call, actions: Actions) -> None:
    """The example of the documentation: templates that use the job stand in raw."""
    counts = heard(hass, "worked")
    await automate(
        hass,
        """
- triggers: [{trigger: event, event_type: go}]
  actions:
    - action: hubqueue.worker
      data:
        queue: mail
        sequence:
          - action: test.note
            data: {n: "{% raw %}{{ job.data.n }}{% endraw %}"}
      response_variable: answer
    - {event: worked, event_data: {answer: "{{ answer }}"}}
""",
    )
    await push(call, 2)
    hass.bus.async_fire("go")
    await until(lambda: bool(counts), "worked")
    assert counts[0]["answer"] == {"jobs": 2, "completed": 2, "failed": 0, "released": 0}
    assert [each["n"] for each in actions.noted] == [0, 1]


@pytest.mark.parametrize(
    ("fields", "key"),
    [({"script": "script.none"}, "no_script"), ({"sequence": [{"nonsense": 1}]}, "bad_sequence")],
)
async def test_mistakes_are_told(hass: HomeAssistant, actions: Actions, fields: dict[str, Any], key: str) -> None:
    with pytest.raises(ServiceValidationError) as refused:
        await work(hass, queue=ACTIONS_QUEUE, **fields)
    assert refused.value.translation_key == key


async def test_while_the_link_is_down_it_says_so(
    hass: HomeAssistant, actions: Actions, loaded: MockConfigEntry
) -> None:
    await loaded.runtime_data.client._drop()
    with pytest.raises(HomeAssistantError) as refused:
        await work(hass, queue=ACTIONS_QUEUE, sequence=[{"action": "test.note"}])
    assert refused.value.translation_key == "link_down"


async def test_no_script_object_is_left(hass: HomeAssistant, call: Call, actions: Actions) -> None:
    before = len(hass.data.get(scripts.DATA_SCRIPTS, ()))
    await push(call, 1)
    await work(hass, queue="mail", sequence=[{"action": "test.note"}])
    assert len(hass.data[scripts.DATA_SCRIPTS]) == before


async def test_unloading_ends_the_batch(
    hass: HomeAssistant, call: Call, actions: Actions, loaded: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custom_components.hubqueue.DRAIN_S", 0.0)
    ids = await push(call, 2)
    batch = hass.async_create_task(work(hass, queue="mail", sequence=[{"action": "test.wait"}]))
    await until(lambda: actions.waiting == 1, "it runs")
    assert await hass.config_entries.async_unload(loaded.entry_id)
    assert (await soon(batch))["jobs"] == 0
    for id in ids:
        await until_job(call, id, state="waiting", attempts=0)
