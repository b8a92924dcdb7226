"""A worker that was put together in the user interface: what its actions see, and what becomes of jobs."""

from __future__ import annotations

from typing import Any

from custom_components.hubqueue.const import DOMAIN
from custom_components.hubqueue.diagnostics import async_get_config_entry_diagnostics
from flows import add_subentry, change_subentry, try_subentry
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from pytest_homeassistant_custom_component.common import MockConfigEntry
from seen import until, until_async, until_state

from conftest import Call

SAY = {"action": "test.say", "data": {"text": "{{ job.name }} {{ job.data.text }}"}}


def given(*actions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "Speaker", "queue": "say", "sequence": list(actions), "concurrency": 1, **more}


def listen(hass: HomeAssistant) -> list[str]:
    """What the action test.say is told; it fails at "bad"."""
    said: list[str] = []

    async def say(call: ServiceCall) -> None:
        said.append(call.data["text"])
        if "bad" in call.data["text"]:
            raise HomeAssistantError("the speaker is broken")

    hass.services.async_register("test", "say", say)
    return said


async def until_job(call: Call, job_id: str, state: str) -> dict[str, Any]:
    job: dict[str, Any] = {}

    async def there() -> bool:
        job.update((await call("GetJob", id=job_id))["job"])
        return bool(job["state"] == state)

    await until_async(there, f"{job_id} {state}")
    return job


async def test_each_job_runs_its_actions(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    said = listen(hass)
    stop = {"stop": "done", "response_variable": "answer"}
    answer = {"variables": {"answer": {"said": "{{ job.data.text }}"}}}
    await add_subentry(hass, loaded, "worker", given(SAY, answer, stop))
    job_id = (await call("PUSH", queue="say", name="door", data={"text": "hello"}))["id"]
    job = await until_job(call, job_id, "completed")
    assert said == ["door hello"]
    assert job["returnvalue"] == {"said": "hello"}
    await until_state(hass, "sensor.speaker_completed", "1")


async def test_a_failed_action_is_tried_again_and_then_a_dead_letter(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    said = listen(hass)
    await add_subentry(hass, loaded, "worker", given(SAY))
    options = {"maxAttempts": 2, "backoff": 1}
    job_id = (await call("PUSH", queue="say", name="door", data={"text": "bad"}, **options))["id"]
    job = await until_job(call, job_id, "failed")
    assert said == ["door bad", "door bad"]
    assert "the speaker is broken" in job["failedReason"]
    await until_state(hass, "sensor.speaker_failed", "2")
    (told,) = (await async_get_config_entry_diagnostics(hass, loaded))["workers"]
    assert told == {"title": "Speaker", "valid": True, "completed": 0, "failed": 2, "released": 0}


async def test_it_takes_only_jobs_of_its_names(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    said = listen(hass)
    await add_subentry(hass, loaded, "worker", given(SAY, names=["door*"]))
    await call("PUSH", queue="say", name="window", data={"text": "1"})
    job_id = (await call("PUSH", queue="say", name="doorbell", data={"text": "2"}))["id"]
    await until_job(call, job_id, "completed")
    assert said == ["doorbell 2"]


async def test_another_worker_from_now_on_and_none_at_last(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    said = listen(hass)
    subentry_id = await add_subentry(hass, loaded, "worker", given(SAY))
    louder = {"action": "test.say", "data": {"text": "LOUD"}}
    changed = await change_subentry(hass, loaded, subentry_id, given(louder, name="Louder", concurrency=5))
    assert changed["reason"] == "reconfigure_successful"
    assert loaded.subentries[subentry_id].title == "Louder"
    await until_job(call, (await call("PUSH", queue="say", data={}))["id"], "completed")
    assert said == ["LOUD"]
    hass.config_entries.async_remove_subentry(loaded, subentry_id)
    await hass.async_block_till_done()
    assert not loaded.runtime_data.workers
    job_id = (await call("PUSH", queue="say", data={}))["id"]
    assert (await call("PULL", queue="say"))["job"]["id"] == job_id  # nobody else waits for it


async def test_what_is_wrong_is_said(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    nothing = await try_subentry(hass, loaded, "worker", given(queue="a b"))
    assert nothing["errors"] == {"queue": "invalid_queue", "sequence": "no_actions"}
    nonsense = await try_subentry(hass, loaded, "worker", given({"nonsense": 1}))
    assert nonsense["errors"] == {"base": "invalid_actions"}
    assert nonsense["description_placeholders"]["error"]
    subentry_id = await add_subentry(hass, loaded, "worker", given(SAY))
    nothing = await change_subentry(hass, loaded, subentry_id, given())
    assert nothing["errors"] == {"sequence": "no_actions"}


async def test_actions_that_are_not_valid_any_more_are_a_repair(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    broken = ConfigSubentry(data=given({"nonsense": 1}), subentry_type="worker", title="Broken", unique_id=None)  # type: ignore[arg-type]
    hass.config_entries.async_add_subentry(loaded, broken)
    await hass.async_block_till_done()
    assert not loaded.runtime_data.workers[broken.subentry_id].valid
    issue_id = f"worker_{loaded.entry_id}_{broken.subentry_id}"
    await until(lambda: ir.async_get(hass).async_get_issue(DOMAIN, issue_id) is not None, issue_id)
