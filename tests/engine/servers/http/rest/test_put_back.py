"""What is read of a schedule can be put back, whole: every option of its jobs, whichever door had put it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from hubqueue.hub.verbs import schedule
from hubqueue.model.job import DEFAULT_ATTEMPTS, ENDLESS, OnFailure, Options
from hubqueue.model.option import Door
from hubqueue.model.options import new_job, options_at, rare_options
from hubqueue.model.schedule import Schedule
from hubqueue.servers.settings import TcpSettings
from hubqueue.servers.tcp import TcpServer
from support.context import context_of
from support.job_options import SAMPLES, as_json, with_needs
from support.rest import Rest
from support.wire import WireClient

OPTIONS = {option.name: option for option in options_at(Door.SCHEDULE)}
ALL = {name: SAMPLES[name] for name in OPTIONS}
PATH = "/schedules/s"


def scheduled(given: dict[str, Any], **fields: Any) -> Schedule:
    job = new_job("n", None, given)
    return Schedule(
        key="s",
        queue="q",
        name="n",
        priority=job.priority,
        delay_ms=job.delay_ms,
        max_attempts=job.max_attempts,
        options=job.options or Options(),
        **{"cron": "0 6 * * *"} | fields,
    )


async def stored(rest: Rest) -> Schedule:
    (found,) = await rest.hub.run(schedule.every)
    return found


async def put_back(rest: Rest) -> None:
    """Read it and put it as it was read: nothing may change."""
    before, read = await stored(rest), await rest.get(PATH)
    answer = await rest.ask("PUT", PATH, read)
    assert answer.status == 200, (answer.body, read)
    assert await stored(rest) == before
    assert await rest.get(PATH) == read


@pytest.mark.parametrize("name", [*OPTIONS, "all"])
async def test_every_option_of_a_schedule_can_be_put_back(rest: Rest, name: str) -> None:
    await rest.hub.upsert_schedule(scheduled(ALL if name == "all" else with_needs(name)))
    await put_back(rest)


@pytest.mark.parametrize(
    "fields",
    [
        {"cron": None, "every_ms": 90_000},
        {"timezone": "Europe/Berlin", "limit": 7},
        {"overlap": True, "skip_missed": False, "worker_only": True},
        {"data": msgspec.msgpack.encode({"a": [1, None, "x"]})},
        {"data": b"\xc0"},
        {"limit": 2**53 - 1},
        {"cron": " ".join(",".join(map(str, range(low, high))) for low, high in ((0, 60), (0, 24), (1, 29))) + " * *"},
    ],
    ids=lambda fields: " ".join(fields),
)
async def test_everything_else_of_it_can_be_put_back(rest: Rest, fields: dict[str, Any]) -> None:
    await rest.hub.upsert_schedule(scheduled({}, **fields))
    await put_back(rest)


ODD: dict[str, Any] = {
    "bytes": {"a": [b"\x00\xff"]},
    "nan": {"a": float("nan")},
    "large": {"a": 2**60},
    "keys": {1: 2},
    "extension": msgspec.msgpack.Ext(5, b"x"),
    "deep": json.loads("[" * 70 + "]" * 70),
}


@pytest.mark.parametrize("data", ODD.values(), ids=ODD)
async def test_data_that_json_cannot_say_stays_as_it_was(rest: Rest, data: Any) -> None:
    await rest.hub.upsert_schedule(scheduled({}, data=msgspec.msgpack.encode(data)))
    await put_back(rest)
    read = await rest.get(PATH)
    assert (await rest.ask("PUT", PATH, read | {"data": "another"})).status == 200
    assert (await rest.get(PATH))["data"] == "another"


@pytest.mark.parametrize(("was", "put"), [(True, 1), (1, True), (0, False), ([1], [True])])
async def test_data_that_only_python_takes_for_the_same_is_put(rest: Rest, was: Any, put: Any) -> None:
    await rest.hub.upsert_schedule(scheduled({}, data=msgspec.msgpack.encode(was)))
    assert (await rest.ask("PUT", PATH, await rest.get(PATH) | {"data": put})).status == 200
    assert (await stored(rest)).data == msgspec.msgpack.encode(put)


@pytest.mark.parametrize(
    "odd",
    [
        {"jobOptions": {"groupMaxSize": 3}},
        {"dedup": {"ttl": 3}},
        {"timezone": ""},
        {"maxLimit": 0},
        {"uniqueKey": ""},
        {"jobOptions": {"dependsOn": ["x"], "parentId": "y", "runAt": 5, "failParentOnFailure": True}},
        {"jobOptions": {"maxAttempts": 7, "keepTrying": 600_000, "backoff": 2500.5}},
    ],
    ids=str,
)
async def test_what_a_client_of_the_protocol_may_say_can_be_put_back(rest: Rest, odd: dict[str, Any]) -> None:
    listener = TcpServer(context_of(rest.hub), TcpSettings(port=0))
    await listener.start()
    client = await WireClient.open(listener.port)
    await client.good("Cron", name="s", queue="q", jobName="n", repeatEvery=60_000, **odd)
    await client.close()
    await listener.close()
    await put_back(rest)


async def test_a_schedule_whose_jobs_would_be_refused_is_refused(rest: Rest) -> None:
    body = {"queue": "q", "jobName": "n", "schedule": "0 6 * * *", "jobOptions": {"group": "g", "priority": -5}}
    answer = await rest.ask("PUT", PATH, body)
    assert (answer.status, await rest.hub.run(schedule.every)) == (422, [])


@pytest.mark.parametrize("rate", [{"limit": 0}, {"limit": 5, "duration": 60_000}, {"limit": 1, "ttl": 3_600_000}])
async def test_a_limit_that_is_read_can_be_put_back(rest: Rest, rate: dict[str, int]) -> None:
    path = "/queues/q/limits"
    assert (await rest.ask("PUT", f"{path}/rate", rate)).status == 204
    assert (await rest.ask("PUT", f"{path}/concurrency", {"limit": 0})).status == 204
    before = await rest.get(path)
    assert (await rest.ask("PUT", f"{path}/rate", before["rateLimit"])).status == 204
    assert (await rest.ask("PUT", f"{path}/concurrency", {"limit": before["concurrencyLimit"]})).status == 204
    after = await rest.get(path)
    assert after["rateLimit"].pop("ttl", 0) <= before["rateLimit"].pop("ttl", 0) <= rate.get("ttl", 0)
    assert (after["rateLimit"], after["concurrencyLimit"]) == (before["rateLimit"], 0)
    assert before["rateLimit"].items() <= {"duration": 1000, **rate}.items()
    assert ("ttl" in (await rest.get(path))["rateLimit"]) == ("ttl" in rate)


async def test_one_that_is_put_as_it_is_keeps_its_phase_and_its_queued_job(rest: Rest) -> None:
    wanted = {"queue": "q", "jobName": "n", "repeatEvery": 3_600_000}
    assert (await rest.ask("PUT", PATH, wanted)).status == 200
    made = await rest.post(f"{PATH}/run")
    before = await rest.get(PATH)
    assert (await rest.ask("PUT", PATH, wanted | {"preventOverlap": True})).status == 200
    assert await rest.get(PATH) == before
    assert (await rest.get(f"/jobs/{made['id']}"))["state"] == "waiting"
    changed = await rest.ask("PUT", PATH, wanted | {"repeatEvery": 7_200_000})
    assert changed.body["nextRun"] > before["nextRun"]


@pytest.mark.parametrize("name", OPTIONS)
async def test_every_option_of_a_schedule_can_be_put(rest: Rest, name: str) -> None:
    given = with_needs(name)
    said: dict[str, Any] = {}
    for each, value in given.items():
        said |= as_json(OPTIONS[each], value)
    body = {"queue": "q", "jobName": "n", "schedule": "0 6 * * *", "jobOptions": said}
    answer = await rest.ask("PUT", PATH, body)
    assert answer.status == 200, answer.body
    found, wanted = await stored(rest), scheduled(given)
    assert (found.options, found.priority, found.delay_ms) == (wanted.options, wanted.priority, wanted.delay_ms)
    assert found.max_attempts == {"attempts": 9, "keep_trying": ENDLESS}.get(name, DEFAULT_ATTEMPTS)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"schedule": "* * * * *", "repeatEvery": 1000}, "either"),
        ({}, "either"),
        ({"schedule": None, "repeatEvery": None}, "either"),
        ({"schedule": "* * * * *", "name": "another"}, "another"),
        ({"schedule": "* * * * *", "jobOptions": {"dedup": {"ttl": 5}}}, "key"),
        ({"schedule": "* * * * *", "jobOptions": {"groupMaxSize": 5}}, "group"),
        ({"schedule": "* * * * *", "jobOptions": {"runAt": 5}}, "runAt"),
        ({"schedule": "* * * * *", "jobOptions": {"id": "x"}}, "id"),
    ],
)
async def test_what_would_be_without_effect_is_refused(rest: Rest, wrong: dict[str, Any], words: str) -> None:
    answer = await rest.ask("PUT", PATH, {"queue": "q", "jobName": "n"} | wrong)
    assert answer.status == 422
    assert words in answer.body["detail"]
    assert await rest.hub.run(schedule.every) == []


def test_the_samples_are_no_defaults() -> None:
    assert rare_options({name: SAMPLES[name] for name in ("parent", "on_failure")}) == Options(
        parent_id="above", on_failure=OnFailure.IGNORE
    )
    for name in options_at(Door.PYTHON):
        assert name.name in SAMPLES
