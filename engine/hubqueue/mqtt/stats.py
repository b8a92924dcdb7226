"""What the bridge has counted since it started. The metrics and the CLI read it; only lanes and answers write it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Stats:
    """Units: messages, but for enqueued, overflowed and answered: jobs.

    received: each message once, in each lane that takes it; copies: the same messages through further subscriptions;
    redelivered: came again and were recognized; passed: left out by every rule that took their topic, as wanted;
    unroutable: kept in the dead-letter queue of `_unroutable`; overflowed: moved to `_overflow` because their queue
    was full; dropped: lost because a rule or a bound says so (full queue with on_full drop, full `_overflow`,
    QoS 0 beyond what is held: every copy, for each makes jobs of its own).
    """

    received: int = 0
    copies: int = 0
    redelivered: int = 0
    enqueued: int = 0
    passed: int = 0
    unroutable: int = 0
    overflowed: int = 0
    dropped: int = 0
    acknowledged: int = 0
    answered: int = 0
