"""The worker loop: lease jobs of a queue, run the handler, settle how it ended. Over any HubClient, near or far.

A run belongs to the worker only while its lease does: when the lease is lost, or the job cancelled, its handler
is cancelled and nothing is settled. Stopping counts nothing: what does not end within the grace is released.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, Self

from hubqueue.client.hubclient import HubClient
from hubqueue.errors import HubqueueError, Invalid
from hubqueue.hub.leasekeeper import LeaseKeeper
from hubqueue.model.backoff import ExponentialBackoff
from hubqueue.model.job import Leased
from hubqueue.model.limits import MAX_LEASE_BATCH, MAX_LEASE_MS, MAX_WAIT_MS, MIN_LEASE_MS, check_int, check_queue
from hubqueue.model.outcome import Fail, Outcome, Release, Settlement
from hubqueue.model.verbs import Renewal
from hubqueue.system import SYSTEM, System
from hubqueue.work import ending
from hubqueue.work.events import Ended, Started, Taken, WorkerEvent
from hubqueue.work.running import RunningJob
from hubqueue.work.settler import Settler

Handler = Callable[[RunningJob], Awaitable[Any] | Any]

MAX_CONCURRENCY: Final = 10_000
LEAST_POLL_S: Final = 0.2  # between two leases that gave nothing
FIRST_RETRY_S: Final = 0.2  # after the hub answered a lease with trouble
LONGEST_RETRY_S: Final = 10.0
GIVE_BACK_S: Final = 5.0  # for releasing what did not end; the hub does it by itself if the link is down too

log = logging.getLogger(__name__)


class Worker:
    """Runs `handler` for the jobs of `queue`: `await worker.run()`, or `async with worker`.

    An async handler runs in the event loop, a plain one in a thread.
    Units: *_ms milliseconds, grace_s seconds.
    """

    def __init__(
        self,
        verbs: HubClient,
        queue: str,
        handler: Handler,
        *,
        concurrency: int = 1,
        lease_ms: int = 30_000,
        poll_ms: int = 30_000,
        grace_s: float = 30.0,
        owner: str | None = None,
        system: System = SYSTEM,
    ) -> None:
        check_queue(queue)
        check_int("concurrency", concurrency, 1, MAX_CONCURRENCY)
        check_int("lease_ms", lease_ms, MIN_LEASE_MS, MAX_LEASE_MS)
        check_int("poll_ms", poll_ms, 0, MAX_WAIT_MS)
        self.queue = queue
        self.owner = owner or f"{socket.gethostname()}:{os.getpid()}:{system.token_hex(4)}"
        self._verbs = verbs
        self._chance = system.chance
        self._keeper = LeaseKeeper(verbs, queue, self.owner, lease_ms, system, self._lose)
        self._handler = handler
        self._concurrency = concurrency
        self._poll_ms = poll_ms
        self._grace_s = grace_s
        self._threads = None if _is_async(handler) else ThreadPoolExecutor(concurrency, f"hubqueue-{queue}")
        self._listeners: list[Callable[[WorkerEvent], None]] = []
        self._runs: dict[str, tuple[asyncio.Task[None], RunningJob]] = {}  # by token: each lease has its own
        self._settler = Settler(self._keeper)
        self._room = asyncio.Event()
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._begun = False
        self._abandoning = False
        self._main: asyncio.Task[None] | None = None

    def listen(self, receive: Callable[[WorkerEvent], None]) -> Callable[[], None]:
        """Call `receive` for every event of this worker. Returns what ends it."""
        self._listeners.append(receive)
        return lambda: self._listeners.remove(receive)

    @property
    def running(self) -> int:
        """Jobs leased and not settled yet."""
        return len(self._runs)

    async def run(self) -> None:
        """Work until `stop`; return when everything has ended.

        Errors: what the hub answers to a lease, unless it may be asked again.
        """
        if self._begun:
            raise Invalid("a worker runs only once", hint="make a new one")
        self._begun = True
        self._keeper.start()
        leasing = asyncio.create_task(self._lease_until_stopped())
        stopping = asyncio.create_task(self._stopping.wait())
        grace_s = 0.0  # of a run that is cancelled, or that the hub refuses
        try:
            await asyncio.wait([leasing, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not leasing.done():
                leasing.cancel()
                await asyncio.wait([leasing])
                grace_s = self._grace_s
            if not leasing.cancelled():
                leasing.result()
        finally:
            leasing.cancel()
            stopping.cancel()
            try:
                await self._wind_up(grace_s)
            finally:
                await self._keeper.close()
                self._ended.set()

    async def stop(self, grace_s: float | None = None) -> None:
        """Lease no more, let what runs end within the grace, release the rest; return when `run` has."""
        if grace_s is not None:
            self._grace_s = grace_s
        self._stopping.set()
        if self._begun:
            await self._ended.wait()

    async def __aenter__(self) -> Self:
        self._main = asyncio.create_task(self.run(), name=f"worker of {self.queue}")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert self._main is not None
        self._stopping.set()
        if kind is not None:
            self._grace_s = 0.0
        await self._main

    async def _lease_until_stopped(self) -> None:
        loop = asyncio.get_running_loop()
        backoff = ExponentialBackoff(FIRST_RETRY_S, LONGEST_RETRY_S, self._chance)
        while True:
            free = self._concurrency - len(self._runs)
            if free <= 0:
                self._room.clear()
                await self._room.wait()
                continue
            asked_at_s = loop.time()
            try:
                leased = await self._keeper.take(min(free, MAX_LEASE_BATCH), self._poll_ms)
            except HubqueueError as error:
                if not error.retryable:
                    raise
                log.warning("no jobs to be had, tried again queue=%s code=%s: %s", self.queue, error.code, error)
                await asyncio.sleep(backoff.next_s())
            else:
                backoff.reset()
                self._take(leased)
                if not leased:  # a hub that shuts down answers at once: do not ask it all the time
                    await asyncio.sleep(asked_at_s + LEAST_POLL_S - loop.time())

    def _take(self, leased: list[Leased]) -> None:
        if not leased:
            return
        self._tell(Taken(tuple(leased)))
        for one in leased:
            run = RunningJob(self._verbs, self._keeper, one)
            task = asyncio.create_task(self._run(run), name=f"job {run.id}")
            self._runs[one.token] = task, run
            task.add_done_callback(partial(self._done, run))

    def _done(self, run: RunningJob, task: asyncio.Task[None]) -> None:
        if (there := self._runs.get(run.token)) is not None and there[1] is run:  # a hub may give a token again
            del self._runs[run.token]
        self._room.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._keeper.drop(run.leased)  # else it would be kept for ever
            log.error("a run ended unexpectedly queue=%s", self.queue, exc_info=error)

    async def _run(self, run: RunningJob) -> None:
        self._tell(Started(run.job))
        outcome: Outcome | None
        try:
            outcome = ending.of_value(await self._call(run))
        except asyncio.CancelledError:
            outcome = run.verdict or Fail("the handler was cancelled")
        except Exception as error:  # the handler's own: it becomes the job's outcome
            outcome = ending.of_error(error, run.job.options.stack_trace_limit)
        run.finished = True
        if run.lost:
            outcome = None
        stored = None
        try:
            if outcome is not None:
                stored = await self._settler.settle(Settlement(run.id, run.token, outcome))
        except HubqueueError as error:
            log.warning("not settled, its lease ends by itself: %s job=%s code=%s", error, run.id, error.code)
        finally:
            if stored is None:
                self._keeper.drop(run.leased)
            self._tell(Ended(run.job, stored))

    async def _call(self, run: RunningJob) -> Any:
        if self._threads is None:
            return await self._handler(run)
        call = partial(contextvars.copy_context().run, self._handler, run)
        future = asyncio.get_running_loop().run_in_executor(self._threads, call)
        try:
            value = await asyncio.shield(future)
        except asyncio.CancelledError:
            future.add_done_callback(_forget)
            if not self._abandoning:  # a thread cannot be ended from outside: its place is taken until it does
                await asyncio.wait([future])
            raise
        return await value if inspect.isawaitable(value) else value

    def _lose(self, leased: Leased, renewal: Renewal) -> None:
        """End a run whose lease is not ours any more; one that only waits to be settled is told by the hub then."""
        task, run = self._runs.get(leased.token, (None, None))
        if task is None or run is None or run.finished or run.lost or run.verdict is not None:
            return
        log.warning("run ended, its lease is %s job=%s queue=%s", renewal.value, run.id, self.queue)
        if renewal is Renewal.CANCELLED:
            run.verdict = Release()  # the hub knows that it is cancelled
        else:
            run.lost = True
            self._keeper.drop(leased)
        task.cancel()

    async def _wind_up(self, grace_s: float) -> None:
        if self._runs and grace_s > 0:
            await asyncio.wait(self._tasks(), timeout=grace_s)
        self._abandoning = True
        await asyncio.sleep(0)  # a task that is cancelled before its first step would give nothing back
        for task, run in tuple(self._runs.values()):
            if not run.finished:
                run.verdict = run.verdict or Release()
                task.cancel()
        if self._runs:
            await asyncio.wait(self._tasks(), timeout=GIVE_BACK_S)
        await self._settler.close()
        for task in self._tasks():
            task.cancel()
        if self._runs:
            await asyncio.wait(self._tasks())
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [task for task, _ in self._runs.values()]

    def _tell(self, event: WorkerEvent) -> None:
        for receive in tuple(self._listeners):
            try:
                receive(event)
            except Exception:  # a listener is a guest: its trouble stops nothing
                log.exception("listener failed queue=%s", self.queue)


def _is_async(handler: Handler) -> bool:
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__)


def _forget(future: asyncio.Future[Any]) -> None:
    """Nobody asks for the end of an abandoned thread."""
    if not future.cancelled():
        future.exception()
