"""Opens MQTT links and closes them at once, in many loops one after the other: `python hasty_links.py PORT ROUNDS`.

A process of its own, on uvloop as the hub is: what a half-open connection leaves behind shows as a line on standard
error, or ends the process.
"""

from __future__ import annotations

import asyncio
import random
import sys

import uvloop

from hubqueue.mqtt.link import Link, nothing
from hubqueue.mqttclient.broker import Broker


async def hasty(url: str) -> None:
    links = [
        Link(
            Broker.from_url(url),
            f"hasty-{number}",
            nothing,
            begun=lambda present, named: None,
            received=lambda message: None,
        )
        for number in range(3)
    ]
    for link in links:
        link.start()
    await asyncio.sleep(random.random() * 0.02)
    for link in links:
        await link.close()


if __name__ == "__main__":
    for _ in range(int(sys.argv[2])):
        uvloop.run(hasty(f"mqtt://127.0.0.1:{sys.argv[1]}"))
