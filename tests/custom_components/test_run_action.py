"""Action run_action: calls that are kept at the hub and done until they have had their effect."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace
from typing import Any

import probatio as vol
import pytest
from automations import promote, until_at_hub, until_job
from custom_components.hubqueue import run_action
from custom_components.hubqueue.const import ACTIONS_QUEUE, DOMAIN
from custom_components.hubqueue.seal import async_seal
from homeassistant.auth.const import GROUP_ID_READ_ONLY, GROUP_ID_USER
from homeassistant.core import Context, HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse
from homeassistant.exceptions import ServiceValidationError
from lamps import Garden, run
from pytest_homeassistant_custom_component.common import MockConfigEntry
from seen import until

from conftest import Call

QUEUE = ACTIONS_QUEUE


async def again(call: Call, id: str) -> None:
    """Do not wait for the back-off."""
    await until_job(call, id, state="delayed")
    await promote(call, id)


async def test_an_action_is_done(hass: HomeAssistant, call: Call, lamp: Garden) -> None:
    id = await run(hass, data={"brightness_pct": 40})
    await until_job(call, id, state="completed", attempts=0)
    (made,) = lamp.told
    assert made.data == {"brightness": 102}
    job = (await call("GetJob", id=id))["job"]
    assert (job["name"], job["durable"], job["queue"]) == ("light.turn_on", True, QUEUE)
    assert job["returnvalue"] == {"done": ["light.garden"]}


async def test_an_action_without_an_answer_or_a_target(hass: HomeAssistant, call: Call, lamp: Garden) -> None:
    told = {"action": "test.lamp", "data": {"lamp": "garden", "service": "turn_on"}}
    await hass.services.async_call(DOMAIN, "run_action", told, blocking=True)
    await until(lambda: bool(lamp.told), "done")


async def test_what_is_not_available_is_tried_again(hass: HomeAssistant, call: Call, lamp: Garden) -> None:
    await lamp.be("unavailable")
    id = await run(hass)
    await until_job(call, id, state="delayed", attempts=1)
    assert lamp.told == []
    await lamp.be("off")
    await again(call, id)
    await until_job(call, id, state="completed", attempts=1)
    assert len(lamp.told) == 1


async def test_an_action_that_does_not_exist_yet_is_tried_again(hass: HomeAssistant, call: Call, lamp: Garden) -> None:
    id = await run(hass, "test.open", target=None)
    job = await until_job(call, id, state="delayed", attempts=1)
    assert "Action test.open not found" in str(job["timeline"])

    async def answer(_: ServiceCall) -> ServiceResponse:
        return {"open": True}

    hass.services.async_register("test", "open", answer, supports_response=SupportsResponse.ONLY)
    await again(call, id)
    await until_job(call, id, state="completed")


async def test_an_action_that_fails_is_tried_again(hass: HomeAssistant, call: Call, lamp: Garden) -> None:
    lamp.error = RuntimeError("no route")
    id = await run(hass)
    job = await until_job(call, id, state="delayed", attempts=1)
    assert "light.garden: no route" in str(job["timeline"])
    lamp.error = None
    await again(call, id)
    await until_job(call, id, state="completed")


async def test_data_that_an_action_will_never_take_are_not_tried_again(
    hass: HomeAssistant, call: Call, lamp: Garden
) -> None:
    id = await run(hass, data={"colour": "red"})
    job = await until_job(call, id, state="failed", attempts=1)
    assert job["failedReason"].startswith("light.turn_on does not take this: ")
    assert "colour" in job["failedReason"]


async def test_success_is_the_expected_state(hass: HomeAssistant, call: Call, lamp: Garden) -> None:
    lamp.works = False
    id = await run(hass, state="on", success_within=0)
    await until_job(call, id, state="delayed", attempts=1)
    lamp.works = True
    await again(call, id)
    await until_job(call, id, state="completed")
    assert len(lamp.told) == 2


async def test_success_may_take_a_moment(hass: HomeAssistant, call: Call, lamp: Garden) -> None:
    lamp.works = False
    id = await run(hass, state=["on", "dimmed"], success_within=3600)
    await until(lambda: bool(lamp.told), "done")
    await lamp.be("on")
    await until_job(call, id, state="completed", attempts=0)


async def test_success_is_an_expression(hass: HomeAssistant, call: Call, lamp: Garden) -> None:
    id = await run(hass, success="is_state('sensor.lux', '300')", success_within=0)
    await until_job(call, id, state="delayed", attempts=1)
    hass.states.async_set("sensor.lux", "300")
    await again(call, id)
    await until_job(call, id, state="completed")


async def test_success_that_cannot_be_told_fails(hass: HomeAssistant, call: Call, lamp: Garden) -> None:
    id = await run(hass, success="1 / 0", success_within=0, keep_trying=1)
    await until_job(call, id, attempts=1)
    assert "success cannot be told" in str((await call("GetJob", id=id))["job"]["timeline"])


async def test_after_the_time_to_try_it_is_a_dead_letter(hass: HomeAssistant, call: Call, lamp: Garden) -> None:
    await lamp.be("unavailable")
    id = await run(hass, keep_trying=2)
    await until_job(call, id, state="delayed", attempts=1)
    job = await until_job(call, id, state="failed", reason="ttl_expired")  # by the hub
    assert job["failedReason"] == "light.garden is not available"
    await lamp.be("off")
    await call("RetryDlq", queue=QUEUE, jobId=id)  # somebody wants it after all
    await until_job(call, id, state="completed")
    assert lamp.calls("garden") == ["turn_on"]


async def test_what_comes_too_late_is_not_done(
    hass: HomeAssistant, call: Call, lamp: Garden, loaded: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the hub says: it may be an old one that somebody has put there again."""
    await call("Pause", queue=QUEUE)
    id = await run(hass)
    later = run_action.time.time() + 3601
    monkeypatch.setattr("custom_components.hubqueue.action_calls.time", SimpleNamespace(time=lambda: later))
    await call("Resume", queue=QUEUE)
    job = await until_job(call, id, state="failed", attempts=1)
    assert job["failedReason"] == "it could not be tried while it was wanted; its keep_trying is over"
    assert lamp.told == []
    await call("RetryDlq", queue=QUEUE, jobId=id)
    await until_job(call, id, state="completed")
    kept = await async_seal(hass)
    sealed = kept.open(job["data"], id)
    assert sealed is not None
    for old, options in (("a", {}), ("b", {"ttl": 86_400_000}), ("c", {"keepTrying": 86_400_000})):
        data = kept.close(sealed, old)  # the hub knows the id of the first for an hour yet
        await call("PUSH", queue=QUEUE, jobId=old, name=job["name"], data=data, **options)
        await until_job(call, old, state="failed")
    assert lamp.calls("garden") == ["turn_on"]


async def test_a_newer_call_takes_the_place_of_one_that_waits(hass: HomeAssistant, call: Call, lamp: Garden) -> None:
    await lamp.be("unavailable")
    first = await run(hass, "light.turn_on", supersede="garden")
    await until_job(call, first, state="delayed", attempts=1)
    second = await run(hass, "light.turn_off", supersede="garden")
    jobs = (await call("GetJobs", queue=QUEUE))["jobs"]
    assert [job["id"] for job in jobs] == [second]
    await until_job(call, second, state="delayed", attempts=1)
    await lamp.be("on")
    await promote(call, second)
    await until_job(call, second, state="completed")
    assert [each.service for each in lamp.told] == ["turn_off"]


async def test_a_newer_call_ends_one_that_runs_and_fails(hass: HomeAssistant, call: Call, lamp: Garden) -> None:
    lamp.go.clear()
    lamp.error = RuntimeError("no route")
    first = await run(hass, "light.turn_on", supersede="garden")
    await until(lambda: len(lamp.told) == 1, "the first runs")
    second = await run(hass, "light.turn_off", supersede="garden")
    await until_job(call, second, state="waiting")
    assert len(lamp.told) == 1  # never beside each other
    lamp.go.set()
    job = await until_job(call, first, state="completed")
    assert job["returnvalue"] == {"superseded": True}
    await until_job(call, second, state="delayed", attempts=1)
    lamp.error = None
    await promote(call, second)
    await until_job(call, second, state="completed")
    assert [each.service for each in lamp.told] == ["turn_on", "turn_off", "turn_off"]


async def test_calls_of_a_group_keep_their_order_over_failures(hass: HomeAssistant, call: Call, lamp: Garden) -> None:
    await lamp.be("unavailable")
    first = await run(hass, "light.turn_on", group="garden")
    await until_job(call, first, state="delayed", attempts=1)
    other = {"action": "test.lamp", "target": None, "data": {"lamp": "other", "service": "turn_off"}}
    second = await run(hass, group="garden", **other)
    await until_job(call, second, state="delayed", attempts=0)
    assert lamp.told == []
    await lamp.be("off")
    await promote(call, first)
    await until_job(call, first, state="completed")
    await until_job(call, second, state="completed")  # which was delayed for ten minutes
    assert [each.service for each in lamp.told] == ["turn_on", "turn_off"]


async def test_an_expired_call_is_gone(hass: HomeAssistant, call: Call, lamp: Garden) -> None:
    await lamp.be("unavailable")
    await run(hass, ttl=1)

    async def gone() -> bool:
        return not (await call("GetJobs", queue=QUEUE))["jobs"]

    await until_at_hub(gone, "gone")
    assert lamp.told == []


async def test_who_asked_is_who_does_it(hass: HomeAssistant, call: Call, lamp: Garden) -> None:
    user = await hass.auth.async_create_user("Ada", group_ids=[GROUP_ID_USER])
    given = {"action": "light.turn_on", "target": {"entity_id": "light.garden"}}
    await hass.services.async_call(DOMAIN, "run_action", given, blocking=True, context=Context(user_id=user.id))
    await until(lambda: bool(lamp.told), "done")
    assert lamp.told[0].context.user_id == user.id


async def test_who_may_not_do_it_does_not(hass: HomeAssistant, call: Call, lamp: Garden) -> None:
    await hass.auth.async_create_user("Ada")  # the first one may everything
    user = await hass.auth.async_create_user("Bob", group_ids=[GROUP_ID_READ_ONLY])
    given = {"action": "light.turn_on", "target": {"entity_id": "light.garden"}}
    answer = await hass.services.async_call(
        DOMAIN, "run_action", given, blocking=True, context=Context(user_id=user.id), return_response=True
    )
    assert answer is not None
    job = await until_job(call, str(answer["id"]), state="failed", attempts=1)
    assert job["failedReason"] == "the user who asked for this may not do light.turn_on with light.garden"
    assert lamp.told == []


async def test_another_queue_is_worked_too_and_after_a_reload(
    hass: HomeAssistant, call: Call, lamp: Garden, loaded: MockConfigEntry
) -> None:
    first = await run(hass, queue="slow", create=True)
    await until_job(call, first, state="completed")
    assert await hass.config_entries.async_reload(loaded.entry_id)
    secret = await async_seal(hass)
    second = await run(hass, queue="slow")
    await until_job(call, second, state="completed")
    assert secret.queues(loaded.entry_id) == ["slow"]


async def test_a_home_that_uses_none_takes_none(call: Call, loaded: MockConfigEntry) -> None:
    assert QUEUE not in (await call("ListQueues"))["queues"]
    assert not loaded.runtime_data.runs.consumers


async def test_targets_may_stand_in_the_data(hass: HomeAssistant, call: Call, lamp: Garden) -> None:
    await lamp.be("unavailable")
    id = await run(hass, target=None, data={"entity_id": "light.garden"}, state="on")
    await until_job(call, id, state="delayed", attempts=1)
    assert lamp.told == []
    await lamp.be("off")
    await again(call, id)
    await until_job(call, id, state="completed")


async def test_a_call_is_not_done_twice_when_the_hub_cannot_be_asked(
    hass: HomeAssistant, call: Call, lamp: Garden, loaded: MockConfigEntry
) -> None:
    lamp.go.clear()
    lamp.error = RuntimeError("no route")
    id = await run(hass, supersede="garden")
    await until(lambda: bool(lamp.told), "it runs")
    client = loaded.runtime_data.client
    await client._connection._socket.close(code=4000)
    lamp.go.set()
    await until_job(call, id, state="delayed", attempts=1)
    assert len(lamp.told) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "nonsense"},
        {"success": True},
        {"success": "True"},
        {"success": "is_state("},
        {"keep_trying": {"days": 30}},
        {"queue": "a b"},
    ],
)
async def test_mistakes_are_told(hass: HomeAssistant, lamp: Garden, fields: dict[str, Any]) -> None:
    with pytest.raises(vol.Invalid):
        await run(hass, **fields)


@pytest.mark.parametrize("value", [float("nan"), object(), b"text", {1}])
async def test_data_that_json_cannot_say_are_told(hass: HomeAssistant, lamp: Garden, value: Any) -> None:
    """They would be done with other data, or not at all."""
    with pytest.raises(ServiceValidationError, match="cannot be sent"):
        await run(hass, data={"value": value})


async def test_data_come_as_they_were_given(hass: HomeAssistant, call: Call, lamp: Garden) -> None:
    told: list[ServiceCall] = []
    hass.services.async_register("test", "take", told.append)
    data = {"much": 2**70, "when": datetime(2026, 12, 1), "text": "ä\u2028"}
    id = await run(hass, "test.take", target=None, data=data)
    await until_job(call, id, state="completed")
    assert dict(told[0].data) == {**data, "when": "2026-12-01T00:00:00"}
    with pytest.raises(ServiceValidationError, match="cannot be sent"):
        await run(hass, "test.take", target=None, data={"half": "\ud800"})


async def test_a_state_needs_a_target(hass: HomeAssistant, lamp: Garden) -> None:
    with pytest.raises(ServiceValidationError) as refused:
        await run(hass, state="on", target=None)
    assert refused.value.translation_key == "state_without_target"
