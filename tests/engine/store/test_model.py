"""A random walk of verbs against a plain model of the state machine: states, order, attempts, tokens, counts.

The model knows the rules (model/state, engine-rules 11, 12 and 17), not the SQL. Time is the test's own. A walk that
fails names its seed; WALKED=seed walks it again.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from hubqueue.errors import HubqueueError, LockLost, NotFound
from hubqueue.hub.verbs import change, lapse, leased, queues
from hubqueue.hub.verbs.enqueue import enqueue
from hubqueue.hub.verbs.lease import lease
from hubqueue.hub.verbs.query import counts, list_jobs
from hubqueue.hub.verbs.settle import settle
from hubqueue.model.job import NewJob, Options
from hubqueue.model.outcome import Complete, Fail, Outcome, Reject, Release, Retry, Settlement
from hubqueue.model.retry import Backoff
from hubqueue.model.state import State
from hubqueue.model.verbs import Renewal
from hubqueue.store.store import Store
from hubqueue.store.tx import Tx
from support.clock import HeldClock
from support.mixed import miscounted
from support.torture import sized

WALKS = sized(ci=12, full=1000)
STEPS_OF_A_WALK = 250
R = TypeVar("R")

QUEUES = ("a", "b")
BACKOFF_MS = 100
MAX_STALLS = 3
START_MS = 1_700_000_000_000


@dataclass
class Known:
    """A job as the model sees it. ord is its place inside a priority."""

    id: str
    seq: int
    queue: str
    state: State
    priority: int
    ord: int
    run_at_ms: int
    max_attempts: int
    lifo: bool
    plain: bool  # no options: its back-off is the default one, which is random
    attempts: int = 0
    stalls: int = 0
    lease_no: int = 0
    token: str = ""
    lease_ms: int = 0
    deadline_ms: int = 0


class Walk:
    """Every step does the same to the hub and to the model; `compare` looks at both."""

    def __init__(self, path: Path, seed: int) -> None:
        self.clock = HeldClock(START_MS)
        self.path = path
        self.chance = random.Random(seed)
        self.runner = asyncio.Runner()
        self.jobs: dict[str, Known] = {}
        self.stale: list[tuple[str, str]] = []
        self.paused: set[str] = set()
        self.taken: Counter[str] = Counter()
        self.store = self.runner.run(self._open())

    async def _open(self) -> Store:
        return Store(self.path, system=self.clock.system)

    def close(self) -> None:
        self.runner.run(self.store.close())
        self.runner.close()

    def step(self) -> None:
        """One random step, and then everything must be as the model has it."""
        (name,) = self.chance.choices(list(STEPS), weights=list(STEPS.values()))
        self.taken[name] += 1
        getattr(self, name)()
        self.compare_jobs()
        self.compare_counts()

    def do(self, verb: Callable[[Tx], R]) -> R:
        async def run() -> R:
            return await self.store.run(verb)

        return self.runner.run(run())

    @property
    def now_ms(self) -> int:
        return self.clock.at_ms

    def of(self, *states: State) -> list[Known]:
        return [job for job in self.jobs.values() if job.state in states]

    def pick(self, *states: State) -> Known | None:
        found = self.of(*states)
        return self.chance.choice(found) if found else None

    # what happens to a job

    def wait(self, job: Known, *, ord: int | None = None) -> None:
        job.state = State.WAITING
        job.ord = -job.seq if job.lifo else self.now_ms if ord is None else ord

    def queue_for(self, job: Known, delay_ms: int) -> None:
        job.run_at_ms = self.now_ms + delay_ms
        if delay_ms > 0:
            job.state = State.DELAYED
        else:
            self.wait(job)

    def unlease(self, job: Known) -> None:
        self.stale.append((job.id, job.token))
        job.token = ""

    def count_failure(self, job: Known, delay_ms: int, *, dead: bool = False) -> None:
        job.attempts += 1
        if dead or job.attempts >= job.max_attempts:
            job.state = State.FAILED
        else:
            self.queue_for(job, delay_ms)

    def promote_due(self, queue: str) -> None:
        for job in self.of(State.DELAYED):
            if job.queue == queue and job.run_at_ms <= self.now_ms:
                self.wait(job, ord=job.run_at_ms)

    # rules

    def enqueue(self) -> None:
        chance = self.chance
        queue, count, priority = chance.choice(QUEUES), chance.randint(1, 4), chance.randint(-1, 2)
        delay_ms, max_attempts = chance.choice((0, 0, 50, 500)), chance.randint(1, 4)
        plain = chance.random() < 0.4
        lifo = not plain and chance.random() < 0.3
        backoff = Backoff(kind="fixed", delay_ms=BACKOFF_MS, jitter=0)
        options = None if plain else Options(lifo=lifo, backoff=backoff)
        new = NewJob(priority=priority, delay_ms=delay_ms, max_attempts=max_attempts, options=options)
        for id in self.do(lambda tx: enqueue(tx, queue, [new] * count)):
            seq = int(id.rpartition("-")[2])
            job = Known(id, seq, queue, State.WAITING, priority, 0, 0, max_attempts, lifo, plain)
            self.queue_for(job, delay_ms)
            self.jobs[id] = job

    def lease(self) -> None:
        queue, count = self.chance.choice(QUEUES), self.chance.randint(1, 5)
        lease_ms = self.chance.choice((1000, 5000))
        taken = self.do(lambda tx: lease(tx, queue, count, "w", lease_ms))
        if queue in self.paused:
            assert taken == []
            return
        self.promote_due(queue)
        waiting = [job for job in self.of(State.WAITING) if job.queue == queue]
        waiting.sort(key=lambda job: (-job.priority, job.ord, job.seq))
        assert [each.job.id for each in taken] == [job.id for job in waiting[:count]]
        for each in taken:
            job = self.jobs[each.job.id]
            assert each.job.lease_no > job.lease_no
            assert each.job.attempts == job.attempts
            job.state, job.token, job.lease_no = State.ACTIVE, each.token, each.job.lease_no
            job.lease_ms, job.deadline_ms = lease_ms, self.now_ms + lease_ms

    def settle(self) -> None:
        how = self.chance.choice(("complete", "fail", "fail", "retry", "reject", "release", "release later"))
        job = self.pick(State.ACTIVE)
        if job is None:
            return
        if how == "fail" and job.plain:
            how = "retry"
        outcome: Outcome = {
            "complete": Complete(b"\xc3"),
            "fail": Fail("broke"),
            "retry": Retry(0.25),
            "reject": Reject("never"),
            "release": Release(),
            "release later": Release(0.05),
        }[how]
        self.do(lambda tx: settle(tx, [Settlement(job.id, job.token, outcome)]))
        self.unlease(job)
        if how == "complete":
            job.state = State.COMPLETED
        elif how == "release":
            self.wait(job, ord=job.ord)
        elif how == "release later":
            self.queue_for(job, 50)
        else:
            delay_ms = 250 if how == "retry" else BACKOFF_MS
            self.count_failure(job, delay_ms, dead=how == "reject")

    def settle_with_a_stale_token(self) -> None:
        if not self.stale:
            return
        id, token = self.chance.choice(self.stale)
        try:
            self.do(lambda tx: settle(tx, [Settlement(id, token, Reject("never"))]))
        except (LockLost, NotFound):
            pass  # or it is answered as done already, if this very lease had ended the job; nothing changes: see below
        assert self.do(lambda tx: leased.extend(tx, [(id, token)])) == [Renewal.LOST]

    def extend(self) -> None:
        job = self.pick(State.ACTIVE)
        if job is not None:
            assert self.do(lambda tx: leased.extend(tx, [(job.id, job.token)])) == [Renewal.RENEWED]
            job.deadline_ms = self.now_ms + job.lease_ms

    def time_goes_on(self) -> None:
        self.clock.at_ms += self.chance.choice((1, 60, 300, 300, 1500))
        self.do(lambda tx: lapse.sweep(tx, 500))
        for job in sorted(self.of(State.ACTIVE), key=lambda job: job.deadline_ms):
            if job.deadline_ms <= self.now_ms:
                self.unlease(job)
                job.stalls += 1
                job.lease_no += 1
                self.count_failure(job, 0, dead=job.stalls >= MAX_STALLS)

    def cancel(self) -> None:
        job = self.pick(*State)
        if job is None:
            return
        refused = self.refusal(lambda tx: change.cancel(tx, job.id))
        if job.state in (State.WAITING, State.DELAYED):
            assert refused is None
            del self.jobs[job.id]
        else:
            assert isinstance(refused, NotFound)

    def promote(self) -> None:
        job = self.pick(State.DELAYED)
        if job is not None:
            self.do(lambda tx: change.promote(tx, job.id))
            self.wait(job)

    def change_priority(self) -> None:
        priority = self.chance.randint(-1, 3)
        job = self.pick(State.WAITING, State.DELAYED)
        if job is not None:
            self.do(lambda tx: change.change_priority(tx, job.id, priority))
            job.priority = priority

    def change_delay(self) -> None:
        delay_ms = self.chance.choice((0, 70))
        job = self.pick(State.WAITING, State.DELAYED, State.ACTIVE)
        if job is not None:
            self.do(lambda tx: change.change_delay(tx, job.id, delay_ms, job.token or None))
            if job.state is State.ACTIVE:
                self.unlease(job)
                job.lease_no += 1
            self.queue_for(job, delay_ms)

    def snooze(self) -> None:
        delay_ms = self.chance.choice((0, 70))
        job = self.pick(State.WAITING, State.DELAYED)
        if job is not None:
            self.do(lambda tx: change.snooze(tx, job.id, delay_ms=delay_ms))
            self.queue_for(job, delay_ms)

    def discard(self) -> None:
        job = self.pick(State.WAITING, State.DELAYED, State.ACTIVE)
        if job is not None:
            self.do(lambda tx: change.discard(tx, job.id, job.token or None))
            if job.state is State.ACTIVE:
                self.unlease(job)
            job.lease_no += 1
            job.state = State.FAILED

    def retry(self) -> None:
        job = self.pick(State.COMPLETED, State.FAILED)
        if job is not None:
            self.do(lambda tx: change.retry(tx, job.id))
            job.attempts = job.stalls = 0
            job.lease_no += 1
            self.queue_for(job, 0)

    def pause_or_resume(self) -> None:
        queue, on = self.chance.choice(QUEUES), self.chance.random() < 0.3
        self.do(lambda tx: queues.pause(tx, queue) if on else queues.resume(tx, queue))
        (self.paused.add if on else self.paused.discard)(queue)

    def clear(self) -> None:
        queue, state = self.chance.choice(QUEUES), self.chance.choice((State.COMPLETED, State.FAILED))
        self.do(lambda tx: queues.remove_slice(tx, queue, state))
        for job in self.of(state):
            if job.queue == queue:
                del self.jobs[job.id]

    def reopen(self) -> None:
        self.runner.run(self.store.close())
        self.store = self.runner.run(self._open())

    def refusal(self, verb: Callable[[Tx], Any]) -> HubqueueError | None:
        try:
            self.do(verb)
        except HubqueueError as error:
            return error
        return None

    # what must always hold

    def compare_jobs(self) -> None:
        for queue in QUEUES:
            there = self.do(lambda tx: list_jobs(tx, queue, limit=10_000)).jobs  # noqa: B023
            known = {job.id: job for job in self.jobs.values() if job.queue == queue}
            assert {job.id for job in there} == known.keys()
            for job in there:
                model = known[job.id]
                due = model.state is State.DELAYED and model.run_at_ms <= self.now_ms
                assert job.state is (State.WAITING if due else model.state)
                assert (job.attempts, job.priority) == (model.attempts, model.priority)
                assert (job.lease_no, job.stall_count) == (model.lease_no, model.stalls)

    def compare_counts(self) -> None:
        assert self.do(miscounted) == []
        for queue in QUEUES:
            got = self.do(lambda tx: counts(tx, queue))  # noqa: B023
            n = {state: sum(job.queue == queue for job in self.of(state)) for state in State}
            waiting = n[State.WAITING]
            raised = sum(job.queue == queue and job.priority > 0 for job in self.of(State.WAITING))
            if queue in self.paused:
                assert (got.waiting, got.prioritized, got.paused) == (0, 0, waiting)
            else:
                assert (got.waiting, got.prioritized, got.paused) == (waiting - raised, raised, 0)
            assert (got.delayed, got.active) == (n[State.DELAYED], n[State.ACTIVE])
            assert (got.completed, got.failed) == (n[State.COMPLETED], n[State.FAILED])


STEPS = {
    "enqueue": 10,
    "lease": 12,
    "settle": 20,
    "settle_with_a_stale_token": 4,
    "extend": 3,
    "time_goes_on": 10,
    "cancel": 2,
    "promote": 2,
    "change_priority": 3,
    "change_delay": 3,
    "snooze": 2,
    "discard": 1,
    "retry": 3,
    "pause_or_resume": 2,
    "clear": 1,
    "reopen": 1,
}


@pytest.mark.timeout(sized(ci=300, full=3600))
def test_random_walks_leave_every_job_where_the_model_has_it(tmp_path: Path) -> None:
    taken: Counter[str] = Counter()
    known = os.environ.get("WALKED")
    for number in range(1 if known else WALKS):
        seed = int(known) if known else random.SystemRandom().randrange(1 << 32)
        walk = Walk(tmp_path / f"{number}.db", seed)
        try:
            for _ in range(STEPS_OF_A_WALK):
                walk.step()
        except BaseException:
            print(f"WALKED={seed} after {walk.taken.total()} steps")
            raise
        finally:
            walk.close()
        taken += walk.taken
    print(dict(taken))
    assert taken.keys() == STEPS.keys() or known
