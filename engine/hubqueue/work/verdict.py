"""Who is to blame when a handler process died: a pure decision that the parent carries out.

Rules:
- one handler was running: it did it, its run failed as `worker_lost`
- several were running: which one did it is unknown, so none is blamed and all become suspects, which run alone
  from now on (see `turns`); the one that kills its process again is then the only one running
- a job that failed so stays a suspect, so that its next run cannot take others with it
- every other job that the process had leased is given back: nothing is counted
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """guilty: the job whose run failed. suspects: those that run alone from now on."""

    guilty: str | None
    suspects: frozenset[str]


def judge(held: Collection[str], running: Collection[str]) -> Verdict:
    """held: ids of the jobs it had leased; running: those whose handler ran, leased still or not any more."""
    suspects = frozenset(running)
    blamed = suspects & frozenset(held) if len(suspects) == 1 else frozenset[str]()
    return Verdict(next(iter(blamed), None), suspects)
