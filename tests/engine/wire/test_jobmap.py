"""A job as the protocol shows it: every key, the right kinds of numbers, the way it went."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hubqueue.model.job import Attempt, Dedup, Flag, History, Job, Options, history_blob, options_blob
from hubqueue.model.retry import Backoff
from hubqueue.model.state import State
from hubqueue.wire.jobmap import job_map, queried_job

CREATED = 1_763_760_000_000
KEYS = {
    *("id", "queue", "name", "data", "createdAt", "runAt", "startedAt", "completedAt", "attempts", "maxAttempts"),
    *("backoff", "backoffConfig", "dependsOn", "childrenIds", "childrenCompleted", "tags", "progress"),
    *("progressMessage", "stacktrace", "repeat", "durable", "lastHeartbeat", "stallCount", "priority", "lifo"),
    *("removeOnComplete", "removeOnFail", "ttl", "timeout", "stallTimeout", "keepLogs", "sizeLimit"),
    *("deduplicationTtl", "debounceTtl", "uniqueKey", "customId", "parentId", "groupId", "debounceId"),
    *("stackTraceLimit", "failParentOnFailure", "removeDependencyOnFailure", "continueParentOnFailure"),
    *("ignoreDependencyOnFailure", "deduplicationExtend", "deduplicationReplace", "timeline"),
}  # those of the protocol
OURS = {"seq", "lostCount", "finishedAt", "keepTrying", "endsAt"}
TIMES = ("createdAt", "runAt", "startedAt", "completedAt", "lastHeartbeat", "finishedAt", "endsAt")


def job(**fields: Any) -> Job:
    usual: dict[str, Any] = {
        "id": "hub-1",
        "queue": "q",
        "seq": 1,
        "state": State.WAITING,
        "flags": 0,
        "priority": 0,
        "name": "n",
        "data": b"\x01",
        "run_at_ms": CREATED,
        "created_at_ms": CREATED,
        "attempts": 0,
        "max_attempts": 3,
    }
    return Job(**{**usual, **fields})


def shown(stored: Job, *, queried: bool = False) -> dict[str, Any]:
    found = queried_job(stored) if queried else job_map(stored)
    decoded: dict[str, Any] = msgspec.msgpack.decode(msgspec.msgpack.encode(found))
    return decoded


FULL = job(
    state=State.COMPLETED,
    flags=int(Flag.LIFO | Flag.DURABLE),
    started_at_ms=CREATED + 5,
    heartbeat_at_ms=CREATED + 6,
    finished_at_ms=CREATED + 7,
    custom_id="mine",
    progress=100.0,
    attempts=1,
    options_blob=options_blob(
        Options(Backoff("fixed", 5), 6, 7, 70, 8, True, True, Dedup("k", 9, True, True), True, True, ("t",), 4)
    ),
    history_blob=history_blob(
        History((Attempt(1, CREATED + 1, CREATED + 2, "explicit_fail", "e"),), None, None, ("at x",), "half")
    ),
    result=b"\x02",
)


@pytest.mark.parametrize("stored", [job(), FULL], ids=["plain", "full"])
def test_every_key_is_there(stored: Job) -> None:
    assert set(shown(stored)) == KEYS | OURS


@pytest.mark.parametrize("stored", [job(), FULL], ids=["plain", "full"])
def test_times_are_floats_that_javascript_can_read(stored: Job) -> None:
    found = shown(stored)
    for key in TIMES:
        assert found[key] is None or isinstance(found[key], float), key
    assert all(isinstance(step["timestamp"], float) for step in found["timeline"])


def test_absent_data_is_left_out_and_null_is_not() -> None:
    assert "data" not in shown(job(data=None))
    assert shown(job(data=b"\xc0"))["data"] is None


def test_options_and_history_are_shown() -> None:
    found = shown(FULL)
    assert found["backoff"] == 5
    assert found["backoffConfig"] == {"type": "fixed", "delay": 5, "maxDelay": 3_600_000, "jitter": 1.0}
    assert (found["timeout"], found["ttl"], found["keepTrying"], found["stallTimeout"]) == (6, 7, 70, 8)
    assert (found["uniqueKey"], found["deduplicationTtl"]) == ("k", 9)
    assert found["deduplicationExtend"] is found["deduplicationReplace"] is found["durable"] is found["lifo"] is True
    assert (found["tags"], found["stackTraceLimit"], found["customId"]) == (["t"], 4, "mine")
    assert (found["stacktrace"], found["progressMessage"]) == (["at x"], "half")


@pytest.mark.parametrize("flag", [Flag.TTL, Flag.KEEP_TRYING])
def test_when_its_time_is_over_is_shown_until_it_has_ended(flag: int) -> None:
    def ends_at(state: State, flags: int) -> float | None:
        found: float | None = shown(job(state=state, flags=flags, expires_at_ms=CREATED + 9))["endsAt"]
        return found

    assert [ends_at(State(state), flag) for state in range(4)] == [CREATED + 9] * 4
    assert ends_at(State.FAILED, flag) is None  # when it is tried again by itself is another thing
    assert ends_at(State.WAITING, Flag.TIMEOUT) is None


def test_the_backoff_of_a_job_that_is_kept_trying_is_shown() -> None:
    found = shown(job(options_blob=options_blob(Options(keep_trying_ms=60_000))))
    assert (found["backoff"], found["backoffConfig"]["maxDelay"]) == (2500, 300_000)


def test_the_timeline_tells_the_way() -> None:
    assert [step["state"] for step in shown(FULL)["timeline"]] == ["waiting", "active", "failed", "active", "completed"]
    assert [step["state"] for step in shown(job(run_at_ms=CREATED + 9))["timeline"]] == ["delayed"]
    assert [step["state"] for step in shown(job(priority=1))["timeline"]] == ["prioritized"]


def test_state_result_and_error_come_only_with_queries() -> None:
    assert not {"state", "returnvalue", "failedReason"} & set(shown(FULL))
    found = shown(FULL, queried=True)
    assert (found["state"], found["returnvalue"], found["failedReason"]) == ("completed", 2, "e")
    plain = shown(job(priority=2), queried=True)
    assert plain["state"] == "prioritized"
    assert "returnvalue" not in plain
    assert "failedReason" not in plain
