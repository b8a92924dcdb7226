"""`hubqueue add --from-file`: one job for each line, and at any end exactly how many and where to go on.

A file is read twice: nothing is added while one of its lines is wrong. A pipe can be read once only: what stands before
a wrong line is added, and the line is named. Each job has an id of this run and its line, so that lines which are sent
again, by the link or by a second command that goes on, are no second jobs.
"""

from __future__ import annotations

import os
import secrets
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from hubqueue.cli.connect import Hub
from hubqueue.cli.words import jobs, lines
from hubqueue.errors import HubqueueError, Invalid, LinkDown, Undecodable

if TYPE_CHECKING:
    from hubqueue.client.remote import RemoteHub
    from hubqueue.model.job import NewJob

BATCH: Final = 500  # lines sent as one transaction
BATCH_BYTES: Final = 4 * 1024 * 1024


class Line(NamedTuple):
    """A line that is a job, and its number."""

    number: int
    job: NewJob


class WrongLine(Invalid):
    """A line that cannot become a job."""

    def __init__(self, number: int, error: HubqueueError) -> None:
        said = error.message.removeprefix(f"line {number}: ")
        own = not isinstance(error, Undecodable)  # whose hint names an option of rules, which a file has not
        super().__init__(f"line {number}: {said}", hint=error.hint if own else "")
        self.number = number


class Adding:
    """One run over a file: how far it came."""

    def __init__(
        self, queue: str, file: BinaryIO, job: Callable[[object, str], NewJob], *, durable: bool, first: int, run: str
    ) -> None:
        """job: makes one of a line's value and its id. first: the line to begin with."""
        self.count = 0
        self.run = run or secrets.token_hex(4)
        self._queue = queue
        self._file = file
        self._job = job
        self._durable = durable
        self._first = self._next = first  # the line that was not answered yet
        self._under_way: int | None = None  # the last line of the batch that is

    def add_to(self, hub: Hub) -> None:
        """Errors: those of the file and of the hub, with what was added before."""
        total = None
        if _can_be_read_twice(self._file):
            begin = self._file.tell()
            try:
                total = sum(1 for _ in self._lines())
            except WrongLine as error:
                hint = _joined(error.hint, "correct it, and run the command again")
                raise Invalid(f"{error.message}; nothing was added", hint=hint) from error
            self._file.seek(begin)
        try:
            with _ended_at_once():
                hub.ask(lambda remote: self._add(remote, total))
        except KeyboardInterrupt:
            raise self._told(LinkDown("it was ended from the keyboard")) from None
        except HubqueueError as error:
            if not self.count and self._under_way is None and not isinstance(error, WrongLine):
                raise
            raise self._told(error) from error

    async def _add(self, remote: RemoteHub, total: int | None) -> None:
        from hubqueue.cli.progress import counting

        with counting("Adding jobs", total) as tell:
            batch: list[Line] = []
            size = 0
            wrong: WrongLine | None = None
            try:
                for line in self._lines():
                    batch.append(line)
                    size += len(line.job.data or b"")
                    if len(batch) == BATCH or size >= BATCH_BYTES:
                        await self._send(remote, batch)
                        tell(self.count)
                        batch, size = [], 0
            except WrongLine as error:
                wrong = error
            await self._send(remote, batch)
            if wrong is not None:
                raise wrong

    async def _send(self, remote: RemoteHub, batch: list[Line]) -> None:
        if not batch:
            return
        self._under_way = batch[-1].number
        self.count += len(await remote.enqueue(self._queue, [line.job for line in batch], durable=self._durable))
        self._next = self._under_way + 1
        self._under_way = None

    def _lines(self) -> Iterator[Line]:
        """Errors: WrongLine, when it is reached."""
        from hubqueue.model.jsontext import read_json
        from hubqueue.model.lines import byte_lines

        number = 1
        try:
            for at, text in byte_lines(self._file):
                number = at
                if at >= self._first and text.strip():
                    yield Line(at, self._job(read_json(text), f"once:{self.run}-{at}"))
                number = at + 1  # which cannot even be read, if that is what is wrong
        except HubqueueError as error:
            raise WrongLine(number, error) from error

    def _told(self, error: HubqueueError) -> HubqueueError:
        """The error, with what was added before it and how to go on."""
        done = f"{jobs(self.count)} added"
        if isinstance(error, WrongLine):
            hint = _joined(error.hint, f"correct it, and go on from there with --from-line {error.number}")
            return Invalid(f"{done}; {error.message}", hint=hint)
        go_on = f"go on with --from-line {self._next} --run {self.run}"
        if isinstance(error, LinkDown) and self._under_way is not None:
            unknown = f"whether {lines(self._next, self._under_way)} came in is not known"
            return type(error)(f"{done}; {unknown}: {error.message}", hint=f"{go_on}, which adds no line twice")
        where = f"nothing from line {self._next} on"
        return type(error)(f"{done}, {where}: {error.message}", hint=_joined(error.hint, go_on))


@contextmanager
def _ended_at_once() -> Iterator[None]:
    """Ctrl-C ends this wherever it is: asyncio's own way waits for the next line of a pipe that may never come."""

    def end(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # which has its own way to hear of it
        yield
        return
    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _can_be_read_twice(file: BinaryIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except OSError:
        return False


def _joined(*hints: str) -> str:
    return "; ".join(hint for hint in hints if hint)
