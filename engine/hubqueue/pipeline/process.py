"""A pipeline in a process of its own, as the hub's side sees it: started, started again when it dies, and stopped.

The process (hubqueue.pipelineworker) is a TCP client of the hub and runs the same runner; what it settles, it settles
in one transaction of the hub. Its setup, with the token, goes through standard input, and it ends when that is
closed: so it never outlives the hub. It tells its status on standard output, a line each time.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import msgspec

from hubqueue.model.backoff import ExponentialBackoff
from hubqueue.pipeline.plan import FromQueue, Pipeline
from hubqueue.pipeline.status import PipelineStatus

FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 30.0
LIVED_S: Final = 60.0  # a process that lived this long, or took a record, starts the pauses afresh
KILL_AFTER_S: Final = 2.0  # beyond the grace of a stop
LINE_BYTES: Final = 65_536  # a line of status is far shorter

log = logging.getLogger(__name__)
_decode: Final = msgspec.json.Decoder(PipelineStatus).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How the processes reach the hub, and how they log. environments: what each inherits, by its pipeline's name."""

    url: str
    token: str = field(repr=False)
    environments: Mapping[str, Mapping[str, str]] = field(repr=False)
    log_level: str = "info"
    log_format: str = "text"


class Home(Protocol):
    """What is needed of the hub, which is in this process."""

    async def reclaim(self, queue: str, owner: str) -> int: ...


class OwnProcess:
    """`run` until `stop`. Units: grace_s seconds that the batch in work may take then."""

    def __init__(self, hub: Home, pipeline: Pipeline, setup: Setup, *, grace_s: float) -> None:
        assert isinstance(pipeline.source, FromQueue)
        self.pipeline: Final = pipeline
        self._hub = hub
        self._queue = pipeline.source.queue
        self._setup = setup
        self._grace_s = grace_s
        self._status = PipelineStatus(trouble="starting")
        self._restarts = 0
        self._process: Process | None = None
        self._stopping = asyncio.Event()

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    async def run(self) -> None:
        """Keep the process alive until `stop`."""
        backoff = ExponentialBackoff(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            began = loop.time()
            code: int | None = None
            try:
                await self._hub.reclaim(self._queue, self.pipeline.owner)  # of one that was killed
                code = await self._live()
            except Exception as error:  # no process could be had, or the hub has trouble: tried again
                log.warning("a pipeline's process cannot be started: %r pipeline=%s", error, self.pipeline.name)
            if self._stopping.is_set():
                return
            if loop.time() - began > LIVED_S or self._status.taken:
                backoff.reset()
            why = "could not be started" if code is None else f"ended with code {code}"
            self._status = PipelineStatus(trouble=f"its process {why}")
            log.warning("a pipeline's process %s, it is started again pipeline=%s", why, self.pipeline.name)
            self._restarts += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), backoff.next_s())

    def stop(self) -> None:
        """Take no more jobs; the batch in work is settled, then `run` ends."""
        self._stopping.set()

    def shown(self) -> PipelineStatus:
        """The status as it was told last."""
        return msgspec.structs.replace(self._status, restarts=self._restarts)

    async def _live(self) -> int:
        """One life of the process; its exit code."""
        setup = self._setup
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "hubqueue.pipelineworker",
            stdin=PIPE, stdout=PIPE, limit=LINE_BYTES, env=dict(setup.environments[self.pipeline.name]),
            start_new_session=True,
        )  # fmt: skip
        self._process = process
        try:
            told: dict[str, Any] = {"file": str(self.pipeline.file), "url": setup.url, "token": setup.token}
            told |= {"log_level": setup.log_level, "log_format": setup.log_format}
            assert process.stdin is not None
            process.stdin.write(msgspec.json.encode(told) + b"\n")
            hearing = asyncio.create_task(self._hear(process))
            stopping = asyncio.create_task(self._stopping.wait())
            ended = asyncio.create_task(process.wait())
            try:
                await asyncio.wait({stopping, ended}, return_when=asyncio.FIRST_COMPLETED)
                if not ended.done():
                    process.stdin.write(b"stop\n")
                    await asyncio.wait({ended}, timeout=self._grace_s + KILL_AFTER_S)
            finally:
                if process.returncode is None:
                    process.kill()
                await asyncio.gather(ended, hearing, return_exceptions=True)
                stopping.cancel()
                process.stdin.close()
            return ended.result()
        finally:
            self._process = None

    async def _hear(self, process: Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            try:
                self._status = _decode(line)
            except msgspec.DecodeError:  # a library has printed something
                log.info("a pipeline's process prints what is no status pipeline=%s", self.pipeline.name)
