"""The process of one pipeline: `python -m hubqueue.pipelineworker`, started by pipeline.process and by nobody else.

A TCP client of the hub. The setup comes as the first line of standard input; "stop" there ends the work, and its end
ends this process at once: the hub is gone, and the next one starts its own.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from pathlib import Path
from typing import Final, Literal

import msgspec
import uvloop

from hubqueue import logs
from hubqueue.client.address import LinkSettings
from hubqueue.client.remote import RemoteHub
from hubqueue.config.pipelines import read_pipeline
from hubqueue.errors import HubqueueError
from hubqueue.mqttclient.broker import Broker
from hubqueue.pipeline.runner import Runner

TELL_S: Final = 0.25
ORPHANED: Final = 1  # exit code


class Told(msgspec.Struct):
    """The setup, as pipeline.process sends it."""

    file: str
    url: str
    token: str
    log_level: str = "info"
    log_format: Literal["text", "json"] = "text"


def main() -> int:
    """The exit code."""
    told = msgspec.json.decode(_line(), type=Told)
    logs.configure(told.log_level, told.log_format)
    return uvloop.run(_run(told))


async def _run(told: Told) -> int:
    try:
        plan = read_pipeline(Path(told.file), broker=Broker())  # sinks are the hub's: no broker is spoken to here
    except HubqueueError as error:
        print(f"pipeline cannot be read: {error}", file=sys.stderr)
        return 2
    hub = RemoteHub(LinkSettings.from_url(told.url, token=told.token)).start()
    runner = Runner(hub, plan, lambda: time.time_ns() // 1_000_000)
    loop = asyncio.get_running_loop()
    threading.Thread(target=_listen, args=(loop, runner), daemon=True).start()
    running = asyncio.create_task(runner.run())
    shown = None
    while not running.done():
        if (now := runner.shown()) != shown:
            shown = now
            print(msgspec.json.encode(shown).decode(), flush=True)
        await asyncio.wait({running}, timeout=TELL_S)
    await hub.close()
    running.result()
    return 0


def _listen(loop: asyncio.AbstractEventLoop, runner: Runner) -> None:
    """In a thread of its own: the end of the hub is seen even while a step does not let go."""
    while line := _line():
        if line == b"stop\n":
            loop.call_soon_threadsafe(runner.stop)
    os._exit(ORPHANED)


def _line() -> bytes:
    """A line of standard input, empty at its end. Not through sys.stdin: its lock would be held at the exit."""
    line = b""
    while not line.endswith(b"\n") and (found := os.read(0, 1)):
        line += found
    return line


if __name__ == "__main__":
    sys.exit(main())
