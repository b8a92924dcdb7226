"""keep_trying comes in by every door alike: so long, and any number of attempts unless one is given."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import voluptuous as vol

from hubqueue.api.newjob import JobOptions, new_job
from hubqueue.client.jobmap import schedule_fields
from hubqueue.commands.enqueue import Push
from hubqueue.config.rules import read_rule, words
from hubqueue.config.sources import source
from hubqueue.errors import HubqueueError
from hubqueue.hub.verbs.schedule import every
from hubqueue.ingest.outcome import Taken
from hubqueue.model.job import ENDLESS, NewJob, Options
from hubqueue.model.limits import check_new_job
from hubqueue.model.schedule import Schedule
from hubqueue.mqtt.invoke import read_invoke
from hubqueue.mqtt.trial import try_message
from hubqueue.mqttclient.message import Message
from hubqueue.sources.message import Message as Record
from hubqueue.sources.routing import SourceRouting
from hubqueue.wire.jobin import JobIn, to_new_job
from hubqueue.wire.joboptions import job_fields
from support.rest import Rest, serving

NOW_MS: Final = 1_800_000_000_000
KEEP_MS: Final = 60_000
Door = Callable[[int | None, int | None], NewJob]  # (keep trying, attempts), None: not said


def said(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def python(keep_ms: int | None, attempts: int | None) -> NewJob:
    keep_s = None if keep_ms is None else keep_ms / 1000
    options: JobOptions = said(keep_trying=keep_s, attempts=attempts)  # type: ignore[assignment]
    return new_job("n", None, options)


def push(keep_ms: int | None, attempts: int | None) -> NewJob:
    sent = {"cmd": "PUSH", "queue": "q", "name": "n", **said(keepTrying=keep_ms, maxAttempts=attempts)}
    return to_new_job(msgspec.convert(sent, Push), None)


def entry(keep_ms: int | None, attempts: int | None) -> NewJob:
    return to_new_job(msgspec.convert({"name": "n", **said(keepTrying=keep_ms, maxAttempts=attempts)}, JobIn), None)


def across_the_wire(keep_ms: int | None, attempts: int | None) -> NewJob:
    """What a Python client sends of a job, as a hub reads it."""
    fields = job_fields(python(keep_ms, attempts))
    return to_new_job(msgspec.msgpack.decode(msgspec.msgpack.encode(fields), type=JobIn), None)


def schedule(keep_ms: int | None, attempts: int | None) -> NewJob:
    made = python(keep_ms, attempts)
    fields = schedule_fields(
        Schedule(key="k", queue="q", cron="0 0 * * *", max_attempts=made.max_attempts, options=made.options)
    )
    options = msgspec.msgpack.decode(msgspec.msgpack.encode(fields["jobOptions"]), type=JobIn)
    return to_new_job(msgspec.structs.replace(options, name="n"), None)


def rule(keep_ms: int | None, attempts: int | None) -> NewJob:
    keep = None if keep_ms is None else f"{keep_ms}ms"
    read = read_rule({"topic": "a", "queue": "q", **said(keep_trying=keep, attempts=attempts)})
    assert read_rule(words(read)) == read
    (taken,) = try_message([read], "a", b"1", now_ms=NOW_MS)
    assert isinstance(taken, Taken)
    return taken.job


def from_kafka(keep_ms: int | None, attempts: int | None) -> NewJob:
    keep = None if keep_ms is None else f"{keep_ms}ms"
    made = source(Path())(
        {"name": "s", "from": "kafka://h/t", "queue": "q", **said(keep_trying=keep, attempts=attempts)}
    )
    (taken,) = SourceRouting("s", made.into).route([Record("t", b"1")], NOW_MS).taken
    return taken.job


def invoke(keep_ms: int | None, attempts: int | None) -> NewJob:
    body = {"method": "m", **said(keepTrying=keep_ms, attempts=attempts)}
    job, _ = read_invoke(Message("hubqueue/q/invoke", json.dumps(body).encode()), "q")
    return job


DOORS: Final[dict[str, Door]] = {
    "Python": python,
    "PUSH": push,
    "PUSHB": entry,
    "the wire": across_the_wire,
    "a schedule": schedule,
    "an MQTT rule": rule,
    "a source": from_kafka,
    "an invoke": invoke,
}


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_every_door_takes_it(door: Door) -> None:
    for keep_ms, attempts, known in ((None, None, 3), (None, 7, 7), (KEEP_MS, None, ENDLESS), (KEEP_MS, 3, 3)):
        job = door(keep_ms, attempts)
        check_new_job(job)
        assert (None if job.options is None else job.options.keep_trying_ms) == keep_ms
        assert job.max_attempts == known


@pytest.mark.parametrize("wrong", [-1, 31_536_000_001], ids=["negative", "beyond a year"])
@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_every_door_names_what_is_out_of_bounds(door: Door, wrong: int) -> None:
    try:
        check_new_job(door(wrong, None))
    except (HubqueueError, msgspec.ValidationError, vol.Invalid) as error:
        told = f"{error} {getattr(error, 'path', '')}"
    else:
        told = ""
    assert re.search("keep_?trying", told, re.IGNORECASE), told


@pytest.fixture
async def rest(tmp_path: Path) -> AsyncIterator[Rest]:
    async with serving(tmp_path / "hub.db") as served:
        yield served


REST: Final[dict[str, tuple[str, Any, dict[str, str]]]] = {
    "jobs": ("/queues/q/jobs", {"name": "n", "keepTrying": KEEP_MS}, {}),
    "batch": ("/queues/q/jobs/batch", {"jobs": [{"name": "n", "keepTrying": KEEP_MS}]}, {}),
    "feed": (f"/queues/q/feed?keeptrying={KEEP_MS}", {"t": 1}, {}),
    "feed with a header": ("/queues/q/feed", {"t": 1}, {"X-Hubqueue-Keep-Trying": str(KEEP_MS)}),
    "feed with a ttl": (f"/queues/q/feed?keeptrying={KEEP_MS}&ttl=600000", {"t": 1}, {}),
    "invoke": ("/queues/q/invoke/m", {"data": 1, "keepTrying": KEEP_MS}, {}),
}


@pytest.mark.parametrize(("path", "body", "headers"), REST.values(), ids=REST)
async def test_every_route_takes_it(rest: Rest, path: str, body: Any, headers: dict[str, str]) -> None:
    made = await rest.post(path, body, headers=headers)
    (id,) = made["ids"] if "ids" in made else [made["id"]]
    job = await rest.get(f"/jobs/{id}")
    assert (job["keepTrying"], job["attempts"]) == (KEEP_MS, None)
    assert job["endsAt"] == job["createdAt"] + KEEP_MS


async def test_a_schedule_of_the_rest_api_takes_it(rest: Rest) -> None:
    wanted = {
        "queue": "q",
        "jobName": "n",
        "repeatEvery": 3_600_000,
        "jobOptions": {"keepTrying": KEEP_MS, "ttl": 10**6},
    }
    assert (await rest.ask("PUT", "/schedules/s", wanted)).status < 300
    (stored,) = await rest.hub.run(every)
    assert stored.options == Options(keep_trying_ms=KEEP_MS, ttl_ms=10**6)
    assert stored.max_attempts == ENDLESS


async def test_a_job_that_would_never_be_tried_is_refused_with_what_to_do(rest: Rest) -> None:
    answer = await rest.ask("POST", "/queues/q/jobs", {"name": "n", "keepTrying": 1000, "delay": 5000})
    assert answer.status == 422
    assert "keepTrying (1000 ms) ends before the job is due" in answer.body["detail"]
    assert "longer than the delay" in answer.body["hint"]
    late = {"name": "n", "keepTrying": 1000, "runAt": 4_000_000_000_000}
    assert (await rest.ask("POST", "/queues/q/jobs", late)).status == 422
