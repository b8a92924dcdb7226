"""One run of one task: its place among the others, its time, its end. The handler that the child's workers call.

Async handlers run in the event loop, plain ones in a thread each. A place (the task's concurrency, the turn)
is given back when the function has really ended, which for a thread may be long after its job was settled.
A function that does not end when it is told to is reported as stuck; only a new process helps then.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Collection
from typing import Any, Final

from hubqueue.hub.isolation import Isolation
from hubqueue.model.outcome import Fail, Release
from hubqueue.work.messages import FromChild, Started, Stopped, Stuck
from hubqueue.work.registry import AnyTask, Registry
from hubqueue.work.running import RunningJob

UNKNOWN_PAUSE_S: Final = 10.0  # a job without a task may belong to a file that is being mended

job_id: contextvars.ContextVar[str | None] = contextvars.ContextVar("job_id", default=None)


class Execution:
    """Runs jobs by the tasks of a registry.

    incomplete: some file could not be loaded. Units: stop_s seconds to end after being told to.
    """

    def __init__(
        self,
        registry: Registry,
        report: Callable[[FromChild], None],
        *,
        suspects: Collection[str] = (),
        incomplete: bool = False,
        stop_s: float = 5.0,
    ) -> None:
        self._registry = registry
        self._report = report
        self._suspects = suspects
        self._incomplete = incomplete
        self._stop_s = stop_s
        self._turns = Isolation()
        self._places = {id(task): asyncio.Semaphore(task.concurrency) for task in registry}
        self._watches: set[asyncio.Task[None]] = set()
        self.running = 0

    async def run(self, job: RunningJob) -> Any:
        """The handler of every job: what its task returns or raises.

        A job that no task takes fails, as long as every file could be loaded; else it goes back for a while.
        """
        task = self._registry.find(job.queue, job.name)
        if task is None:
            if self._incomplete:
                return Release(UNKNOWN_PAUSE_S)
            raise Fail(f"no handler for jobs named '{job.name}' in queue '{job.queue}'")
        place = self._places[id(task)]
        await place.acquire()
        try:
            await self._turns.begin(alone=job.id in self._suspects)
        except BaseException:
            place.release()
            raise
        call = self._start(task, job)

        def ended(call: asyncio.Future[Any]) -> None:
            place.release()
            self._turns.end()
            self.running -= 1
            self._report(Stopped(job.id))
            if not call.cancelled():
                call.exception()  # somebody asked; nobody else may

        call.add_done_callback(ended)
        return await self._end(call, task, job)

    def _start(self, task: AnyTask, job: RunningJob) -> asyncio.Future[Any]:
        self._report(Started(job.id))
        self.running += 1
        context = contextvars.copy_context()
        context.run(job_id.set, job.id)
        if task.is_async:
            return asyncio.create_task(_in_loop(task, job), context=context, name=f"task {task.name}")
        return _in_thread(task, job, context)

    async def _end(self, call: asyncio.Future[Any], task: AnyTask, job: RunningJob) -> Any:
        try:
            await asyncio.wait({call}, timeout=task.timeout_s)
        except asyncio.CancelledError:  # the lease is lost, the job cancelled, or the process drained
            self._watch(self._stop(call, task, job))
            raise
        if not call.done():
            await self._stop(call, task, job)
            if task.is_async or not call.done():
                raise Fail(f"'{task.name}' was not done within {task.timeout_s:g} s", reason="timeout")
        return call.result()

    async def _stop(self, call: asyncio.Future[Any], task: AnyTask, job: RunningJob) -> None:
        """Tell an async function to end; give both kinds a little time for it."""
        if task.is_async:
            call.cancel()
        await asyncio.wait({call}, timeout=self._stop_s)
        if not call.done():
            self._report(Stuck(job.id, task.name))

    def _watch(self, stopping: Any) -> None:
        watch = asyncio.create_task(stopping)
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)


async def _in_loop(task: AnyTask, job: RunningJob) -> Any:
    try:
        return await task(job)
    except (SystemExit, KeyboardInterrupt) as error:
        raise _exit(error) from None


def _in_thread(task: AnyTask, job: RunningJob, context: contextvars.Context) -> asyncio.Future[Any]:
    """Call a plain function in a thread of its own: a stuck one never keeps another from starting."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def settle(value: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)

    def body() -> None:
        value: Any = None
        error: BaseException | None = None
        try:
            value = context.run(task, job)
        except (SystemExit, KeyboardInterrupt) as exit:
            error = _exit(exit)
        except StopIteration as stop:  # a future cannot carry it
            error = RuntimeError(f"handler raised StopIteration: {stop}")
        except BaseException as raised:  # user code in a thread of its own: everything is the job's outcome
            error = raised
        loop.call_soon_threadsafe(settle, value, error)

    try:
        threading.Thread(target=body, name=f"task {task.name}", daemon=True).start()
    except RuntimeError as refused:  # no memory for another thread
        future.set_exception(refused)
    return future


def _exit(error: SystemExit | KeyboardInterrupt) -> Fail:
    return Fail(f"the handler tried to end its process ({type(error).__name__})")
