"""What an HTTP answer means: the table of docs/forwarding.md, and how long to wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from hubqueue.forward.sinks.http.answer import LONGEST_WAIT_S, Reply, failure, retry_after_s
from hubqueue.forward.verdict import Down, Reason, Rejected, SinkDown, verdict


def meaning(status: int, headers: dict[str, str] | None = None, *, compressed: bool = False) -> Down | Rejected | None:
    error = failure(Reply(status, headers or {}, b'{"error": "why"}'), "https://host", 0, compressed=compressed)
    return None if error is None else verdict(error)


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_the_job_is_there(status: int) -> None:
    assert meaning(status) is None


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (301, "protocol"),
        (302, "protocol"),
        (308, "protocol"),
        (401, "auth"),
        (403, "auth"),
        (404, "protocol"),
        (405, "protocol"),
        (407, "auth"),
        (408, "timeout"),
        (409, "unknown"),
        (410, "protocol"),
        (418, "unknown"),
        (429, "quota"),
        (500, "store"),
        (502, "unreachable"),
        (503, "draining"),
        (504, "timeout"),
        (507, "disk_full"),
        (599, "store"),
    ],
)
def test_the_link_is_down(status: int, reason: str) -> None:
    found = meaning(status)
    assert isinstance(found, Down)
    assert found.reason.value == reason
    assert f"HTTP {status}" in found.error


@pytest.mark.parametrize(
    ("status", "code"), [(400, "invalid"), (413, "payload_too_large"), (415, "invalid"), (422, "invalid")]
)
def test_the_job_is_refused(status: int, code: str) -> None:
    found = meaning(status)
    assert isinstance(found, Rejected)
    assert found.code == code
    assert "why" in found.reason


def test_a_server_that_does_not_unpack_refuses_no_job() -> None:
    assert isinstance(meaning(415, compressed=True), Down)


def test_a_redirect_says_where_to() -> None:
    found = meaning(301, {"location": "https://other"})
    assert isinstance(found, Down)
    assert "https://other" in found.error


NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked", "date", "wait_s"),
    [
        ("120", "", 120.0),
        ("0", "", 0.0),
        ("999999999", "", LONGEST_WAIT_S),
        ("soon", "", None),
        ("-5", "", None),
        ("²", "", None),
        ("", "", None),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), format_datetime(NOW, usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), format_datetime(NOW, usegmt=True), 0.0),
        ("Wed, 01 Jan 2200 00:00:00 GMT", format_datetime(NOW, usegmt=True), LONGEST_WAIT_S),
        ("Thu, 01 Jan 1970 00:00:00 GMT", "", 0.0),
    ],
)
def test_the_wait_that_is_asked_for_is_read(asked: str, date: str, wait_s: float | None) -> None:
    assert retry_after_s(Reply(503, {"retry-after": asked, "date": date}), 0) == wait_s


def test_a_date_without_the_servers_clock_is_read_by_ours() -> None:
    later = format_datetime(NOW + timedelta(seconds=600), usegmt=True)
    assert retry_after_s(Reply(429, {"retry-after": later}), int(NOW.timestamp() * 1000)) == 600


def test_the_wait_goes_with_the_verdict() -> None:
    found = meaning(429, {"retry-after": "7"})
    assert isinstance(found, Down)
    assert found.retry_after_s == 7


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 507, 599])
def test_5xx_is_the_jobs_after_a_while_where_the_owner_of_the_server_says_so(status: int) -> None:
    error = failure(Reply(status, {}), "https://host", 0, server_errors="job")
    assert isinstance(error, SinkDown)
    assert (error.down.reason, error.down.answered) == (Reason.UNKNOWN, True)


def test_a_batch_is_not_taken_apart_for_a_server_that_asks_to_wait() -> None:
    error = failure(Reply(500, {"retry-after": "3"}), "https://host", 0)
    assert isinstance(error, SinkDown)
    assert (error.down.reason, error.down.answered) == (Reason.STORE, False)
