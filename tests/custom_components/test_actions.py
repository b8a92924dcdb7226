"""Actions against a real hub: what they do, what they answer, and what a person is told when they cannot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import probatio as vol
import pytest
from custom_components.hubqueue.actions import ACTIONS
from custom_components.hubqueue.const import DOMAIN
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from pytest_homeassistant_custom_component.common import MockConfigEntry

from conftest import Call
from support.hub_process import HubProcess

pytestmark = pytest.mark.usefixtures("loaded")


async def act(hass: HomeAssistant, action: str, **fields: Any) -> Any:
    answers = ACTIONS[action].response.value != "none"
    if action in ("enqueue", "enqueue_many"):
        fields = {"create": True, **fields}
    return await hass.services.async_call(DOMAIN, action, fields, blocking=True, return_response=answers)


async def leased(call: Call, queue: str) -> tuple[str, str]:
    reply = await call("PULL", queue=queue, owner="test")
    return reply["job"]["id"], reply["token"]


async def test_enqueue_passes_every_option_on(hass: HomeAssistant, call: Call) -> None:
    answer = await act(
        hass,
        "enqueue",
        queue="mail",
        name="send",
        data={"to": "ada", "at": datetime(2026, 1, 2, tzinfo=UTC)},
        id="mine",
        priority=3,
        delay={"minutes": 5},
        attempts=7,
        backoff={"delay": 2, "max": {"minutes": 1}},
        keep_trying={"hours": 2},
        timeout=30,
        ttl={"hours": 1},
        dedup="ada",
        group="g",
        durable=True,
    )
    assert answer == {"id": "mine"}
    job = (await call("GetJob", id="mine"))["job"]
    assert job["data"] == {"to": "ada", "at": "2026-01-02T00:00:00+00:00"}
    assert (job["name"], job["priority"], job["maxAttempts"], job["groupId"]) == ("send", 3, 7, "g")
    assert (job["timeout"], job["ttl"], job["uniqueKey"], job["durable"]) == (30_000, 3_600_000, "ada", True)
    assert job["runAt"] - job["createdAt"] == 300_000
    assert job["keepTrying"] == 7_200_000
    assert (job["backoff"], job["backoffConfig"]["maxDelay"]) == (2000, 60_000)


async def test_a_newer_command_replaces_the_waiting_one(hass: HomeAssistant, call: Call) -> None:
    await act(hass, "enqueue", queue="lights", data="on", dedup="kitchen")
    await act(hass, "enqueue", queue="lights", data="off", dedup={"key": "kitchen", "replace": True})
    (job,) = (await act(hass, "list_jobs", queue="lights"))["jobs"]
    assert job["data"] == "off"


async def test_enqueue_needs_no_answer(hass: HomeAssistant, call: Call) -> None:
    await hass.services.async_call(DOMAIN, "enqueue", {"queue": "mail", "create": True}, blocking=True)
    assert len((await call("GetJobs", queue="mail"))["jobs"]) == 1


async def test_many_are_enqueued_or_none(hass: HomeAssistant, call: Call) -> None:
    answer = await act(hass, "enqueue_many", queue="mail", jobs=[{"data": 1}, {"id": "mine", "delay": 60}])
    assert answer["ids"][1] == "mine"
    with pytest.raises(vol.Invalid, match=r"jobs\[1\].name"):
        await act(hass, "enqueue_many", queue="mail", jobs=[{"data": 1}, {"name": "x" * 300}])
    with pytest.raises(ServiceValidationError, match="not finite"):
        await act(hass, "enqueue_many", queue="mail", jobs=[{"data": 1}, {"data": float("nan")}])
    assert len((await call("GetJobs", queue="mail"))["jobs"]) == 2


async def test_a_leased_job_is_extended_and_completed(hass: HomeAssistant, call: Call) -> None:
    await act(hass, "enqueue", queue="mail", id="mine")
    id, token = await leased(call, "mail")
    assert await act(hass, "extend", id=id, token=token, duration=60) == {"cancelled": False}
    await act(hass, "cancel", id=id, active=True)
    assert await act(hass, "extend", id=id, token=token, duration=60) == {"cancelled": True}
    await act(hass, "complete", id=id, token=token, result={"sent": True})
    job = (await act(hass, "get_job", id="mine"))["job"]
    assert (job["state"], job["result"]) == ("completed", {"sent": True})
    assert datetime.fromisoformat(job["finished_at"]) <= datetime.now(UTC)


async def test_a_leased_job_is_released_and_comes_back(hass: HomeAssistant, call: Call) -> None:
    await act(hass, "enqueue", queue="mail", id="mine")
    id, token = await leased(call, "mail")
    await act(hass, "release", id=id, token=token)
    assert (await leased(call, "mail"))[0] == id


async def test_a_failed_job_is_tried_again_or_not(hass: HomeAssistant, call: Call) -> None:
    await act(hass, "enqueue", queue="mail", id="mine")
    id, token = await leased(call, "mail")
    await act(hass, "fail", id=id, token=token, error="no route")
    assert (await act(hass, "get_job", id=id))["job"]["state"] == "delayed"
    await call("Promote", id=id)
    id, token = await leased(call, "mail")
    await act(hass, "fail", id=id, token=token, error="gone", retry=False)
    job = (await act(hass, "get_job", id=id))["job"]
    assert (job["state"], job["error"], job["reason"]) == ("failed", "gone", "rejected")
    (dead,) = (await act(hass, "list_jobs", queue="mail", states="failed"))["jobs"]
    assert dead["id"] == id
    assert await act(hass, "retry", queue="mail", id=id) == {"count": 1}


async def test_jobs_are_listed_by_all_of_their_tags(hass: HomeAssistant, call: Call) -> None:
    for id, tags in (("both", ["a", "b"]), ("one", "a"), ("none", [])):
        await act(hass, "enqueue", queue="mail", id=id, tags=tags)
    await call("PUSHB", queue="mail", jobs=[{"data": 1}] * 3000)

    async def ids(**which: Any) -> list[str]:
        return [job["id"] for job in (await act(hass, "list_jobs", queue="mail", **which))["jobs"]]

    assert await ids(tags=["a"]) == ["one", "both"]
    assert await ids(tags="a", limit=1) == ["one"]
    assert await ids(tags=["b", "a", "b"], states=["waiting"]) == ["both"]
    assert await ids(tags=["A"]) == []
    assert len(await ids(tags=[])) == 50
    for wrong in ([""], "x" * 257, ["x"] * 101):
        with pytest.raises(vol.Invalid):
            await ids(tags=wrong)


async def test_dead_letters_and_waiting_jobs_are_purged(hass: HomeAssistant, call: Call) -> None:
    for _ in range(2):
        await act(hass, "enqueue", queue="mail")
    id, token = await leased(call, "mail")
    await act(hass, "fail", id=id, token=token, retry=False)
    assert await act(hass, "purge", queue="mail", what="dead_letters") == {"count": 1}
    assert await act(hass, "purge", queue="mail", what="waiting") == {"count": 1}
    assert (await act(hass, "list_jobs", queue="mail")) == {"jobs": []}


async def test_a_queue_is_paused_and_resumed(hass: HomeAssistant, call: Call) -> None:
    await act(hass, "enqueue", queue="mail")
    await act(hass, "pause", queue="mail")
    assert (await call("PULL", queue="mail", owner="test"))["job"] is None
    await act(hass, "resume", queue="mail")
    assert (await call("PULL", queue="mail", owner="test"))["job"] is not None


@pytest.mark.parametrize(
    ("time", "waits_s"),
    [
        ({"delay": {"minutes": 10}}, 600),
        ({"delay": "10m"}, 600),
        ({"until": "{later}"}, 600),
        ({"until": "2020-01-01T00:00:00"}, 0),
        ({"delay": 0}, 0),
    ],
)
async def test_a_job_is_snoozed(hass: HomeAssistant, call: Call, time: dict[str, Any], waits_s: int) -> None:
    await act(hass, "enqueue", queue="mail", id="mine", delay=60)
    before = datetime.now(UTC).replace(microsecond=0)
    later = before + timedelta(seconds=600)
    given = {key: later if value == "{later}" else value for key, value in time.items()}
    await act(hass, "snooze", id="mine", **given)
    job = (await act(hass, "get_job", id="mine"))["job"]
    assert (job["state"], job["attempts_made"]) == ("delayed" if waits_s else "waiting", 0)
    assert before <= datetime.fromisoformat(job["run_at"]) - timedelta(seconds=waits_s) <= datetime.now(UTC)


async def test_what_cannot_be_snoozed_is_said(hass: HomeAssistant, call: Call) -> None:
    await act(hass, "enqueue", queue="mail", id="mine")
    await act(hass, "enqueue", queue="mail", id="short", ttl=60)
    for wrong in ({}, {"delay": 60, "until": datetime.now(UTC)}):
        with pytest.raises(ServiceValidationError) as refused:
            await act(hass, "snooze", id="mine", **wrong)
        assert refused.value.translation_key == "snooze_until_when"
    for odd in ({"delay": -1}, {"delay": "400d"}, {"until": "soon"}, {"until": None}, {"delay": float("nan")}):
        with pytest.raises(vol.Invalid):
            await act(hass, "snooze", id="mine", **odd)
    for id, key, text in (("none", "no_job", "no job none"), ("short", "refused", "'short' ends before that time")):
        with pytest.raises(ServiceValidationError, match=text) as refused:
            await act(hass, "snooze", id=id, delay=600)
        assert refused.value.translation_key == key
    id, _ = await leased(call, "mail")
    with pytest.raises(ServiceValidationError, match=f"'{id}' is active") as refused:
        await act(hass, "snooze", id=id, delay=60)
    assert refused.value.translation_key == "wrong_state"


async def test_publish_says_how_many_listened(hass: HomeAssistant) -> None:
    assert await act(hass, "publish", channel="doors", data={"open": True}) == {"receivers": 0}


async def test_what_is_delayed_is_tried_now(hass: HomeAssistant, call: Call) -> None:
    await call("ForwarderPut", name="up", queue="readings", to="tcp://127.0.0.1:9")
    await call("PUSHB", queue="mail", jobs=[{"data": 1, "delay": 600_000}] * 2)
    await call("PUSH", queue="lights", data=1, delay=600_000)
    await call("PUSH", queue="readings", data=1)

    assert await act(hass, "try_now", queue="mail") == {"count": 2}
    assert await act(hass, "try_now", queue=["mail", "lights", "lights"], forwarder=["up"]) == {"count": 2}
    for queue, count in (("mail", 2), ("lights", 1)):
        assert len((await call("GetJobs", queue=queue, state=["waiting"]))["jobs"]) == count


async def test_what_cannot_be_tried_keeps_nothing_else_from_it(hass: HomeAssistant, call: Call) -> None:
    await call("ForwarderPut", name="up", queue="readings", to="tcp://127.0.0.1:9")
    await call("ForwarderPause", name="up")
    await call("PUSH", queue="mail", data=1, delay=600_000)
    with pytest.raises(ServiceValidationError) as refused:
        await act(hass, "try_now", queue="mail", forwarder="up")
    assert refused.value.translation_key == "wrong_state"
    assert "up is paused" in str(refused.value)
    assert len((await call("GetJobs", queue="mail", state=["waiting"]))["jobs"]) == 1
    with pytest.raises(ServiceValidationError) as refused:
        await act(hass, "try_now", queue=[])
    assert refused.value.translation_key == "nothing_to_try"


async def test_a_forwarder_is_stopped_and_started(hass: HomeAssistant, call: Call) -> None:
    await call("ForwarderPut", name="up", queue="readings", to="tcp://127.0.0.1:9")
    assert (await act(hass, "forward", forwarder="up", operation="stop"))["paused"]
    assert not (await act(hass, "forward", forwarder="up", operation="start"))["paused"]
    await act(hass, "enqueue", queue="readings", data=1)
    status = await act(hass, "forward", forwarder="up", operation="status")
    assert status["waiting"] + status["in_flight"] + status["delayed"] == 1
    with pytest.raises(ServiceValidationError) as refused:
        await act(hass, "forward", forwarder="none", operation="status")
    assert refused.value.translation_key == "no_forwarder"


@pytest.mark.parametrize(
    ("action", "fields", "key"),
    [
        ("get_job", {"id": "none"}, "no_job"),
        ("complete", {"id": "none", "token": "x"}, "no_job"),
        ("enqueue", {"queue": "mail", "group": "g", "priority": -1}, "refused"),
        ("enqueue", {"queue": "mail", "data": {"bad": float("nan")}}, "refused"),
        ("enqueue", {"queue": "mail", "data": {"bad": {1, 2}}}, "refused"),
    ],
)
async def test_what_the_caller_can_change_is_a_validation_error(
    hass: HomeAssistant, action: str, fields: dict[str, Any], key: str
) -> None:
    with pytest.raises(ServiceValidationError) as refused:
        await act(hass, action, **fields)
    assert refused.value.translation_domain == DOMAIN
    assert refused.value.translation_key == key


async def test_an_old_token_changes_nothing(hass: HomeAssistant, call: Call) -> None:
    await act(hass, "enqueue", queue="mail")
    id, _ = await leased(call, "mail")
    with pytest.raises(ServiceValidationError) as refused:
        await act(hass, "complete", id=id, token="1.old")
    assert refused.value.translation_key == "lock_lost"


async def test_while_the_link_is_down_what_needs_the_hub_says_so(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    await loaded.runtime_data.client._drop()
    with pytest.raises(HomeAssistantError) as refused:
        await act(hass, "get_job", id="mine")
    assert refused.value.translation_key == "link_down"
    assert not isinstance(refused.value, ServiceValidationError)


async def test_an_unknown_hub_is_refused(hass: HomeAssistant, hub: HubProcess) -> None:
    with pytest.raises(ServiceValidationError):
        await act(hass, "enqueue", queue="mail", config_entry_id="nobody")
