"""What handlers print reaches the log line by line, at a bounded rate, with nothing lost."""

from __future__ import annotations

import asyncio
import logging
import os

import pytest

from hubqueue.work import output
from hubqueue.work.output import LINES_PER_S, MAX_LINE_BYTES, LineLog
from support.waiting import in_time, until


class Pipe(asyncio.Protocol):
    """A real pipe whose reading end feeds a LineLog."""

    def __init__(self, level: int = logging.INFO) -> None:
        self.level = level
        self.closed = asyncio.Event()

    async def open(self) -> Pipe:
        reader, self.fd = os.pipe()
        self.transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: self, os.fdopen(reader, "rb"))
        self.lines = LineLog(self.level, 7, self.transport)
        return self

    def data_received(self, data: bytes) -> None:
        self.lines.feed(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lines.close()
        self.closed.set()

    async def end(self) -> None:
        os.close(self.fd)
        async with in_time():
            await self.closed.wait()


async def test_lines_have_the_level_of_their_stream_or_their_own(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    pipe = await Pipe(logging.WARNING).open()
    os.write(pipe.fd, b"plain\n<20>said at info\n<10>detail\n\n<99>not a level\nlast, without an end")
    await pipe.end()
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (30, "plain pid=7"),
        (20, "said at info pid=7"),
        (10, "detail pid=7"),
        (30, "<99>not a level pid=7"),
        (30, "last, without an end pid=7"),
    ]


async def test_an_endless_line_is_cut_and_odd_bytes_are_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    pipe = await Pipe().open()
    os.write(pipe.fd, b"x" * (MAX_LINE_BYTES + 10) + b"\n\xff\xfe\n")
    await pipe.end()
    lengths = [len(record.getMessage()) - len(" pid=7") for record in caplog.records]
    assert lengths == [MAX_LINE_BYTES, 10, 2]


async def test_a_flood_waits_for_the_limit_and_loses_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    written: list[int] = []  # before each new second

    def new_second(lines: LineLog) -> None:
        written.append(len(caplog.records))
        begun(lines)

    begun = LineLog._new_second
    monkeypatch.setattr(LineLog, "_new_second", new_second)
    monkeypatch.setattr(output, "SECOND_S", 0.02)
    pipe = await Pipe().open()
    loop = asyncio.get_running_loop()
    count = LINES_PER_S * 2 + 50
    await loop.run_in_executor(None, os.write, pipe.fd, b"".join(b"%d\n" % n for n in range(count)))
    await until(lambda: len(caplog.records) == count)
    await pipe.end()
    assert written[:2] == [LINES_PER_S, 2 * LINES_PER_S]
    assert [record.getMessage().split()[0] for record in caplog.records] == [str(n) for n in range(count)]
