"""Durations and moments of the public surface."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from hubqueue.api.newjob import dedup, exponential, fixed, job, new_schedule
from hubqueue.api.units import duration_ms, moment, moment_ms
from hubqueue.errors import Invalid


@pytest.mark.parametrize(
    ("value", "ms"), [(0, 0), (2, 2000), (0.0015, 2), (timedelta(hours=1, milliseconds=1), 3_600_001), (-1, -1000)]
)
def test_a_duration_is_seconds_or_a_timedelta(value: float | timedelta, ms: int) -> None:
    assert duration_ms("delay", value) == ms


@pytest.mark.parametrize("value", ["5", True, None, float("nan"), float("inf"), [1]])
def test_nothing_else_is_a_duration(value: object) -> None:
    with pytest.raises(Invalid, match="delay"):
        duration_ms("delay", value)  # type: ignore[arg-type]


def test_a_moment_is_an_aware_datetime_or_unix_seconds() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=timezone(timedelta(hours=2)))
    assert moment_ms("run_at", at) == round(at.timestamp() * 1000) == moment_ms("run_at", at.timestamp())
    assert moment(moment_ms("run_at", at)) == at.astimezone(UTC)
    assert moment(None) is None


@pytest.mark.parametrize("value", [datetime(2026, 1, 2), "2026-01-02", True, float("nan")])
def test_nothing_else_is_a_moment(value: object) -> None:
    with pytest.raises(Invalid, match="run_at"):
        moment_ms("run_at", value)  # type: ignore[arg-type]


def test_back_off_and_deduplication_are_said_in_durations() -> None:
    assert (fixed(2).kind, fixed(2).delay_ms) == ("fixed", 2000)
    assert (exponential().delay_ms, exponential(1, max=timedelta(minutes=1)).max_ms) == (1000, 60_000)
    assert (dedup("k").ttl_ms, dedup("k", ttl=1.5, replace=True).ttl_ms) == (None, 1500)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"attempts": 0}, "attempts must be at least 1"),
        ({"keep_trying": 1, "delay": 5}, "keep_trying (1000 ms)"),
        ({"stack_trace_limit": -1}, "stack_trace_limit must be at least 0"),
        ({"group": ""}, "group must be a non-empty string"),
        ({"group": "a\0"}, "group must be well-formed text: character 2 is a NUL"),
        ({"group": "g", "priority": -1}, "priority must be between 0 and"),
        ({"group": "g", "group_max_size": 0}, "group_max_size must be at least 1"),
        ({"id": "x" * 1025}, "id must be at most 1024 characters"),
        ({"id": "ab\ud800"}, "id must be well-formed text: character 3 is half of a surrogate pair"),
        ({"depends_on": ["\ud800"]}, "depends_on must hold well-formed text"),
        ({"dedup": ""}, "dedup must be"),
        ({"backoff": exponential(1, max=10**9)}, "backoff.max must be at most"),
    ],
    ids=str,
)
def test_what_is_refused_is_called_as_python_calls_it(said: Any, words: str) -> None:
    with pytest.raises(Invalid) as refused:
        job("n", **said)
    assert refused.value.message.startswith(words)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"every_ms": 10**12}, "every must be at most"),
        ({"every_ms": 1000, "limit": 0}, "limit must be at least 1"),
        ({"cron": "0 " * 1000}, "cron must be"),
    ],
    ids=str,
)
def test_what_is_refused_of_a_schedule_is_called_as_python_calls_it(rules: Any, words: str) -> None:
    flags = dict.fromkeys(("immediately", "overlap", "skip_missed", "worker_only"), False)
    with pytest.raises(Invalid) as refused:
        new_schedule("k", "q", "n", None, {}, **{"timezone": None, "limit": None, **flags, **rules})
    assert refused.value.message.startswith(words)
