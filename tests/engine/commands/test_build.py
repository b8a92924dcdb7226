"""Commands built from values are those that a frame of the same fields is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from hubqueue.commands.build import build
from hubqueue.commands.decode import BadRequest, decode_request
from hubqueue.commands.enqueue import PlainPush, PlainPushB, Push, PushB
from hubqueue.errors import Invalid
from hubqueue.model.payload import encode

DATA: dict[str, Any] = {"a": [1, 2.5, None, "ü"]}
LATE: float = 2.0**40
GOOD: list[tuple[str, dict[str, Any]]] = [
    ("PUSH", {"queue": "q", "name": "n", "data": DATA}),
    ("PUSH", {"queue": "q", "name": "n", "data": None, "priority": 3}),
    ("PUSH", {"queue": "q", "name": "n", "jobId": "own", "runAt": LATE, "backoff": {"type": "fixed", "delay": 5}}),
    ("PUSHB", {"queue": "q", "jobs": [{"name": "n", "data": DATA}, {"name": "n", "data": Raw(encode(DATA))}]}),
    ("PUSHB", {"queue": "q", "jobs": [{"name": "n", "data": DATA}, {"name": "n", "tags": ["t"]}]}),
    ("PUSHF", {"jobs": [{"id": "a", "queue": "q", "input": {"name": "n", "data": DATA}}]}),
    ("ACK", {"id": "j", "token": "t", "result": DATA}),
    ("ACK", {"id": "j", "token": None}),
    ("ACKB", {"ids": ["j", "k"], "results": [DATA, None]}),
    ("ACKB", {"ids": ["j"], "results": None}),
    (
        "Settle",
        {
            "settlements": [{"id": "j", "outcome": "complete", "result": DATA}],
            "outputs": [{"queue": "q", "jobs": [{"name": "n", "data": DATA}]}],
            "blobs": [{"namespace": "n", "key": "k", "value": b"v"}],
        },
    ),
    ("Cron", {"name": "s", "queue": "q", "schedule": "* * * * *", "data": DATA, "jobOptions": {"delay": 2.0**34}}),
    ("RuleTest", {"topic": "t", "payload": b"\x00\xff", "rule": {"topic": "#"}}),
    ("GetJobs", {"queue": "q", "state": ["failed"], "limit": 5.0}),
]
BAD: list[tuple[str, dict[str, Any]]] = [
    ("PUSH", {"name": "n"}),
    ("PUSH", {"queue": "q", "name": "", "data": 1}),
    ("PUSHB", {"queue": "q", "jobs": [{"name": "n", "data": 1}, {"name": "n", "data": 1, "priority": 10**9}]}),
    ("PUSHF", {"jobs": [{"id": "a", "input": {"name": "n"}}]}),
    ("Cron", {"name": "s", "queue": "q", "repeatEvery": 0}),
    ("SetWebhookEnabled", {"id": "w", "enabled": "yes"}),
]


@pytest.mark.parametrize(("name", "fields"), GOOD)
def test_a_built_command_is_that_of_a_frame(name: str, fields: dict[str, Any]) -> None:
    built, _ = build(name, fields)
    framed = decode_request(encode({"cmd": name, **fields}))
    assert type(built) is type(framed)
    assert msgspec.msgpack.encode(built) == msgspec.msgpack.encode(framed)


@pytest.mark.parametrize(("name", "fields"), BAD)
def test_what_is_refused_in_a_frame_is_refused_in_the_same_words(name: str, fields: dict[str, Any]) -> None:
    with pytest.raises(BadRequest) as framed:
        decode_request(encode({"cmd": name, **fields}))
    with pytest.raises(Invalid) as built:
        build(name, fields)
    assert built.value.message == framed.value.error.message


def test_usual_jobs_get_their_plain_form_and_others_the_full_one() -> None:
    job = {"name": "n", "data": 1}
    forms = [
        type(build("PUSH", {"queue": "q", **job})[0]),
        type(build("PUSH", {"queue": "q", **job, "tags": ["t"]})[0]),
        type(build("PUSHB", {"queue": "q", "jobs": [job]})[0]),
        type(build("PUSHB", {"queue": "q", "jobs": [job, {**job, "ttl": 1}]})[0]),
    ]
    assert forms == [PlainPush, Push, PlainPushB, PushB]


def test_user_data_is_packed_once_and_counted_wherever_it_stands() -> None:
    size = len(encode(DATA))
    jobs = [{"name": "n", "data": Raw(encode(DATA))}, {"name": "n", "data": DATA}, {"name": "n"}]
    command, brought = build(
        "Settle",
        {
            "settlements": [{"id": "j", "outcome": "complete", "result": DATA}],
            "outputs": [{"queue": "q", "jobs": jobs}],
        },
    )
    assert brought == 3 * size
    (output,) = command.outputs
    assert [bytes(job.data) for job in output.jobs] == [encode(DATA), encode(DATA), b""]


def test_what_no_message_pack_can_carry_is_refused() -> None:
    with pytest.raises(Invalid, match="64 bits"):
        build("PUSH", {"queue": "q", "name": "n", "data": 2**64})
