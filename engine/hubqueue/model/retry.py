"""When a failed job is tried again: a pure decision that the fail verb stores.

Formulas as bunqueue's (docs/protocol.md): exponential b * 2^a * (0.5..1.5), fixed b * (0.8..1.2), where a is
the number of failures so far; capped by `max_ms`.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

MAX_BACKOFF_MS: Final = 3_600_000  # one hour, the protocol's cap when the job names none


class Backoff(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """How long to wait before the next attempt. Units: milliseconds; jitter is a factor 0..1 of the formula's own."""

    kind: Literal["exponential", "fixed"] = "exponential"
    delay_ms: float = 1000
    max_ms: float = MAX_BACKOFF_MS
    jitter: float = 1.0


DEFAULT_BACKOFF: Final = Backoff()
# of a job that is kept trying: first after some 5 s, and never so seldom that a link which is back goes unnoticed
PATIENT_BACKOFF: Final = Backoff(delay_ms=2500, max_ms=300_000)
LAST_TRY_MS: Final = 1000  # a try that would come after the job's end comes so long before it instead


def delay_ms(backoff: Backoff, failures: int, chance: float) -> int:
    """Milliseconds until the next attempt.

    Units: failures counts from 1; chance is uniform in [0, 1).
    """
    if backoff.kind == "fixed":
        base, spread = backoff.delay_ms, 0.4
    else:
        base, spread = backoff.delay_ms * 2.0 ** min(failures, 60), 1.0
    factor = 1.0 + spread * backoff.jitter * (chance - 0.5)
    return int(min(base * factor, backoff.max_ms))


def in_time_ms(run_at_ms: int, end_ms: int, now_ms: int) -> int | None:
    """When a job is tried again that is kept trying until end_ms; None: it has had its last try.

    One that would be due after its end has a last try shortly before it.
    """
    if run_at_ms < end_ms:
        return run_at_ms
    last_ms = end_ms - LAST_TRY_MS
    return last_ms if now_ms < last_ms else None
