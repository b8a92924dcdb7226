"""A broker that speaks MQTT 3.1.1 only: amqtt, in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from amqtt.broker import Broker as OldBroker

from support.ports import free_port


@asynccontextmanager
async def old_broker(**plugins: object) -> AsyncIterator[int]:
    """amqtt, which speaks MQTT 3.1.1 only."""
    port = free_port()
    allowed = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}, **plugins}
    broker = OldBroker({"listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}}, "plugins": allowed})
    await broker.start()
    try:
        yield port
    finally:
        await broker.shutdown()
