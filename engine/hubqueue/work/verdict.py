"""What becomes of the jobs of a handler process that died: a pure decision that the parent settles.

Rules:
- a job whose handler was not running is given back: nothing is counted
- one handler was running: it did it, its run failed as `worker_lost`
- several were running: which one did it is unknown, so all are given back and become suspects, which run
  alone from now on (see `turns`); the one that kills its process again is then the only one running
- a job that failed so stays a suspect, so that its next run cannot take others with it
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from hubqueue.model.outcome import Fail, Outcome, Release


@dataclass(frozen=True)
class Verdict:
    """The outcome of each job that the process held, and the jobs to run alone."""

    outcomes: dict[str, Outcome]
    suspects: frozenset[str]


def judge(held: Collection[str], running: Collection[str], cause: str) -> Verdict:
    """held: ids of the jobs it had leased; running: those whose handler ran, leased still or not any more."""
    outcomes: dict[str, Outcome] = {id: Release() for id in held}
    if len(running) == 1:
        outcomes |= {id: Fail(cause, reason="worker_lost") for id in running if id in held}
    return Verdict(outcomes, frozenset(running))
