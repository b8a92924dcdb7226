"""The demo's own MQTT broker, in a process of its own so that its work does not slow the hub.

`python -m hubqueue.demo.broker` prints `ready mqtt=127.0.0.1:PORT` and serves until its standard input closes,
so it never outlives the demo. amqtt speaks MQTT 3.1.1 only; real installations use Mosquitto or EMQX.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from typing import Final

from amqtt.broker import Broker

_ANONYMOUS: Final = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}


async def serve() -> None:
    """Run until standard input ends."""
    port = _free_port()
    broker = Broker({"listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}}, "plugins": _ANONYMOUS})
    await broker.start()
    print(f"ready mqtt=127.0.0.1:{port}", flush=True)
    try:
        await asyncio.to_thread(sys.stdin.buffer.read)
    finally:
        await broker.shutdown()


def _free_port() -> int:
    """amqtt does not tell which port it got for 0, so a free one is asked for first."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    asyncio.run(serve())
