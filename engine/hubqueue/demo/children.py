"""The demo's other processes: the MQTT broker and the central hub. Each says on its first line where it is."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from hubqueue.errors import StoreError

_START_S: Final = 30.0  # a Raspberry Pi imports slowly
_STOP_S: Final = 15.0


@asynccontextmanager
async def broker() -> AsyncIterator[str]:
    """An MQTT broker of our own; gives its URL. Errors: StoreError tells how to install amqtt."""
    hint = "install it with: pip install 'hubqueue[demo]', or name a broker with --mqtt-url"
    async with _child(["-m", "hubqueue.demo.broker"], "the demo's MQTT broker did not start", hint) as words:
        yield f"mqtt://{words['mqtt']}"


@asynccontextmanager
async def central_hub(data_path: Path, log_file: Path) -> AsyncIterator[int]:
    """A second hub, `hubqueue run` as anybody would start it; gives its TCP port."""
    arguments = ["-m", "hubqueue", "run", "--config", os.devnull, "--data-path", str(data_path)]
    arguments += ["--host", "127.0.0.1", "--tcp-port", "0", "--http-port", "0", "--log-level", "warning"]
    hint = f"its log is {log_file}"
    async with _child(arguments, "the demo's central hub did not start", hint, log_file) as words:
        yield int(words["tcp"].rpartition(":")[2])


@asynccontextmanager
async def _child(
    arguments: Sequence[str], failed: str, hint: str, log_file: Path | None = None
) -> AsyncIterator[dict[str, str]]:
    """Run this Python with the arguments; gives the `key=value` words of its ready line."""
    errors = log_file.open("ab") if log_file is not None else None
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=errors if errors is not None else asyncio.subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C ends the demo, which then ends these in order
    )
    try:
        assert process.stdout is not None
        try:
            line = (await asyncio.wait_for(process.stdout.readline(), _START_S)).decode()
        except TimeoutError:
            line = ""
        if not line.startswith("ready "):
            raise StoreError(failed, hint=hint)
        yield dict(word.split("=", 1) for word in line.split() if "=" in word)
    finally:
        await _end(process)
        if errors is not None:
            errors.close()


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    if process.returncode is None:
        try:
            process.terminate()
            await asyncio.wait_for(process.wait(), _STOP_S)
        except ProcessLookupError:
            pass
        except TimeoutError:
            process.kill()
            await process.wait()
