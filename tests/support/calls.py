"""The work of Python, counted in calls of the engine's own functions: the same on every machine, however busy."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType
from typing import Any, Final, Self

import hubqueue

ENGINE: Final = str(Path(hubqueue.__file__).parent)


class Calls:
    """`with Calls() as calls:` on this thread: `functions` as (file, name); comprehensions and generators apart."""

    def __init__(self) -> None:
        self.functions: list[tuple[str, str]] = []

    @property
    def total(self) -> int:
        """How often any of them was entered."""
        return len(self.functions)

    def __enter__(self) -> Self:
        sys.setprofile(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _count(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(ENGINE) and not code.co_name.startswith("<"):
            self.functions.append((code.co_filename[len(ENGINE) + 1 :], code.co_qualname))
