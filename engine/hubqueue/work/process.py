"""One handler process as the hub's side sees it: start, messages, drain, kill, and what it held when it died.

It is started in a session of its own, so that a signal from the terminal does not reach it and everything
it started ends with it. It gets the environment it is given (config/inherited); the hub's address and token go through
standard input.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import cast

import msgspec

from hubqueue.work import messages
from hubqueue.work.messages import (
    Drain,
    FromChild,
    Go,
    Ready,
    Setup,
)
from hubqueue.work.output import LineLog

log = logging.getLogger(__name__)

KILL_AFTER_S = 5.0  # beyond the grace of a drain: the child has stopped turning
LAST_WORDS_S = 1.0  # for output on its way; something it started may hold the pipes open for ever
_SIGNALS = {number.value: number.name for number in signal.Signals}
_READ_BYTES = 65_536  # what a pipe holds
_MAX_MESSAGE_BYTES = 1_048_576  # the list of tasks is the longest; more is no message of ours
_MAX_READS = 100  # a child that floods the pipe must not hold the hub's loop


class HandlerProcess(asyncio.SubprocessProtocol):
    """A child process, from its start to its end. Made by `start`."""

    def __init__(self, setup: Setup, settled: Callable[[str], None]) -> None:
        loop = asyncio.get_running_loop()
        self.setup = setup
        self.loading: str | None = None
        self.ready: asyncio.Future[Ready] = loop.create_future()
        self.ended: asyncio.Future[int] = loop.create_future()
        self.held: dict[str, str] = {}
        self.started: set[str] = set()
        self.stuck = 0
        self.blamed = True
        self.unexpected = True
        self.closed = asyncio.Event()
        self._noisy = False
        self.born_at = self.heard_at = loop.time()
        self._settled = settled
        self._loop = loop
        self._why = ""
        self._rest = b""
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._outputs: dict[int, LineLog] = {}

    @classmethod
    async def start(
        cls, setup: Setup, environment: Mapping[str, str], settled: Callable[[str], None]
    ) -> HandlerProcess:
        """Start the process and tell it its setup; `ready` is done when it has loaded the folder.

        settled hears the id of each job that the process settles itself.
        """
        child = cls(setup, settled)
        child._loop.add_reader(child._reader, child._read_once)
        try:
            await child._loop.subprocess_exec(
                lambda: child,
                sys.executable,
                "-P",
                "-m",
                "hubqueue.work.child",
                str(child._writer),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=(child._writer,),
                start_new_session=True,
                cwd=setup.folder,
                env=dict(environment),
            )
        except BaseException:
            child._close_messages()
            raise
        finally:
            os.close(child._writer)
        child._send(setup)
        return child

    @property
    def pid(self) -> int:
        return self._transport.get_pid()

    @property
    def cause(self) -> str:
        """How it ended, in words."""
        code = self.ended.result()
        if self._why:
            return f"handler process {self._why} and was killed"
        if code < 0:
            return f"handler process died by signal {_SIGNALS.get(-code, -code)}"
        return f"handler process ended by itself with code {code}"

    def go(self, suspects: tuple[str, ...]) -> None:
        self._send(Go(suspects))

    async def drain(self, grace_s: float) -> None:
        """Let it finish what runs, and end it; return when it is gone.

        One that does not end in time is killed without blame: its jobs are given back, nothing is counted.
        """
        self.unexpected = False
        self._send(Drain(grace_s))
        await asyncio.wait({self.ended}, timeout=grace_s + KILL_AFTER_S)
        if not self.ended.done():
            self.blamed = False
            await self.kill(f"did not end within {grace_s + KILL_AFTER_S:g} s")

    async def kill(self, why: str) -> None:
        """End it and everything it started, at once; return when it is gone. why: what it did, in words."""
        if not self.ended.done():
            self.unexpected = False
            self._why = why
            self._kill_group()
        await asyncio.wait({self.ended})

    def silent_s(self) -> float:
        """Seconds since it was heard last, while handlers run; 0 while none does."""
        self._read()
        return self._loop.time() - self.heard_at if self.started else 0.0

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.SubprocessTransport, transport)
        for fd, level in ((1, logging.INFO), (2, logging.WARNING)):
            pipe = cast(asyncio.ReadTransport, self._transport.get_pipe_transport(fd))
            self._outputs[fd] = LineLog(level, self.pid, pipe)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._outputs[fd].feed(data)

    def process_exited(self) -> None:
        self._kill_group()
        self._read()
        self._close_messages()
        self.ended.set_result(self._transport.get_returncode() or 0)
        self._closing = self._loop.call_later(LAST_WORDS_S, self._transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing.cancel()
        for output in self._outputs.values():
            output.close()
        self._transport.close()
        self.closed.set()

    def _close_messages(self) -> None:
        if self._reader >= 0:
            self._loop.remove_reader(self._reader)
            os.close(self._reader)
            self._reader = -1

    def _kill_group(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # nobody of the group is left
            pass

    def _send(self, message: messages.ToChild) -> None:
        pipe = cast(asyncio.WriteTransport, self._transport.get_pipe_transport(0))
        if not self.ended.done() and not pipe.is_closing():
            pipe.write(messages.line(message))

    def _read(self) -> None:
        """Take what is in the pipe now."""
        for _ in range(_MAX_READS):
            if self._reader < 0 or not self._read_once():
                return

    def _read_once(self) -> bool:
        try:
            data = os.read(self._reader, _READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._loop.remove_reader(self._reader)
            return False
        self.heard_at = self._loop.time()
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[:_MAX_MESSAGE_BYTES]
        for line in lines:
            try:
                self._hear(messages.from_child_decoder.decode(line))
            except msgspec.DecodeError:  # a handler wrote to a descriptor that is not its own
                if not self._noisy:
                    log.warning("handler process sends what is not understood, it is ignored pid=%d", self.pid)
                self._noisy = True
        return True

    def _hear(self, message: FromChild) -> None:
        match message:
            case messages.Loading(file):
                self.loading = file
            case messages.Ready():
                self.loading = None
                if not self.ready.done():
                    self.ready.set_result(message)
            case messages.Held(leases):
                self.held.update(leases)
            case messages.Settled(id):
                self.held.pop(id, None)
                self._settled(id)
            case messages.Started(id):
                self.started.add(id)
            case messages.Stopped(id):
                self.started.discard(id)
            case messages.Stuck(id, task):
                self.stuck += 1
                log.warning("handler does not end, its process is to be replaced job=%s task=%s", id, task)
            case messages.Beat():
                pass
