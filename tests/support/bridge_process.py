"""A hub with a bridge as a process of its own, to be killed: `python -m support.bridge_process FILE PORT [WORD...]`.

Takes `s/#` into queue `readings`, or the two overlapping filters of RULES. Prints one line when it is up, and one for
each hundred messages received; SIGTERM is a clean stop. Words: `hold`: it stores nothing, as when the disk is full.
`version=V`: of MQTT. `maximum=N`: receive_maximum. `overlapping`. `at=MOMENT`: it kills itself then, of KILLS.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, Final

from hubqueue.hub.hub import Hub
from hubqueue.mqtt import entry
from hubqueue.mqtt.bridge import Bridge
from hubqueue.mqtt.inflight import Inflight
from hubqueue.mqtt.link import Link
from hubqueue.mqtt.rules import Rule
from hubqueue.mqttclient.broker import Broker


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


RULES: Final = {
    "alone": [Rule(topic="s/#", queue="readings")],
    "overlapping": [
        Rule(topic="s/+/t", queue="one", shape="payload"),
        Rule(topic="s/a/#", queue="two", shape="payload"),
    ],
}

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
    maximum = int(words.get("maximum", "2000"))
    broker = Broker(port=port, version=version, receive_maximum=maximum, backoff_first_s=0.05, backoff_max_s=0.2)
    bridge = Bridge(hub, broker, RULES["overlapping" if "overlapping" in words else "alone"], version="1")
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await bridge.start()
    told = -1
    while not ended.is_set():
        received = bridge.stats.received + bridge.stats.redelivered
        if all(link.up for link in bridge.links.values()) and told < received // 100:
            told = received // 100
            print("received", received, flush=True)
        await asyncio.sleep(0.005)
    await bridge.close()
    await hub.close()


if __name__ == "__main__":
    pairs = [word.partition("=") for word in sys.argv[3:]]
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), {name: value for name, _, value in pairs}))
