"""A hub with one forwarder as a process of its own, to be killed: `python -m support.edge FILE QUEUE URL [OPTIONS]`.

OPTIONS is a JSON object of ForwardSettings. It prints `ready` and forwards until it is ended.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from hubqueue.client.address import LinkSettings
from hubqueue.forward.forwarder import Forwarder
from hubqueue.forward.settings import ForwardSettings
from hubqueue.forward.sinks.hub import HubSink
from hubqueue.hub.hub import Hub


async def forward(file: str, queue: str, url: str, options: dict[str, Any]) -> None:
    """Forward the queue of the hub in this file until cancelled."""
    token, ca_file = os.environ.get("EDGE_TOKEN"), os.environ.get("EDGE_CA_FILE")
    hub = await Hub.open(file)
    sink = HubSink(LinkSettings.from_url(url, token=token, ca_file=ca_file), hub.store.tx.identity.hub_id_of)
    async with Forwarder(hub, queue, sink, ForwardSettings(**options)):
        print("ready", flush=True)
        await asyncio.Event().wait()


@asynccontextmanager
async def running(
    file: Path, queue: str, url: str, options: dict[str, Any], env: dict[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """That process, ready; killed with SIGKILL at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "support.edge", str(file), queue, url, json.dumps(options)),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), **(env or {})},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


if __name__ == "__main__":
    asyncio.run(forward(sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])))
