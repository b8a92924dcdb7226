"""What becomes of the jobs of a handler process that died: a pure decision that the parent settles.

Rules:
- a job whose handler had not started is given back: nothing is counted
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


def judge(held: Collection[str], started: Collection[str], stuck: int, cause: str) -> Verdict:
    """held: ids of its jobs; started: those whose handler ran; stuck: handlers of settled jobs that ran on."""
    running = frozenset(id for id in held if id in started)
    guilty = running if len(running) + stuck == 1 else frozenset[str]()
    outcomes: dict[str, Outcome] = {}
    for id in held:
        outcomes[id] = Fail(cause, reason="worker_lost") if id in guilty else Release()
    return Verdict(outcomes, running)
