"""What a forwarder shows: its status for tables and metrics, and the events it tells as they happen."""

from __future__ import annotations

import math
from typing import Final

import msgspec

from hubqueue.forward.breaker import LinkState
from hubqueue.forward.verdict import Down, Rejected

RATE_SPAN_S: Final = 30.0  # the rate shown is that of about the last half minute


class ForwardStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One forwarder at one moment. Counters run since its start.

    Units: since_ms Unix milliseconds; oldest_ms age of the oldest waiting job in milliseconds; rate_per_s jobs.
    """

    queue: str
    target: str
    link: LinkState
    since_ms: int
    reason: str | None = None  # why the link is down: verdict.Reason
    error: str | None = None  # the last one of the link, also after it came back
    alert: bool = False  # somebody should look at it
    retry_in_s: float | None = None
    waiting: int = 0
    delayed: int = 0
    in_flight: int = 0
    oldest_ms: int | None = None
    forwarded: int = 0
    rejected: int = 0
    released: int = 0
    batches: int = 0
    losses: int = 0  # times the link went down
    rate_per_s: float = 0.0


class Forwarded(msgspec.Struct, frozen=True):
    """The other side has these jobs. ids: the local ones, in order."""

    queue: str
    ids: tuple[str, ...]


class Refused(msgspec.Struct, frozen=True):
    """The other side will never take this job; it is in the local dead-letter queue."""

    queue: str
    id: str
    rejected: Rejected


class LinkChanged(msgspec.Struct, frozen=True):
    """The link is in another state now. down: why, when it is down."""

    queue: str
    state: LinkState
    down: Down | None = None


Event = Forwarded | Refused | LinkChanged


class Tally:
    """The counters of one forwarder and how fast it goes. Units: now_s monotonic seconds."""

    def __init__(self, now_s: float) -> None:
        self.forwarded = 0
        self.rejected = 0
        self.released = 0
        self.batches = 0
        self.losses = 0  # times the link went down
        self._start_s = now_s
        self._at_s = now_s
        self._rate = 0.0

    def delivered(self, count: int, now_s: float) -> None:
        self.forwarded += count
        self.batches += 1
        self._decay(now_s)
        self._rate += count / RATE_SPAN_S

    def per_s(self, now_s: float) -> float:
        """Jobs a second over about the last RATE_SPAN_S, or since the start if that is shorter."""
        self._decay(now_s)
        seen = 1.0 - math.exp(-(now_s - self._start_s) / RATE_SPAN_S)
        return self._rate / seen if seen > 0 else 0.0

    def _decay(self, now_s: float) -> None:
        self._rate *= math.exp(-(now_s - self._at_s) / RATE_SPAN_S)
        self._at_s = now_s
