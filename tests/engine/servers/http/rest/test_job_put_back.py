"""What is read of a job can be put back: JSON names and means an option alike whether it comes in or goes out."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from hubqueue.model.flowdata import with_parent
from hubqueue.model.job import Job, NewJob, Options, flags_of, options_blob
from hubqueue.model.option import Kind, Option, Parent
from hubqueue.model.options import BY_NAME, OPTIONS, new_job
from hubqueue.model.retry import DEFAULT_BACKOFF, PATIENT_BACKOFF
from hubqueue.model.state import State
from hubqueue.servers.http.rest.newjob import NewJob as Body
from hubqueue.servers.http.rest.newjob import push_fields
from hubqueue.wire.jobin import JobIn, to_new_job
from hubqueue.wire.jobjson import SHOWN, shown
from hubqueue.wire.jobmap import queried_job
from support.job_options import SAMPLES, as_json, with_needs
from support.rest import Rest

NOW_MS: Final = 1_800_000_000_000
LETTERS: Final = st.sampled_from("aZ9 :_ü😀")
HISTORY: Final = ("createdAt", "lastHeartbeat", "endsAt", "seq", "timeline")
Given = dict[str, Any]


def values(option: Option) -> st.SearchStrategy[Any]:
    match option.kind:
        case Kind.WHOLE | Kind.SPAN | Kind.TIME:
            return st.integers(int(option.low), int(option.high))
        case Kind.FACTOR:
            return st.floats(option.low, option.high)
        case Kind.FLAG:
            return st.booleans()
        case Kind.TEXT:
            return st.text(LETTERS, min_size=int(option.low), max_size=9)
        case Kind.TEXTS:
            return st.lists(st.text(LETTERS, min_size=1, max_size=9), max_size=3).map(tuple)
        case Kind.CHOICE:
            return st.sampled_from(list(option.choices))
    needed = {part.name: values(part) for part in option.parts if part.name in option.required}
    others = {part.name: values(part) for part in option.parts if part.name not in option.required}
    return st.fixed_dictionaries(needed, optional=others).map(option.made)


def enough(said: Given) -> Given:
    """Without what would say nothing, or nothing that comes back."""
    given = {name: value for name, value in said.items() if not (BY_NAME[name].kind is Kind.TEXTS and not value)}
    return {name: value for name, value in given.items() if BY_NAME[name].needs in ("", *given)}


SAID: Final = st.fixed_dictionaries({}, optional={option.name: values(option) for option in SHOWN}).map(enough)


def stored(new: NewJob, data: bytes | None) -> Job:
    options = new.options or Options()
    return Job(
        id=new.custom_id or "hub-1",
        queue="q",
        seq=1,
        state=State.WAITING,
        flags=flags_of(options, new.custom_id),
        priority=new.priority,
        name=new.name,
        data=data,
        run_at_ms=NOW_MS if new.run_at_ms is None else new.run_at_ms,
        created_at_ms=NOW_MS,
        attempts=0,
        max_attempts=new.max_attempts,
        custom_id=new.custom_id,
        options_blob=options_blob(options),
    )


def effective(new: NewJob) -> NewJob:
    """With what counts where nothing is said: an answer shows it, and it may be said as well."""
    options = new.options or Options()
    plain = DEFAULT_BACKOFF if options.keep_trying_ms is None else PATIENT_BACKOFF
    return replace(new, data=None, options=replace(options, backoff=options.backoff or plain))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # beside two busy loops
@given(SAID)
def test_every_job_that_is_read_can_be_put_back(said: Given) -> None:
    wanted = new_job("n", None, {"id": "mine", "run_at": NOW_MS} | said)
    parent: Parent | None = said.get("parent")
    data = None if parent is None else with_parent(b"\x80", parent.id, "q")
    read = shown(queried_job(stored(wanted, data)))
    body = {name: value for name, value in read.items() if name in Body.__struct_encode_fields__}
    if parent is not None:
        assert body["parent"] == {"queue": "q", "id": parent.id}
    entry = push_fields(msgspec.json.decode(msgspec.json.encode(body), type=Body))
    found = to_new_job(
        msgspec.msgpack.decode(msgspec.msgpack.encode(entry), type=JobIn, strict=False), entry["customId"]
    )
    assert effective(found) == effective(wanted)


@pytest.mark.parametrize("name", [option.name for option in SHOWN if option.name != "parent"])
async def test_a_job_is_read_as_it_was_sent_and_sent_again_is_the_same(rest: Rest, name: str) -> None:
    body: Given = {"name": "n", "data": {"a": 1}}
    for each, value in with_needs(name).items():
        body |= as_json(BY_NAME[each], value)
    for known in ("above", "first"):
        await rest.post("/queues/q/jobs", {"name": "n", "id": known, "delay": 60_000})
    id = (await rest.post("/queues/q/jobs", body))["id"]
    read = await rest.get(f"/jobs/{id}")
    assert {field: read[field] for field in body} == body
    again = {field: value for field, value in read.items() if field in Body.__struct_encode_fields__}
    again["id"] = "again"
    if read["dedup"]:
        again["dedup"]["key"] = "another"
    await rest.post("/queues/q/jobs", again)
    second = await rest.get("/jobs/again")
    assert {field for field in read if read[field] != second[field]} <= {*HISTORY, "id", "dedup"}


@pytest.mark.parametrize(
    "option", [option for option in OPTIONS if option.name in SAMPLES], ids=lambda option: option.name
)
@pytest.mark.parametrize("path", ["/queues/q/jobs", "/queues/q/jobs/batch"])
async def test_a_name_of_another_door_is_refused_with_the_one_of_this(rest: Rest, option: Option, path: str) -> None:
    names = {option.name, option.wire, *option.choices.values()} - {option.json, ""}
    for name in names:
        job = {"name": "n", name: 1}
        answer = await rest.ask("POST", path, {"jobs": [job]} if path.endswith("batch") else job)
        said = f"jobs[0]: there is no field '{name}'" if path.endswith("batch") else f"There is no field '{name}'"
        assert (answer.status, answer.body["detail"]) == (422, said)
        assert answer.body["hint"] == f"here it is '{option.json}'"


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ({"prioritty": 1}, "did you mean 'priority'?"),
        ({"backoff": {"delay": 1, "maxDelay": 5}}, "here it is 'max'"),
        ({"nothing_like_it": 1}, "there are: id, priority"),
    ],
)
async def test_an_unknown_field_is_refused_with_what_was_meant(rest: Rest, wrong: Given, hint: str) -> None:
    answer = await rest.ask("POST", "/queues/q/jobs", {"name": "n"} | wrong)
    assert answer.status == 422
    assert answer.body["hint"].startswith(hint)


async def test_an_option_of_a_schedule_is_told_where_it_belongs(rest: Rest) -> None:
    body = {"queue": "q", "jobName": "n", "repeatEvery": 60_000, "uniqueKey": "k"}
    answer = await rest.ask("PUT", "/schedules/s", body)
    assert (answer.status, answer.body["hint"]) == (422, "here it is 'dedup' in 'jobOptions'")


@pytest.mark.parametrize("option", SHOWN, ids=lambda option: option.name)
async def test_null_is_not_said(rest: Rest, option: Option) -> None:
    plain = await rest.get(f"/jobs/{(await rest.post('/queues/q/jobs', {'name': 'n'}))['id']}")
    made = await rest.post("/queues/q/jobs", {"name": "n", option.json: None})
    found = await rest.get(f"/jobs/{made['id']}")
    differing = {name for name in plain if plain[name] != found[name]}
    assert differing <= {*HISTORY, "id", "runAt"}


async def test_of_the_data_of_a_flow_only_its_ties_are_left_out(rest: Rest) -> None:
    """They are said by `parent` and `childrenIds`; another key that begins so is the user's."""
    await rest.post("/queues/q/jobs", {"name": "n", "id": "above", "data": {"__mine": 1, "v": 2}, "delay": 60_000})
    await rest.post("/queues/q/jobs", {"name": "n", "id": "below", "parent": {"queue": "q", "id": "above"}})
    above, below = await rest.get("/jobs/above"), await rest.get("/jobs/below")
    assert (above["data"], above["childrenIds"]) == ({"__mine": 1, "v": 2}, ["below"])
    assert (below["data"], below["parent"]) == ({}, {"queue": "q", "id": "above"})


async def test_a_parent_whose_queue_nobody_has_said_can_be_put_back(rest: Rest) -> None:
    """Clients of bunqueue may push so: the job names its parent, which does not wait for it."""
    await rest.post("/queues/q/jobs", {"name": "n", "id": "above", "delay": 60_000})
    (id,) = await rest.hub.enqueue("q", [NewJob(name="n", data=b"\x01", options=Options(parent_id="above"))])
    read = await rest.get(f"/jobs/{id}")
    assert read["parent"] == {"queue": None, "id": "above"}
    again = {field: value for field, value in read.items() if field in Body.__struct_encode_fields__} | {"id": "again"}
    await rest.post("/queues/q/jobs", again)
    second = await rest.get("/jobs/again")
    assert {field for field in read if read[field] != second[field]} <= {*HISTORY, "id"}
    assert (await rest.get("/jobs/above"))["childrenIds"] == []


async def test_a_parent_is_said_with_its_queue(rest: Rest) -> None:
    answer = await rest.ask("POST", "/queues/q/jobs", {"name": "n", "parent": {"id": "above"}})
    assert (answer.status, answer.body["code"]) == (422, "invalid")
