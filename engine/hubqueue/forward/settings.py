"""How one forwarder works, as one frozen value."""

from __future__ import annotations

import msgspec

from hubqueue.model import limits


class ForwardSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Units: *_s seconds, *_ms milliseconds, rate_per_s jobs.

    concurrency 1 keeps the order within a priority; more batches in flight are faster on slow links.
    """

    concurrency: int = 1
    batch: int = 100
    probe_batch: int = 1  # a link that just came back is tried with this few
    rate_per_s: float | None = None
    lease_ms: int = 30_000
    poll_ms: int = 30_000  # one long-poll on an empty queue
    backoff_s: float = 0.5  # the first wait after a loss; doubles from there
    backoff_cap_s: float = 60.0
    connect_timeout_s: float = 10.0
    remove: bool | None = None  # delete what was forwarded at once; None: as each job says
    unknown_cap: int = 8  # so many unexplained refusals in a row of one job alone, then it is dead-lettered
    stop_grace_s: float = 10.0  # batches in flight may finish for so long at shutdown

    def __post_init__(self) -> None:
        limits.check_int("concurrency", self.concurrency, 1, 64)
        limits.check_int("batch", self.batch, 1, limits.MAX_LEASE_BATCH)
        limits.check_int("probe_batch", self.probe_batch, 1, self.batch)
        limits.check_int("lease_ms", self.lease_ms, limits.MIN_LEASE_MS, limits.MAX_LEASE_MS)
        limits.check_int("poll_ms", self.poll_ms, 0, limits.MAX_WAIT_MS)
        limits.check_int("unknown_cap", self.unknown_cap, 1, 1_000_000)
        limits.check_number("backoff_s", self.backoff_s, 0.001, 3600)
        limits.check_number("backoff_cap_s", self.backoff_cap_s, self.backoff_s, 3600)
        limits.check_number("connect_timeout_s", self.connect_timeout_s, 0.01, 3600)
        limits.check_number("stop_grace_s", self.stop_grace_s, 0, 3600)
        if self.rate_per_s is not None:
            limits.check_number("rate_per_s", self.rate_per_s, 0.001, 1_000_000)
