"""The hub's side of handlers: keeps one handler process alive, replaces it, and settles what it died with.

A replacement (files changed, a handler is stuck) is loaded first and stands by; then the old process stops
taking jobs and lets the running ones end within the grace; only when it is gone does the new one go. So a
bad edit never stops handlers that worked, and a task's concurrency holds across a reload.
A change that breaks a file which is served is refused: the old code goes on until the file is mended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Protocol

from hubqueue.errors import HubqueueError
from hubqueue.model.backoff import ExponentialBackoff
from hubqueue.model.outcome import Fail, Settlement
from hubqueue.model.verbs import Verbs
from hubqueue.work.filewatcher import FileWatcher
from hubqueue.work.loading import Problem, handler_files
from hubqueue.work.messages import Ready, Setup
from hubqueue.work.process import HandlerProcess
from hubqueue.work.settings import HandlerSettings, HandlerStatus
from hubqueue.work.verdict import judge

log = logging.getLogger(__name__)

OWNER = "hubqueue-handlers"  # of every lease of the process, the same in every life of the hub
MAX_SUSPECTS = 1000  # ids remembered; beyond it the oldest may run beside others again
FIRST_PAUSE_S = 0.2  # before the next start after a death, doubled with each that follows before a job was done
LIVED_S = 60.0  # a process that lived this long starts the pauses afresh
NOTHING = Ready([], [])


class Home(Verbs, Protocol):
    """What is needed of the hub, which is in this process: it knows what an owner that is gone had leased."""

    async def reclaim(self, queue: str, owner: str, *, blames: bool) -> int: ...


class HandlerParent:
    """Supervises the handler process of one folder: `start`, later `close`."""

    def __init__(self, hub: Home, settings: HandlerSettings) -> None:
        self._hub = hub
        self._settings = settings
        self._folder = settings.folder.absolute()  # the process works inside it
        self._watch = FileWatcher(self._folder)
        self._child: HandlerProcess | None = None
        self._burials: dict[HandlerProcess, asyncio.Task[None]] = {}
        self._served = NOTHING
        self._problems: Sequence[Problem] = ()
        self._suspects: dict[str, None] = {}  # a set in order of arrival
        self._skip: set[str] = set()
        self._start_at: float | None = None
        self._deaths = ExponentialBackoff(FIRST_PAUSE_S, settings.max_pause_s)
        self._restarts = 0
        self._supervision: asyncio.Task[None] | None = None

    @property
    def status(self) -> HandlerStatus:
        pid = None if self._child is None else self._child.pid
        return HandlerStatus(pid, self._served.tasks, self._problems, self._restarts, self._served.channels)

    async def start(self) -> None:
        """Begin to load the folder and serve it until `close`; `status` tells how far that is."""
        self._start_at = asyncio.get_running_loop().time()
        self._supervision = asyncio.create_task(self._supervise(), name="handlers")

    async def close(self, grace_s: float | None = None) -> None:
        """Take no more jobs, let the running ones end within the grace, give the rest back.

        Units: grace_s seconds, at most the settings' own; None: those.
        """
        if self._supervision is not None:
            self._supervision.cancel()
            await asyncio.wait({self._supervision})
        burials = dict(self._burials)
        longest_s = self._settings.grace_s if grace_s is None else min(grace_s, self._settings.grace_s)
        await asyncio.gather(*(_end(child, longest_s) for child in burials))
        await asyncio.gather(*burials.values())
        self._child = None

    async def _supervise(self) -> None:
        while True:
            try:
                await self._look()
            except Exception:  # a duty that must go on: the next look may find a better world
                log.exception("handlers could not be looked after folder=%s", self._folder)
            if self._child is None:
                await asyncio.sleep(self._settings.look_s if self._start_at is None else FIRST_PAUSE_S)
            else:
                await asyncio.wait({self._child.ended}, timeout=self._settings.look_s)

    async def _look(self) -> None:
        """Do what is due: one look a second, and one at once when the process dies."""
        now = asyncio.get_running_loop().time()
        child, silent_s = self._child, self._settings.silent_s
        if child is not None and child.silent_s() > silent_s:
            await child.kill(f"did not answer for {silent_s:g} s")
        if child is not None and child.ended.done():
            await self._buried(child)
            self._child = None
            self._restarts += 1
            self._start_later(afresh=now - child.born_at > LIVED_S)
        elif child is not None and child.stuck and self._start_at is None:
            self._start_at = now
        if self._watch.changed():
            log.info("handler files changed folder=%s", self._folder)
            self._skip.clear()
            self._deaths.reset()
            self._start_at = now
        if self._start_at is not None and self._start_at <= now:
            self._start_at = None
            await self._replace()

    def _start_later(self, *, afresh: bool = False) -> None:
        if afresh:
            self._deaths.reset()
        self._start_at = asyncio.get_running_loop().time() + self._deaths.next_s()

    async def _replace(self) -> None:
        """Load what is in the folder now; if that went well, let the old process end and the new one go."""
        self._watch.take()
        served = NOTHING
        successor = None
        if handler_files(self._folder):
            successor = await self._load()
            if successor is None:
                return
            served = successor.ready.result()
            self._problems = served.problems
            if broken := self._broken_by(served):
                log.warning("handler files refused, the code before goes on files=%s", ",".join(sorted(broken)))
                await successor.kill("is not wanted")
                return
        old, self._child = self._child, None
        if old is not None:
            await old.drain(self._settings.grace_s)
            await self._buried(old)
        if successor is not None and not served.tasks and not served.channels:
            await successor.kill("has nothing to do")
        elif successor is not None:
            await self._reclaim(served)  # of a hub that was killed, too
            self._child = successor
            successor.go(tuple(self._suspects))
        self._served = served
        self._problems = served.problems
        counts = (len(served.tasks), len(served.channels), len(served.problems))
        log.info("handlers serve tasks=%d channels=%d problems=%d", *counts)

    async def _load(self) -> HandlerProcess | None:
        """A process that stands by with the folder loaded; None when it died of it, and then what is to be done is."""
        settings = self._settings
        setup = Setup(
            url=settings.url,
            owner=OWNER,
            folder=str(self._folder),
            token=settings.token,
            skip=tuple(self._skip),
            lease_ms=settings.lease_ms,
            stop_s=settings.stop_s,
            nice=settings.nice,
            max_memory_bytes=settings.max_memory_bytes,
        )
        try:
            child = await HandlerProcess.start(setup, settings.environment, self._acquit)
        except OSError as error:
            log.warning("handler process cannot be started error=%s", error)
            self._start_later()
            return None
        self._burials[child] = asyncio.create_task(self._bury(child), name="handler-burial")
        loaded: set[asyncio.Future[Any]] = {child.ready, child.ended}
        await asyncio.wait(loaded, timeout=settings.load_timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if child.ready.done():
            for problem in child.ready.result().problems:
                log.warning("handler file has a problem: %s", problem)
            return child
        await child.kill(f"took more than {settings.load_timeout_s:g} s to load")
        self._problems = [Problem(child.loading or self._folder.name, 0, f"{child.cause} while loading")]
        log.warning("handlers cannot be loaded: %s", self._problems[0])
        if child.loading is not None:
            self._skip.add(child.loading)
        if self._child is None or self._child.stuck:
            self._start_later()
        return None

    def _broken_by(self, ready: Ready) -> set[str]:
        """Files that work in the process that runs, and would not in this one."""
        if self._child is None or self._child.ended.done() or self._child.stuck:
            return set()
        served = {task.file for task in self._served.tasks} | {channel.file for channel in self._served.channels}
        return {problem.file for problem in ready.problems} & served

    async def _bury(self, child: HandlerProcess) -> None:
        """When the process is gone: fail the guilty job, take the others back, remember whom to suspect."""
        await asyncio.wait({child.ended})
        if child.started or child.unexpected:
            log.warning("%s pid=%d running=%d held=%d", child.cause, child.pid, len(child.started), len(child.held))
        if child.blamed:
            verdict = judge(child.held, child.started)
            self._suspect(verdict.suspects)
            if verdict.guilty is not None:
                fail = Fail(child.cause, reason="worker_lost")
                await self._settle(Settlement(verdict.guilty, child.held[verdict.guilty], fail))
        if child.ready.done():
            await self._reclaim(child.ready.result())
        await child.closed.wait()
        del self._burials[child]

    async def _buried(self, child: HandlerProcess) -> None:
        if (burial := self._burials.get(child)) is not None:
            await asyncio.wait({burial})

    async def _settle(self, settlement: Settlement) -> None:
        try:
            await self._hub.settle([settlement])
        except HubqueueError as error:  # it was settled before, or cannot be: then the end of its lease counts
            log.info("job of a dead handler process was not settled job=%s code=%s", settlement.id, error.code)

    async def _reclaim(self, served: Ready) -> None:
        """Take back what a process that is gone had leased, also what it was sent and never saw."""
        for queue in {task.queue for task in served.tasks}:
            try:
                count = await self._hub.reclaim(queue, OWNER, blames=True)
            except HubqueueError as error:
                log.info("jobs of a dead handler process not taken back yet queue=%s code=%s", queue, error.code)
            else:
                if count:
                    log.info("jobs of a dead handler process taken back count=%d queue=%s", count, queue)

    def _suspect(self, ids: frozenset[str]) -> None:
        self._suspects |= dict.fromkeys(sorted(ids))
        while len(self._suspects) > MAX_SUSPECTS:
            del self._suspects[next(iter(self._suspects))]

    def _acquit(self, id: str) -> None:
        """A job that the process settles itself did not kill it, and the process is of some use."""
        self._suspects.pop(id, None)
        self._deaths.reset()


async def _end(child: HandlerProcess, grace_s: float) -> None:
    if child.ready.done():
        await child.drain(grace_s)
    else:
        await child.kill("is not needed any more")
