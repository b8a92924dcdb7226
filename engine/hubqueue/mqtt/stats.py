"""What the bridge has counted since it started. The metrics and the CLI read it; only lanes and answers write it."""

from __future__ import annotations

from dataclasses import dataclass

from hubqueue.ingest.counts import Counts


@dataclass(slots=True)
class Stats(Counts):
    """Units: messages; answered: jobs.

    received and acknowledged: each message once, in each lane that takes it; copies: the same messages through further
    subscriptions; redelivered: came again and were recognized; passed: left out by every rule that took their topic;
    dropped, beside what Counts says: QoS 0 beyond what is held, every copy, for each makes jobs of its own.
    """

    copies: int = 0
    redelivered: int = 0
    answered: int = 0
