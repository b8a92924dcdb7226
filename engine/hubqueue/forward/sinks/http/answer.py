"""What an HTTP answer means for a job or the link: pure, from the status and the headers.

A server that has a trouble of its own (5xx) is waited for however long it takes: it says nothing about the jobs,
unless its owner says otherwise.
Source: RFC 9110, sections 10.2.3 and 15; RFC 6585; engine-rules 26.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Literal

from hubqueue.errors import HubqueueError, Invalid, PayloadTooLarge
from hubqueue.forward.verdict import Down, Reason, SinkDown

ServerErrors = Literal["link", "job"]

LONGEST_WAIT_S: Final = 86_400.0  # a day: what asks for more is mistaken

_REFUSED: Final = frozenset({400, 413, 415, 422})
_REASONS: Final = {
    401: Reason.AUTH,
    403: Reason.AUTH,
    404: Reason.PROTOCOL,
    405: Reason.PROTOCOL,
    407: Reason.AUTH,
    408: Reason.TIMEOUT,
    410: Reason.PROTOCOL,
    429: Reason.QUOTA,
    502: Reason.UNREACHABLE,  # whoever answers cannot reach the server either
    503: Reason.DRAINING,
    504: Reason.TIMEOUT,
    507: Reason.DISK_FULL,
}
_MAX_TEXT: Final = 200  # characters of an answer that are shown


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. headers: by names in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def text(self) -> str:
        """Status and the beginning of the body, for people."""
        said = " ".join(self.body[: 4 * _MAX_TEXT].decode(errors="replace").split())[:_MAX_TEXT]
        return f"HTTP {self.status}: {said}" if said else f"HTTP {self.status}"


def failure(
    reply: Reply, url: str, now_ms: int, *, compressed: bool = False, server_errors: ServerErrors = "link"
) -> HubqueueError | None:
    """What to raise for this answer; None when the job is there. compressed: the request was."""
    status = reply.status
    if 200 <= status < 300:
        return None
    text = f"{url} answers {reply.text}"
    if status in _REFUSED:
        if status == 415 and compressed:
            return SinkDown(Down(Reason.PROTOCOL, f"{text}; does it take gzip?"))
        return PayloadTooLarge(text) if status == 413 else Invalid(text)
    if 300 <= status < 400:
        where = reply.headers.get("location", "nowhere")
        return SinkDown(Down(Reason.PROTOCOL, f"{text}; it sends to {where}: give that address if it is the right one"))
    reason = _REASONS.get(status, Reason.STORE if status >= 500 else Reason.UNKNOWN)
    if status >= 500 and server_errors == "job":
        reason = Reason.UNKNOWN  # the job's, after a while, if others pass
    wait_s = retry_after_s(reply, now_ms)
    answered = reason in (Reason.STORE, Reason.UNKNOWN) and wait_s is None  # who asks to wait means all that comes
    return SinkDown(Down(reason, text, wait_s, answered=answered))


def retry_after_s(reply: Reply, now_ms: int) -> float | None:
    """The wait that was asked for: seconds, or a date by the clock of the server if it tells it. Units: seconds."""
    asked = reply.headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return min(LONGEST_WAIT_S, float(asked))
    until = _date(asked)
    if until is None:
        return None
    now = _date(reply.headers.get("date", "")) or datetime.fromtimestamp(now_ms / 1000, UTC)
    return min(LONGEST_WAIT_S, max(0.0, (until - now).total_seconds()))


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
