"""The MQTT broker that the Supervisor hands out, as the bridge wants it. Asked before every attempt to connect.

So a broker that is installed later, moves, or gets a new password is found without a restart.
"""

from __future__ import annotations

from dataclasses import replace

from hubqueue.broker.broker import Broker
from hubqueue.client.address import Tls
from hubqueue.supervisor.client import Supervisor


class HandedOut:
    """`await HandedOut(supervisor, base)()`: `base` with the address and login of now. Errors: LinkDown."""

    def __init__(self, supervisor: Supervisor, base: Broker) -> None:
        self._supervisor = supervisor
        self._base = base

    async def __call__(self) -> Broker:
        login = await self._supervisor.mqtt()
        return replace(
            self._base,
            host=login.host,
            port=login.port,
            username=login.username,
            password=login.password,
            tls=(self._base.tls or Tls()) if login.encrypted else None,
        )
