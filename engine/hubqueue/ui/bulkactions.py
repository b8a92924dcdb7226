"""What can be done to jobs from a page: to which states it applies, what it takes, and the commands that do it.

Used by the job page (one job), the queue page (the ticked ones, or all that a filter finds) and the dead letters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hubqueue.errors import HubqueueError, NotFound, WrongState
from hubqueue.model.access import Scope
from hubqueue.ui.requestcontext import Session
from hubqueue.wire.jobmap import JobMap

MAX_TOUCHED: Final = 10_000  # jobs that one click may touch by a search; whole states have commands of their own
AT_ONCE: Final = 100  # commands in flight: they share transactions

READY: Final = frozenset({"waiting", "prioritized", "paused"})
QUEUED: Final = READY | {"delayed"}
STATES: Final = ("waiting", "prioritized", "delayed", "active", "waiting-children", "completed", "failed")


Command = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class BulkAction:
    """Something that is done to jobs. asks_first: it cannot be undone, so a dialog asks and says how many.

    whole: the one command that does it to all jobs of a queue in a state, if there is one.
    """

    name: str
    states: frozenset[str]
    command: Callable[[JobMap], Command]
    whole: Mapping[str, str] = field(default_factory=dict)  # state -> command
    asks_first: bool = False
    scope: Scope = Scope.ADMIN

    @property
    def tone(self) -> str:
        """Of the button that does it."""
        return "danger" if self.asks_first else "primary"

    def fits(self, job: JobMap) -> bool:
        return job.state in self.states


def _retry(job: JobMap) -> Command:
    if job.state == "completed":
        return "RetryCompleted", {"queue": job.queue, "id": job.id}
    return "RetryDlq", {"queue": job.queue, "jobId": job.id}


BULK_ACTIONS: Final = {
    deed.name: deed
    for deed in (
        BulkAction(
            "retry",
            frozenset({"failed", "completed"}),
            _retry,
            whole={"failed": "RetryDlq", "completed": "RetryCompleted"},
        ),
        BulkAction(
            "promote",
            frozenset({"delayed"}),
            lambda job: ("Promote", {"id": job.id}),
            {"delayed": "PromoteJobs"},
            scope=Scope.WORK,
        ),
        BulkAction("cancel", QUEUED | {"waiting-children"}, lambda job: ("Cancel", {"id": job.id}), asks_first=True),
        BulkAction(
            "stop", frozenset({"active"}), lambda job: ("Cancel", {"id": job.id, "active": True}), asks_first=True
        ),
        BulkAction("discard", QUEUED, lambda job: ("Discard", {"id": job.id}), asks_first=True, scope=Scope.WORK),
        BulkAction(
            "remove",
            frozenset({"failed"}),
            lambda job: ("RemoveDlqJob", {"queue": job.queue, "jobId": job.id}),
            whole={"failed": "PurgeDlq"},
            asks_first=True,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What came of a deed: how many jobs it changed, how many had gone on meanwhile, and the first real error.

    kept: how many could not be retried, and why the first could not; passed: messages that rules leave out.
    """

    done: int = 0
    missed: int = 0
    error: HubqueueError | None = None
    kept: int = 0
    passed: int = 0
    why: str = ""

    def __add__(self, later: BulkResult) -> BulkResult:
        return BulkResult(
            self.done + later.done,
            self.missed + later.missed,
            self.error or later.error,
            self.kept + later.kept,
            self.passed + later.passed,
            self.why or later.why,
        )

    @classmethod
    def of(cls, reply: Mapping[str, Any]) -> BulkResult:
        """Of the reply of a command that says numbers, or of one that did it."""
        return cls(
            int(reply.get("count", reply.get("removed", True))),
            kept=int(reply.get("kept", 0)),
            passed=int(reply.get("passed", 0)),
            why=reply.get("why") or "",
        )


async def do(session: Session, deed: BulkAction, jobs: Iterable[JobMap]) -> BulkResult:
    """Do it to those jobs whose state still fits."""
    wanted = list(jobs)
    fitting = [job for job in wanted if deed.fits(job)]
    total = BulkResult(missed=len(wanted) - len(fitting))
    for start in range(0, len(fitting), AT_ONCE):
        results = await asyncio.gather(
            *(_one(session, deed, job) for job in fitting[start : start + AT_ONCE]), return_exceptions=True
        )
        for result in results:
            if isinstance(result, NotFound | WrongState):
                total += BulkResult(missed=1)
            elif isinstance(result, HubqueueError):
                return total + BulkResult(error=result)
            elif isinstance(result, BaseException):
                raise result
            else:
                total += result
    return total


async def _one(session: Session, deed: BulkAction, job: JobMap) -> BulkResult:
    name, fields = deed.command(job)
    done = BulkResult.of(await session.ask(name, **fields))
    return done if done.done or done.kept or done.passed else BulkResult(missed=1)


async def by_id(session: Session, ids: Iterable[str]) -> list[JobMap]:
    """The jobs of these ids that are still there."""
    found = await asyncio.gather(*(session.ask("GetJob", id=id) for id in ids), return_exceptions=True)
    jobs: list[JobMap] = []
    for reply in found:
        if isinstance(reply, NotFound):
            continue
        if isinstance(reply, BaseException):
            raise reply
        jobs.append(reply["job"])
    return jobs
