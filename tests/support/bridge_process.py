"""A hub with a bridge as a process of its own, to be killed: `python -m support.bridge_process FILE PORT [WORD...]`.

Takes `s/#` into queue `readings`. Prints one line when it is up, and one for each hundred messages received. Words:
`hold`: it stores nothing, as when the disk is full. `version=V`: of MQTT. `at=MOMENT`: it kills itself then, of KILLS.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, Final

from hubqueue.broker.broker import Broker
from hubqueue.hub.hub import Hub
from hubqueue.mqtt import entry
from hubqueue.mqtt.bridge import Bridge
from hubqueue.mqtt.inflight import Inflight
from hubqueue.mqtt.link import Link
from hubqueue.mqtt.rules import Rule


def kill(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before(owner: Any, name: str) -> None:
    setattr(owner, name, kill)


def after(owner: Any, name: str, when: Callable[..., bool] = lambda *_: True) -> None:
    whole = getattr(owner, name)

    def wrapped(*arguments: Any) -> Any:
        done = whole(*arguments)
        if when(*arguments):
            kill()
        return done

    setattr(owner, name, wrapped)


# In the order in which a message passes them
KILLS: Final[dict[str, Callable[[], None]]] = {
    "committed": lambda: before(entry._Note, "committed"),
    "synced": lambda: after(Inflight, "sync", lambda inflight, deliveries: bool(list(deliveries))),
    "left": lambda: before(Link, "acknowledge"),
    "acknowledged": lambda: after(Link, "acknowledge"),
}


async def main(path: str, port: int, words: dict[str, str]) -> None:
    if "at" in words:
        KILLS[words["at"]]()
    hub = await Hub.open(path)
    hub.over_cap = "hold" in words
    version: Any = words.get("version", "auto")
    broker = Broker(port=port, version=version, backoff_first_s=0.05, backoff_max_s=0.2)
    bridge = Bridge(hub, broker, [Rule(topic="s/#", queue="readings")], version="1")
    await bridge.start()
    told = -1
    while True:
        received = bridge.stats.received + bridge.stats.redelivered
        if bridge.links[""].up and told < received // 100:
            told = received // 100
            print("received", received, flush=True)
        await asyncio.sleep(0.005)


if __name__ == "__main__":
    pairs = [word.partition("=") for word in sys.argv[3:]]
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), {name: value for name, _, value in pairs}))
