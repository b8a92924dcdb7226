"""What handlers print goes to the hub's log, line by line, and never faster than a log can bear.

A line may start with `<N>`, a level as the child's own logging writes it; other lines are INFO from standard
output and WARNING from standard error. A handler that writes faster than the limit waits for it: the hub
stops reading, nothing is dropped, and nothing piles up here.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Final

log = logging.getLogger(__name__)

SECOND_S: Final = 1.0  # what the limit is for
LINES_PER_S: Final = 200  # a loop that prints must not fill a disk or busy the hub
MAX_LINE_BYTES: Final = 4096  # longer lines are cut into pieces

_LEVEL = re.compile(rb"<(10|20|30|40|50)>")


class LineLog:
    """One output stream of a child process."""

    def __init__(self, level: int, pid: int, pipe: asyncio.ReadTransport) -> None:
        self._level = level
        self._pid = pid
        self._pipe = pipe
        self._rest = b""
        self._left = LINES_PER_S
        self._second: asyncio.TimerHandle | None = None

    def feed(self, data: bytes) -> None:
        self._rest += data
        self._pump()

    def close(self) -> None:
        """Log what is left, within the limit, and end."""
        if self._second is not None:
            self._second.cancel()
        lines = self._rest.splitlines()
        for line in lines[: self._left]:
            self._write(line)
        if len(lines) > self._left:
            log.warning("handler output cut lines=%d pid=%d", len(lines) - self._left, self._pid)
        self._rest = b""

    def _pump(self) -> None:
        while self._left:
            end = self._rest.find(b"\n", 0, MAX_LINE_BYTES)
            if end >= 0:
                self._write(self._rest[:end])
                self._rest = self._rest[end + 1 :]
            elif len(self._rest) >= MAX_LINE_BYTES:
                self._write(self._rest[:MAX_LINE_BYTES])
                self._rest = self._rest[MAX_LINE_BYTES:]
            else:
                return
        if not self._pipe.is_closing():
            self._pipe.pause_reading()

    def _write(self, line: bytes) -> None:
        if self._second is None:
            self._second = asyncio.get_running_loop().call_later(SECOND_S, self._new_second)
        self._left -= 1
        level = self._level
        if mark := _LEVEL.match(line):
            level, line = int(mark[1]), line[mark.end() :]
        if text := line.rstrip().decode(errors="replace"):
            log.log(level, "%s pid=%d", text, self._pid)

    def _new_second(self) -> None:
        self._second = None
        paused, self._left = self._left == 0, LINES_PER_S
        self._pump()
        if paused and self._left and not self._pipe.is_closing():
            self._pipe.resume_reading()
