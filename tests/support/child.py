"""A child process of a test that speaks in JSON lines, and whose end is certain."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Self

from support.waiting import PATIENCE_S

TESTS: Final = Path(__file__).parents[1]
ENGINE: Final = TESTS.parent / "engine"
ENGINE_PATH: Final = os.pathsep.join((str(ENGINE), str(TESTS / "support" / "every_python")))  # for PYTHONPATH
LIMIT_BYTES: Final = 256 * 1024 * 1024  # one line


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours for a child that is a module of the tests: it imports them, and this checkout's engine."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join((ENGINE_PATH, str(TESTS))), **(more or {})}


class Child:
    """`async with Child("support.mixed", path) as child:` runs that module, and kills it at the end if need be."""

    def __init__(self, module: str, *args: object, env: Mapping[str, str] | None = None) -> None:
        self._command = [sys.executable, "-m", module, *map(str, args)]
        self._env = environment(env)
        self.process: asyncio.subprocess.Process

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        self.process = await asyncio.create_subprocess_exec(
            *self._command, stdin=pipe, stdout=pipe, env=self._env, limit=LIMIT_BYTES
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()
        await self.process.communicate()

    @property
    def pid(self) -> int:
        return self.process.pid

    def say(self, message: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")

    async def hear(self, timeout_s: float = PATIENCE_S) -> Any:
        """The next line. Errors: EOFError when the process has ended, TimeoutError."""
        assert self.process.stdout is not None
        async with asyncio.timeout(timeout_s):
            line = await self.process.stdout.readline()
        if not line.endswith(b"\n"):
            raise EOFError(f"the child ended with {await self.process.wait()}")
        return json.loads(line)

    async def rest(self, note: Callable[[Any], None] = lambda heard: None) -> list[Any]:
        """Every whole line until the process ends. note: told of each as it comes."""
        heard = []
        while True:
            try:
                heard.append(await self.hear())
            except EOFError:
                return heard
            note(heard[-1])

    def kill(self) -> None:
        """SIGKILL: the process does nothing more."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)

    async def ended(self, timeout_s: float = PATIENCE_S) -> int:
        """Its exit status, once it has ended by itself."""
        async with asyncio.timeout(timeout_s):
            return await self.process.wait()


@asynccontextmanager
async def ready(module: str, *args: object, wait_s: float) -> AsyncIterator[asyncio.subprocess.Process]:
    """That module in a process, once it has printed `ready`; killed with SIGKILL at the end if it still runs."""
    async with Child(module, *args) as child:
        assert child.process.stdout is not None
        async with asyncio.timeout(wait_s):
            assert await child.process.stdout.readline() == b"ready\n"
        yield child.process


class Refused(Exception):
    """The puppet's hub answered an error; `code` is that of errors.py."""

    def __init__(self, answer: dict[str, str]) -> None:
        super().__init__(f"{answer['error']}: {answer['message']} ({answer['hint']})")
        self.code = answer["error"]
        self.hint = answer["hint"]


@asynccontextmanager
async def puppet(path: Path, env: Mapping[str, str] | None = None, **settings: Any) -> AsyncIterator[Puppet]:
    """A hub in a process of its own, open, that does what it is told. Errors: Refused."""
    async with Child("support.puppet", path, json.dumps(settings), env=env) as child:
        told = Puppet(child)
        await told.answer()
        yield told


class Puppet:
    """`await told("enqueue", [1, 2], True, 100)`: see support.puppet for the words."""

    def __init__(self, child: Child) -> None:
        self.child = child

    async def __call__(self, word: str, *arguments: object) -> Any:
        self.child.say([word, *arguments])
        return await self.answer()

    async def answer(self) -> Any:
        answer = await self.child.hear()
        if "error" in answer:
            raise Refused(answer)
        return answer["ok"]
