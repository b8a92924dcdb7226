"""How the run of a job ended, as values, and the table that says so of a run of Home Assistant's actions.

The table is `decide`; its rows were measured (tests/custom_components/test_trigger_job_received.py), and each has a
test in tests/custom_components/test_outcome.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

REFUSED_S: Final = 5.0  # conditions that are false now may be true soon; the wait doubles with every refusal
BUSY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Complete:
    """Done. result: what the job answers."""

    result: Any = None


@dataclass(frozen=True, slots=True)
class Fail:
    """Counts as an attempt, and is tried again while there are some; final: not even then."""

    error: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class Release:
    """Given back; nothing is counted. growing: the delay doubles each time the same job is given back."""

    delay_s: float = 0.0
    growing: bool = False


@dataclass(frozen=True, slots=True)
class Keep:
    """Left to whoever has the token: the lease goes on for so long."""

    lease_s: float


type Outcome = Complete | Fail | Release | Keep


def decide(result: Any, execution: str | None, *, traced: bool, leaving: bool, failed: Fail | None = None) -> Outcome:
    """What becomes of a job whose actions have ended.

    result: what they answered. execution: why they ended, as the trace has it. traced: an automation ran (else a wait
    or a subscription took the job, which says nothing of what becomes of it). leaving: they may have been stopped in
    their last action, which looks like the end. failed: what is known of a failure (why.py).
    """
    match execution:
        case "finished" if leaving:
            return Release()
        case "finished":
            return Complete(result)
        case "failed_conditions":
            return Release(REFUSED_S, growing=True)
        case "failed_single" | "failed_max_runs":
            return Release(BUSY_S, growing=True)
        case "cancelled":
            return Release()
        case "aborted":
            return failed or Fail("stopped with an error, or by a condition among the actions")
        case "error":
            return failed or Fail("an action failed")
        case "disallowed_recursion_detected":
            return failed or Fail("the actions call themselves without end")
        case None if leaving:
            return Release()
        case None if not traced:
            return Complete()
        case None:
            return failed or Fail("the variables or conditions of the automation could not be rendered")
    return failed or Fail(f"the run ended with {execution}")
