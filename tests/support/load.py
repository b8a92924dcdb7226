"""Mixed load on a hub, over any verbs, that reports each question and each answer (see support.ledger)."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec

from hubqueue.errors import NotFound
from hubqueue.model.job import Leased, NewJob, Options
from hubqueue.model.outcome import Complete, Fail, Outcome, Reject, Release, Settlement
from hubqueue.model.retry import Backoff
from hubqueue.model.state import State
from hubqueue.model.verbs import Renewal, Verbs
from support.ledger import MAX_ATTEMPTS, QUEUED, Found

QUEUE: Final = "mixed"
BACKLOG: Final = 400  # jobs waiting, above which producers pause
SOON: Final = Options(backoff=Backoff(kind="fixed", delay_ms=10))

Tell = Callable[[list[Any]], None]
Held = tuple[int, str, str]
"""(n, id, token) of a lease from an earlier life of the hub."""


def number_of(data: bytes | None) -> int:
    assert data is not None
    n: int = msgspec.msgpack.decode(data)["n"]
    return n


class Load:
    """Producers, workers, a canceller and a cleaner, until the task is cancelled or the process dies."""

    def __init__(self, verbs: Verbs, tell: Tell, first: int, seed: int) -> None:
        self._verbs = verbs
        self._tell = tell
        self._numbers: Iterator[int] = itertools.count(first)
        self._random = random.Random(seed)
        self._recent: deque[tuple[int, str]] = deque(maxlen=50)

    async def run(self, held: Sequence[Held] = ()) -> None:
        async with asyncio.TaskGroup() as tasks:
            for work in (self._singles(0.0), self._singles(1.0), self._batches(), self._cancels(), self._cleans()):
                tasks.create_task(work)
            tasks.create_task(self._works(held))
            tasks.create_task(self._works(()))

    async def _singles(self, durable: float) -> None:
        while True:
            await self._room()
            await self._enqueue(1, durable=self._random.random() < durable)

    async def _batches(self) -> None:
        while True:
            await self._room()
            await self._enqueue(self._random.randint(2, 120), durable=self._random.random() < 0.2)

    async def _room(self) -> None:
        while True:
            counts = await self._verbs.counts(QUEUE)
            if counts.waiting + counts.prioritized <= BACKLOG:
                return
            await asyncio.sleep(0.001)

    async def _enqueue(self, count: int, *, durable: bool) -> None:
        jobs, ns, once = [], [], []
        for n in itertools.islice(self._numbers, count):
            own = f"once:mixed-{n}" if self._random.random() < 0.2 else None
            jobs.append(new_job(n, own, delay_ms=self._random.choice((0, 0, 0, 0, 5)), durable=durable))
            ns.append(n)
            once.append(own)
        self._tell(["ask_enqueue", ns, once])
        ids = await self._verbs.enqueue(QUEUE, jobs, durable=durable)
        self._tell(["enqueued", ns, ids])
        self._recent.append((ns[-1], ids[-1]))

    async def _works(self, held: Sequence[Held]) -> None:
        for at in range(0, len(held), 100):
            await self._end(held[at : at + 100])
        while True:
            leased = await self._verbs.lease(QUEUE, self._random.randint(1, 60), owner="worker", wait_ms=100)
            if not leased:
                continue
            self._tell(["leased", [_seen(each) for each in leased]])
            taken = [(number_of(each.job.data), each.job.id, each.token) for each in leased]
            size = self._random.randint(1, 60)
            keep = self._random.random() < 0.1  # some are simply held on to
            for at in range(0, 0 if keep else len(taken), size):
                await self._end(taken[at : at + size])

    async def _end(self, leases: Sequence[Held]) -> None:
        hows = self._random.choices(("complete", "fail", "release", "reject"), (70, 15, 10, 5), k=len(leases))
        ends = [(n, token, how) for (n, _, token), how in zip(leases, hows, strict=True)]
        self._tell(["ask_end", ends])
        await self._verbs.settle(
            [Settlement(id, token, _outcome(how)) for (_, id, token), how in zip(leases, hows, strict=True)]
        )
        self._tell(["ended", ends])

    async def _cancels(self) -> None:
        while True:
            await asyncio.sleep(0.002)
            if self._recent:
                n, id = self._recent.popleft()
                self._tell(["ask_cancel", n])
                try:
                    await self._verbs.cancel(id)
                except NotFound:
                    self._tell(["not_cancelled", n])
                else:
                    self._tell(["cancelled", n])

    async def _cleans(self) -> None:
        while True:
            await asyncio.sleep(self._random.random() * 0.05)
            self._tell(["ask_clean"])
            await self._verbs.clean(QUEUE, 0, 2000, State.COMPLETED)
            await self._verbs.purge(QUEUE)


def new_job(n: int, once: str | None, *, delay_ms: int = 0, durable: bool = False) -> NewJob:
    return NewJob(
        data=msgspec.msgpack.encode({"n": n, "pad": "x" * (n % 300)}),
        priority=n % 3,
        delay_ms=delay_ms,
        max_attempts=MAX_ATTEMPTS,
        custom_id=once,
        options=msgspec.structs.replace(SOON, durable=durable and n % 2 == 0),
    )


async def survey(verbs: Verbs) -> list[Found]:
    """Every job of the queue, as its verbs list them."""
    found: list[Found] = []
    cursor = None
    while True:
        page = await verbs.list_jobs(QUEUE, limit=1000, cursor=cursor)
        for job in page.jobs:
            state = QUEUED if job.state in (State.WAITING, State.DELAYED) else job.state.name.lower()
            found.append(Found(number_of(job.data), job.id, state, job.attempts, job.lease_no, job.lost_count))
        if page.cursor is None:
            return found
        cursor = page.cursor


async def renew(verbs: Verbs, leases: Sequence[tuple[str, str]]) -> list[bool]:
    """Which of these leases the hub renews."""
    answers: list[bool] = []
    for at in range(0, len(leases), 500):
        answers += [each is Renewal.RENEWED for each in await verbs.extend(leases[at : at + 500])]
    return answers


async def send_again(verbs: Verbs, tell: Tell, unanswered: Sequence[tuple[int, str]]) -> None:
    """Repeat the questions that had no answer; their ids keep a job from being taken twice."""
    for n, once in unanswered:
        tell(["enqueued", [n], await verbs.enqueue(QUEUE, [new_job(n, once)])])


def _seen(leased: Leased) -> tuple[int, str, str, int, int]:
    job = leased.job
    return number_of(job.data), job.id, leased.token, job.lease_no, job.attempts


def _outcome(how: str) -> Outcome:
    if how == "complete":
        return Complete(b"\xc3")
    if how == "fail":
        return Fail("it broke")
    return Release() if how == "release" else Reject("never")
