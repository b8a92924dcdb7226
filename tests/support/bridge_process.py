"""A hub with a bridge as a process of its own, to be killed: `python -m support.bridge_process FILE PORT [hold]`.

Takes `s/#` into queue `readings`. With `hold` it stores nothing, as when the disk is full. Prints one line when it is
up, and one for each hundred messages received.
"""

from __future__ import annotations

import asyncio
import sys

from hubqueue.broker.broker import Broker
from hubqueue.hub.hub import Hub
from hubqueue.mqtt.bridge import Bridge
from hubqueue.mqtt.rules import Rule


async def main(path: str, port: int, *, hold: bool) -> None:
    hub = await Hub.open(path)
    hub.over_cap = hold
    broker = Broker(port=port, backoff_first_s=0.05, backoff_max_s=0.2)
    bridge = Bridge(hub, broker, [Rule(topic="s/#", queue="readings")], version="1")
    await bridge.start()
    told = -1
    while True:
        if bridge.links[""].up and told < bridge.stats.received // 100:
            told = bridge.stats.received // 100
            print("received", bridge.stats.received, flush=True)
        await asyncio.sleep(0.005)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), hold="hold" in sys.argv[3:]))
