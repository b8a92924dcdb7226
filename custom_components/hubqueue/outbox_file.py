"""The file behind an outbox: what the hub may not have yet, one checked line for each thing that happened.

It is only appended to (and synced) while jobs wait, and deleted when none do: a hub that is there costs a memory card
nothing. A line is `checksum json`; the json is one of these lists, and what comes later counts:

    ["hub", version, hub_id]                     the first line: whose jobs these are
    ["put", number, queue, of, made_ms, jobs]    an entry; of: the subentry of a reading, null for an action's
    ["done", [number, ...]]                      the hub has them, or they were dropped
    ["told", of, dropped, refused, words]        counters that a restart does not set to zero

To change the format, raise `VERSION`: a file of another one is set aside, not read. Rules: a line that is torn at the
end was never promised to anybody; one that is damaged elsewhere costs itself alone; all methods block, and are called
one at a time (`outbox_keeper.py`).
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

VERSION: Final = 1
MOST_LINE_BYTES: Final = 64 * 1024 * 1024  # longer than any that is written


@dataclass(frozen=True, slots=True)
class Put:
    """An entry as the file has it. jobs: a JSON list of what PUSHB takes."""

    number: int
    queue: str
    of: str | None
    made_ms: int
    jobs: bytes


@dataclass(frozen=True, slots=True)
class Told:
    """Counters of a feed, or of all actions (of is None). words: what was refused, newest last."""

    of: str | None
    dropped: int
    refused: int
    words: list[dict[str, Any]]


@dataclass(slots=True)
class Left:
    """What an earlier run of Home Assistant has left. aside: the name that a file which is not ours has now."""

    puts: list[Put] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    damaged: int = 0
    aside: str | None = None


class OutboxFile:
    """hub_id: whose jobs it holds; a file of another hub is set aside."""

    def __init__(self, path: Path, hub_id: str) -> None:
        self.path = path
        self._hub_id = hub_id
        self.size = 0  # bytes, as of the last time it was written or read
        self.torn = False  # the last line has no end: the next write gives it one

    def load(self) -> Left:
        """What is there. Errors: OSError: it can neither be read nor be set aside."""
        left = Left()
        try:
            self._remove_unfinished()
            with _opened(self.path, os.O_RDONLY) as number, os.fdopen(os.dup(number), "rb") as file:
                ours = self._read(file, left)
                self.size = os.fstat(number).st_size
        except FileNotFoundError:
            return left
        except OSError:
            return Left(aside=self._set_aside("unreadable"))
        if not ours:
            return Left(aside=self._set_aside("foreign"))
        return left

    def append(self, puts: Sequence[Put], done: Sequence[int], told: Iterable[Told]) -> None:
        """Add what happened; on the disk when this returns. Errors: OSError, and then nothing was added."""
        lines = [_put_line(put) for put in puts]
        if done:
            lines.append(_line(["done", list(done)]))
        lines += [_told_line(each) for each in told]
        self.path.parent.mkdir(exist_ok=True)
        with _opened(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT) as number:
            size = os.fstat(number).st_size
            if size == 0:
                lines.insert(0, self._first())
            try:
                _write(number, (b"\n" if self.torn else b"") + b"".join(lines))
                os.fsync(number)
                self.size = os.fstat(number).st_size
            except OSError:
                self.torn = True
                with suppress(OSError):
                    os.ftruncate(number, size)
                raise
        self.torn = False
        if size == 0:
            _sync_folder(self.path.parent)

    def rewrite(self, puts: Iterable[Put], told: Iterable[Told]) -> None:
        """Only this, instead of all that was added. Errors: OSError, and then the file is as it was."""
        new = self._unfinished
        self.path.parent.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):
            new.unlink()
        try:
            with _opened(new, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL) as number:
                _write(number, self._first())
                for put in puts:
                    _write(number, _put_line(put))
                for each in told:
                    _write(number, _told_line(each))
                os.fsync(number)
                size = os.fstat(number).st_size
            new.replace(self.path)
        except OSError:
            with suppress(OSError):
                new.unlink()
            raise
        self.torn, self.size = False, size
        _sync_folder(self.path.parent)

    def remove(self) -> None:
        """Nothing waits. Errors: OSError."""
        self._remove_unfinished()
        with suppress(FileNotFoundError):
            self.path.unlink()
            _sync_folder(self.path.parent)
        self.torn, self.size = False, 0

    @property
    def _unfinished(self) -> Path:
        return self.path.with_name(f"{self.path.name}.new")

    def _remove_unfinished(self) -> None:
        """What a kill has left of a file that was being written anew: the old one counts."""
        with suppress(FileNotFoundError):
            self._unfinished.unlink()

    def _first(self) -> bytes:
        return _line(["hub", VERSION, self._hub_id])

    def _read(self, file: Any, left: Left) -> bool:
        """Fill in what the lines say; whether they are ours: of this version and for this hub."""
        puts: dict[int, Put] = {}
        told: dict[str | None, Told] = {}
        while line := file.readline(MOST_LINE_BYTES):
            self.torn = not line.endswith(b"\n")
            if not line.strip():
                continue
            said = _said(line)
            if said is None:
                left.damaged += not self.torn
                continue
            if said[0] == "hub" and said[1:] != [VERSION, self._hub_id]:
                return False
            try:
                _take(said, puts, told)
            except TypeError, ValueError, KeyError, RecursionError:
                left.damaged += 1
        left.puts = list(puts.values())
        left.told = list(told.values())
        return True

    def _set_aside(self, why: str) -> str:
        aside = self.path.with_name(f"{self.path.name}.{why}-{time.time_ns()}")
        self.path.rename(aside)
        self.torn, self.size = False, 0
        return aside.name


def _take(said: list[Any], puts: dict[int, Put], told: dict[str | None, Told]) -> None:
    """Apply a line. Errors: ValueError, TypeError, KeyError for what no version of us has written."""
    match said:
        case ["put", int(number), str(queue), str() | None as of, int(made_ms), list(jobs)]:
            puts[number] = Put(number, queue, of, made_ms, text_of(jobs))
        case ["done", list(numbers)]:
            for number in numbers:
                puts.pop(number, None)
        case ["told", str() | None as of, int(dropped), int(refused), list(words)]:
            told[of] = Told(of, dropped, refused, words)
        case ["hub", *_]:
            pass
        case _:
            raise ValueError("a line that nobody knows")


def text_of(value: Any) -> bytes:
    """JSON in one line, all ASCII. Errors: ValueError, TypeError, RecursionError."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _line(said: list[Any]) -> bytes:
    return _checked(text_of(said))


def _put_line(put: Put) -> bytes:
    head = text_of(["put", put.number, put.queue, put.of, put.made_ms])
    return _checked(head[:-1] + b"," + put.jobs + b"]")


def _told_line(told: Told) -> bytes:
    return _line(["told", told.of, told.dropped, told.refused, told.words])


def _checked(text: bytes) -> bytes:
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _said(line: bytes) -> list[Any] | None:
    """What a line says; None: it is not as it was written."""
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        said = json.loads(text)
    except ValueError, RecursionError:
        return None
    return said if isinstance(said, list) and said else None


def _write(number: int, text: bytes) -> None:
    view = memoryview(text)
    while view:
        view = view[os.write(number, view) :]


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    """A file that only its owner reads, never one that a link leads to. Errors: OSError."""
    number = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        yield number
    finally:
        os.close(number)


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)
