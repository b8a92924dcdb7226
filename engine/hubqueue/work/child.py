"""The handler process: `python -m hubqueue.work.child FD`, started by `process` and by nobody else.

An ordinary TCP client of the hub with one worker per queue that has tasks. FD is the pipe to the parent; the
setup, with the token, comes on standard input. When the parent is gone, so is this process, at once: a hub
that starts again gives the jobs back, and two generations never run beside each other.
"""

from __future__ import annotations

import asyncio
import faulthandler
import inspect
import io
import logging
import os
import resource
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn, cast

from hubqueue.client.address import LinkSettings
from hubqueue.client.remote import RemoteHub
from hubqueue.work import events, messages
from hubqueue.work.channelhandlers import ChannelHandlers
from hubqueue.work.execution import Execution, job_id
from hubqueue.work.listener import AnyListener
from hubqueue.work.loading import Loaded, load
from hubqueue.work.messages import (
    Beat,
    ChannelInfo,
    Drain,
    FromChild,
    Go,
    Held,
    Loading,
    Ready,
    Settled,
    Setup,
    TaskInfo,
)
from hubqueue.work.registry import AnyTask
from hubqueue.work.worker import Worker

BEAT_S: Final = 2.0  # well below the silence after which the parent ends a process (20 s)
FAILED: Final = 1  # exit code when the hub refuses us, or the parent is gone

log = logging.getLogger(__name__)


class Child:
    """This process between its first line of input and its end."""

    def __init__(self, setup: Setup, report: Callable[[FromChild], None]) -> None:
        self._setup = setup
        self._report = report
        self._orders: asyncio.Queue[Go | Drain] = asyncio.Queue()

    async def run(self) -> int:
        """Load, wait for Go, work until Drain. The exit code."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._listen, args=(loop,), daemon=True).start()
        loaded = load(Path(self._setup.folder), skip=self._setup.skip, loading=lambda file: self._report(Loading(file)))
        channels = [_channel_info(listener) for listener in loaded.listeners]
        self._report(Ready([_info(task) for task in loaded.registry], loaded.problems, channels))
        order = await self._orders.get()
        return await self._work(loaded, order.suspects) if isinstance(order, Go) else 0

    async def _work(self, loaded: Loaded, suspects: tuple[str, ...]) -> int:
        setup = self._setup
        execution = Execution(
            loaded.registry,
            self._report,
            suspects=frozenset(suspects),
            incomplete=bool(loaded.problems),
            stop_s=setup.stop_s,
        )
        hub = RemoteHub(LinkSettings.from_url(setup.url, token=setup.token)).start()
        workers = [
            Worker(hub, queue, execution.run, concurrency=concurrency, lease_ms=setup.lease_ms, owner=setup.owner)
            for queue, concurrency in loaded.registry.queues().items()
        ]
        for worker in workers:
            worker.listen(self._tell)
        hearings = ChannelHandlers(hub, loaded.listeners)
        hearings.start()
        runs = {asyncio.create_task(worker.run()) for worker in workers}
        beat = asyncio.create_task(self._beat(execution))
        order = asyncio.create_task(self._orders.get())
        await asyncio.wait({order, *runs}, return_when=asyncio.FIRST_COMPLETED)
        grace_s = told.grace_s if order.done() and isinstance(told := order.result(), Drain) else 0.0
        await asyncio.gather(hearings.stop(grace_s), *(worker.stop(grace_s) for worker in workers))
        ends = await asyncio.gather(*runs, return_exceptions=True)
        await hub.close()
        beat.cancel()
        refusals = [end for end in ends if isinstance(end, BaseException)]
        for refusal in refusals:
            log.error("handlers cannot work: %s", refusal)
        return FAILED if refusals else 0

    def _tell(self, event: events.WorkerEvent) -> None:
        match event:
            case events.Taken(leased):
                self._report(Held([(one.job.id, one.token) for one in leased]))
            case events.Ended(job, _):
                self._report(Settled(job.id))

    async def _beat(self, execution: Execution) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            if execution.running:
                self._report(Beat())

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Standard input, in a thread of its own: the end of the parent is seen even while the loop is blocked."""
        for line in sys.stdin.buffer:
            order = messages.to_child_decoder.decode(line)
            if isinstance(order, Go | Drain):
                loop.call_soon_threadsafe(self._orders.put_nowait, order)
        os._exit(FAILED)


def _info(task: AnyTask) -> TaskInfo:
    file, line = task.place
    return TaskInfo(task.name, task.queue, Path(file).name, line, task.concurrency)


def _channel_info(listener: AnyListener) -> ChannelInfo:
    code = inspect.unwrap(listener.function).__code__
    return ChannelInfo(listener.channel, Path(code.co_filename).name)


class _JobFormatter(logging.Formatter):
    """Lines as `output` reads them: the level in front of each, the job at the end."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if (id := job_id.get()) is not None:
            text += f" job={id}"
        mark = f"<{min(max(record.levelno // 10, 1), 5) * 10}>"
        return "\n".join(mark + line for line in text.splitlines())


def prepare(setup: Setup) -> None:
    """Make this process a polite neighbour: limits, niceness, logging by lines, nothing left in the folder."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash must not write gigabytes to an SD card
    if setup.max_memory_bytes is not None:
        resource.setrlimit(resource.RLIMIT_AS, (setup.max_memory_bytes, setup.max_memory_bytes))
    os.nice(setup.nice)
    faulthandler.enable(all_threads=False)  # the one that crashed; the others only sleep
    sys.dont_write_bytecode = True  # a file changed twice in a second would be served from the cache of the first
    for stream in (sys.stdout, sys.stderr):
        cast(io.TextIOWrapper, stream).reconfigure(line_buffering=True, errors="backslashreplace")
    handler = logging.StreamHandler()
    handler.setFormatter(_JobFormatter("%(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def end(code: int) -> NoReturn:
    """End at once: neither a thread nor a task of a handler that does not stop may keep the process."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main(fd: int) -> None:
    os.set_inheritable(fd, False)  # what handlers start must not hold the pipe open

    def report(message: FromChild) -> None:
        try:
            os.write(fd, messages.line(message))
        except BrokenPipeError:  # the parent is gone
            os._exit(FAILED)

    async def live(setup: Setup) -> None:
        try:
            code = await Child(setup, report).run()
        except Exception:
            log.exception("handler process failed")
            code = FAILED
        end(code)

    setup = messages.to_child_decoder.decode(sys.stdin.buffer.readline())
    assert isinstance(setup, Setup)
    prepare(setup)
    asyncio.run(live(setup))


if __name__ == "__main__":
    main(int(sys.argv[1]))
