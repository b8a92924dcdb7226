"""Handlers that end in ways that cannot be stored as they are: the job ends, and no other is held up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import pytest

from hubqueue.client.address import LinkSettings
from hubqueue.client.local import LocalHub
from hubqueue.client.remote import RemoteHub
from hubqueue.hub.verbs.leased import read_logs
from hubqueue.model.job import NewJob
from hubqueue.model.outcome import Complete, Fail, Outcome, Reject, Release, Retry, Settlement
from hubqueue.model.state import TERMINAL, State
from hubqueue.model.verbs import Verbs
from hubqueue.work.running import RunningJob
from hubqueue.work.settler import Settler
from hubqueue.work.worker import Worker
from support.served import served
from support.waiting import soon, until


class Silent(Exception):
    def __str__(self) -> str:
        raise ValueError


def not_unicode() -> None:
    raise FileNotFoundError(b"caf\xe9".decode(errors="surrogateescape"))


def says_nothing() -> None:
    raise Silent


def raises_text() -> None:
    raise Complete("done")  # type: ignore[arg-type]


ENDS: Final[dict[str, tuple[Callable[[], Outcome | None], str]]] = {
    "an error that is no Unicode": (not_unicode, "FileNotFoundError: caf\\udce9"),
    "an error that cannot be told": (says_nothing, "Silent"),
    "released for ever": (lambda: Release(float("inf")), "after_s must be a finite number"),
    "released for too long": (lambda: Release(1e300), "after_s must be at most"),
    "tried again at no time": (lambda: Retry(float("nan")), "after_s must be a finite number"),
    "failed with lines that are no Unicode": (lambda: Fail("x\udce9", stack=("\udce9",)), "x\\udce9"),
    "rejected with an error": (lambda: Reject(ValueError("odd")), "odd"),  # type: ignore[arg-type]
    "completed with a text": (lambda: Complete("done"), "str is not bytes"),  # type: ignore[arg-type]
    "a text that is raised": (raises_text, "str is not bytes"),
}


@pytest.fixture(params=["here", "over TCP"])
async def hubs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[LocalHub, Verbs]]:
    async with served(tmp_path / "hub.db") as there:
        if request.param == "here":
            yield there.hub, there.hub
            return
        async with RemoteHub(LinkSettings.from_url(there.url)) as remote:
            yield there.hub, remote


@pytest.mark.parametrize("end", ENDS)
async def test_a_job_that_ends_oddly_ends_and_so_do_those_beside_it(hubs: tuple[LocalHub, Verbs], end: str) -> None:
    hub, verbs = hubs
    odd, told = ENDS[end]

    async def handler(job: RunningJob) -> Outcome | None:
        return odd() if job.name == "odd" else None

    made = [NewJob(name="odd", max_attempts=1), *[NewJob(name="plain") for _ in range(5)]]
    first, *others = await hub.enqueue("q", made)

    async def are_over() -> bool:
        counts = await hub.counts("q")
        return counts.completed == len(others) and counts.failed == 1

    async with Worker(verbs, "q", handler, concurrency=3):
        await until(are_over)
    job = await hub.get(first)
    assert job.state is State.FAILED
    assert told in str(job.history.attempts[-1].error)


async def test_what_a_handler_tells_need_not_be_unicode(hubs: tuple[LocalHub, Verbs]) -> None:
    hub, verbs = hubs

    async def handler(job: RunningJob) -> None:
        await job.progress(50, "\udce9")
        await job.log("caf\udce9")

    (id,) = await hub.enqueue("q", [NewJob(max_attempts=1)])

    async def is_over() -> bool:
        return (await hub.get(id)).state in TERMINAL

    async with Worker(verbs, "q", handler):
        await until(is_over)
    assert (await hub.get(id)).state is State.COMPLETED
    assert [line.message for line in await hub.run(lambda tx: read_logs(tx, id))] == ["caf\\udce9"]


async def test_a_defect_at_a_settle_is_told_to_whoever_waits_for_it() -> None:
    class Broken:
        async def settle(self, settlements: list[Settlement]) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await soon(Settler(Broken()).settle(Settlement("1", "t", Complete())))  # type: ignore[arg-type]
