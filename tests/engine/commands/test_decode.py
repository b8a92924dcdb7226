"""From bytes to commands: whatever comes, the outcome is a command or a typed error in the protocol's words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.msgpack import Ext, encode

from hubqueue.commands.decode import BadRequest, decode_request
from hubqueue.commands.enqueue import PlainPush, PlainPushB, Push, PushB
from hubqueue.commands.leases import ExtendLocks, Progress, Pull
from hubqueue.commands.read import GetJobs
from hubqueue.commands.settle import AckB
from hubqueue.commands.table import BY_NAME
from hubqueue.wire.fields import value_bytes

UNDEFINED = Ext(0, b"\0")
PUSH = {"cmd": "PUSH", "queue": "q", "name": "n", "data": {"a": 1}}
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**63), max_value=2**64 - 1)
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | st.just(UNDEFINED)
    | st.builds(Ext, st.integers(min_value=-128, max_value=127), st.binary(max_size=8)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


def decode(**fields: Any) -> Any:
    return decode_request(encode(fields))


def error_of(**fields: Any) -> str:
    with pytest.raises(BadRequest) as raised:
        decode(**fields)
    return raised.value.error.message


@given(body=st.binary(max_size=200))
def test_any_bytes_are_a_command_or_a_bad_request(body: bytes) -> None:
    try:
        decode_request(body)
    except BadRequest:
        pass


@given(name=st.sampled_from(sorted(BY_NAME)), data=st.data())
def test_any_values_of_known_fields_are_a_command_or_a_bad_request(name: str, data: st.DataObject) -> None:
    known = [field.encode_name for field in msgspec.structs.fields(BY_NAME[name])]
    fields = data.draw(st.dictionaries(st.sampled_from([*known, "unknown"]), VALUES, max_size=len(known) + 1))
    try:
        outcome: Any = type(decode_request(encode({**fields, "cmd": name}))).__struct_config__.tag
    except BadRequest as bad:
        outcome = bad.error.code
    assert outcome in (name, "invalid")


@given(messages=VALUES)
def test_any_message_is_a_command_or_a_bad_request(messages: object) -> None:
    try:
        decode_request(encode(messages))
    except BadRequest:
        pass


def test_a_usual_push_is_decoded_in_its_plain_form() -> None:
    command = decode(**PUSH, reqId="1", priority=2, delay=5, maxAttempts=7)
    assert type(command) is PlainPush
    assert (command.priority, command.delay_ms, command.max_attempts) == (2, 5, 7)
    assert bytes(command.data) == encode({"a": 1})
    assert bytes(command.req_id) == encode("1")


def test_rare_options_take_the_full_form() -> None:
    assert type(decode(**PUSH, durable=True)) is Push
    assert type(decode(cmd="PUSHB", queue="q", jobs=[{"name": "a", "data": 1}])) is PlainPushB
    assert type(decode(cmd="PUSHB", queue="q", jobs=[{"name": "a", "data": 1}, {"data": 1}])) is PushB


@pytest.mark.parametrize(
    ("fields", "attribute", "value"),
    [
        ({"priority": 3.0}, "priority", 3),
        ({"priority": None}, "priority", 0),
        ({"priority": UNDEFINED}, "priority", 0),
        ({"delay": 12.9}, "delay", 12),
        ({"delay": 3e10}, "delay", 30_000_000_000),
        ({"timestamp": 1.7e12}, "timestamp", 1_700_000_000_000),
        ({"timeout": UNDEFINED}, "timeout", None),
        ({"jobId": None}, "job_id", None),
        ({"backoff": 5.0}, "backoff", 5.0),
        ({"tags": None}, "tags", None),
    ],
)
def test_what_javascript_clients_send_is_understood(fields: dict[str, Any], attribute: str, value: object) -> None:
    command = decode(**PUSH, **fields)
    assert type(command) is Push
    assert getattr(command, attribute) == value


def test_nested_options_are_repaired_too() -> None:
    command = decode(**PUSH, uniqueKey="k", dedup={"ttl": 5.0, "extend": UNDEFINED, "other": 1})
    assert (command.dedup.ttl, command.dedup.extend) == (5, None)
    batch = decode(cmd="PUSHB", queue="q", jobs=[{"name": "a", "data": UNDEFINED, "priority": 1.0}])
    assert batch.jobs[0].priority == 1
    assert value_bytes(batch.jobs[0].data) is None


def test_lists_keep_their_places() -> None:
    command = decode(cmd="ACKB", ids=["a", "b"], tokens=["t", UNDEFINED], results=[UNDEFINED, None])
    assert type(command) is AckB
    assert command.tokens == ["t", None]
    assert [value_bytes(result) for result in command.results] == [None, b"\xc0"]
    locks = decode(cmd="ExtendLocks", ids=["a"], tokens=["t"], durations=[5])
    assert type(locks) is ExtendLocks
    assert locks.durations == [5.0]


def test_a_message_can_be_cleared_kept_or_set() -> None:
    kept = decode(cmd="Progress", id="x", progress=1, message=UNDEFINED)
    assert type(kept) is Progress
    assert kept.message is msgspec.UNSET
    assert decode(cmd="Progress", id="x", progress=1, message=None).message is None
    assert decode(cmd="Progress", id="x", progress=1, message="m").message == "m"


def test_one_state_or_many_may_be_asked_for() -> None:
    one = decode(cmd="GetJobs", queue="q", state="failed", limit=5.0)
    assert type(one) is GetJobs
    assert (one.state, one.limit) == ("failed", 5)
    assert decode(cmd="GetJobs", queue="q", state=["failed", "active"]).state == ["failed", "active"]


def test_any_length_of_lease_is_read() -> None:
    for lock_ttl in (0, -5, 2**64 - 1, 1e300, float("nan")):
        assert type(decode(cmd="PULL", queue="q", lockTtl=lock_ttl)) is Pull


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"cmd": "PUSH", "name": "n", "data": 1}, "Queue name is required"),
        ({**PUSH, "maxAttempts": 1001}, "maxAttempts must be at most 1000"),
        ({**PUSH, "priority": 2.5}, "priority must be an integer"),
        ({**PUSH, "stallTimeout": "5"}, "stallTimeout must be a number"),
        ({**PUSH, "ttl": float("-inf")}, "ttl must be a finite number"),
        ({**PUSH, "removeOnFail": 1}, "removeOnFail must be a boolean"),
        ({**PUSH, "dedup": {"ttl": -1}}, "dedup.ttl must be at least 0"),
        ({"cmd": "PUSHB", "queue": "q"}, "jobs is required"),
        ({"cmd": "PUSHB", "queue": "q", "jobs": {}}, "jobs must be an array"),
        ({"cmd": "PUSHB", "queue": "q", "jobs": [1]}, "jobs[0] must be an object"),
        ({"cmd": "PUSHB", "queue": "q", "jobs": [{"backoff": {"delay": 1}}]}, "jobs[0]: backoff.type must be"),
        ({"cmd": "ACKB", "ids": "x"}, "ids must be an array"),
        ({"cmd": "ACK"}, "id is required"),
        ({"cmd": "ExtendLock", "id": "x", "duration": None}, "duration is required"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_said_in_the_words_of_the_protocol(fields: dict[str, Any], text: str) -> None:
    assert error_of(**fields).startswith(text)


def test_the_req_id_of_a_bad_request_is_known() -> None:
    with pytest.raises(BadRequest) as raised:
        decode(cmd="PUSH", reqId=[1, {"any": "thing"}], priority="x")
    assert bytes(raised.value.req_id) == encode([1, {"any": "thing"}])
