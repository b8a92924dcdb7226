"""The demo as it plays: both hubs, the broker, the sensors, the workers, and an uplink that comes and goes.

`play` builds it all, draws it through `show` about once a second, and takes it down again in order.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from hubqueue.app import App
from hubqueue.client.address import LinkSettings
from hubqueue.client.remote import RemoteHub
from hubqueue.config.settings import Config, Forward, HttpDoor, Mqtt, TcpDoor
from hubqueue.demo import children, workers
from hubqueue.demo.sensors import House, hour_of
from hubqueue.demo.uplink import Uplink
from hubqueue.demo.view import Doors, Happening, Picture, told
from hubqueue.forward.destination import HubDestination
from hubqueue.forward.settings import ForwardSettings
from hubqueue.model.decode import Payload
from hubqueue.model.job import Options
from hubqueue.model.retry import Backoff
from hubqueue.model.verbs import Event
from hubqueue.mqtt.link import Link, nothing
from hubqueue.mqtt.rules import Rule
from hubqueue.mqttclient.broker import Broker
from hubqueue.work.worker import Worker

UPLINK: Final = "uplink"
CENTRAL: Final = "readings"
OPEN_S: Final = 14.0
CUT_S: Final = 8.0
_TICK_S: Final = 1.0
_LINES: Final = 8  # of what happened lately
_SESSION_S: Final = 60  # the broker may forget the demo soon after it has ended
_QUICK: Final = Backoff(kind="exponential", delay_ms=400, max_ms=5000)

RULES: Final = (
    Rule(topic="demo/climate/{room}/{kind}", queue=workers.CLIMATE, name="reading"),
    Rule(
        topic="demo/doors/{door}",
        queue=workers.DOORS,
        name="lamp",
        payload=Payload("text"),
        priority=10,
        max_attempts=3,
        options=Options(backoff=_QUICK),
    ),
    Rule(topic="demo/climate/#", queue=UPLINK, name="reading"),
    Rule(topic="demo/power/#", queue=UPLINK, name="reading"),
)


@dataclass(frozen=True, slots=True)
class Script:
    """What is to be played. mqtt_url None: with a broker of our own. Units: seconds; duration None: until stopped."""

    folder: Path
    mqtt_url: str | None = None
    duration_s: float | None = None


async def play(script: Script, show: Callable[[Picture, Doors], None], stopping: asyncio.Event) -> Picture:
    """Play the demo until its time is over or `stopping` is set; the last picture."""
    async with _built(script) as scene:
        ends = None if script.duration_s is None else time.monotonic() + script.duration_s
        while True:
            picture = await scene.picture()
            show(picture, scene.doors)
            if stopping.is_set() or (ends is not None and time.monotonic() >= ends):
                return picture
            await scene.tick(stopping)


@asynccontextmanager
async def _built(script: Script) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        broker = await _broker(script, stack)
        port = await stack.enter_async_context(
            children.central_hub(script.folder / "central.db", script.folder / "central.log")
        )
        uplink = Uplink("127.0.0.1", port)
        await uplink.start()
        stack.push_async_callback(uplink.close)
        edge = await stack.enter_async_context(App(_edge(script.folder, broker, uplink.port)))
        central = await stack.enter_async_context(RemoteHub(LinkSettings(port=port)))
        scene = Scene(edge, central, uplink)
        await scene.watch()
        for queue, handler in ((workers.CLIMATE, workers.climate), (workers.DOORS, workers.lamps(seed=11))):
            await stack.enter_async_context(Worker(edge.hub, queue, handler, concurrency=2, grace_s=2.0))
        sensors = _publisher(broker)
        sensors.start()
        stack.push_async_callback(sensors.close)
        async with asyncio.TaskGroup() as tasks:
            playing = [tasks.create_task(scene.publish(sensors)), tasks.create_task(scene.weather())]
            try:
                yield scene
            finally:
                for task in playing:
                    task.cancel()


async def _broker(script: Script, stack: AsyncExitStack) -> Broker:
    """The broker that was named, or one of our own."""
    if script.mqtt_url is not None:
        return replace(Broker.from_url(script.mqtt_url), session_expiry_s=_SESSION_S)
    url = await stack.enter_async_context(children.broker())
    return replace(Broker.from_url(url), version="3.1.1")


def _edge(folder: Path, broker: Broker, uplink_port: int) -> Config:
    """The edge hub as its hubqueue.yaml would say it."""
    uplink = LinkSettings.from_url(f"tcp://127.0.0.1:{uplink_port}", connect_timeout_s=2.0)
    quick = ForwardSettings(backoff_s=0.3, backoff_cap_s=2.0, connect_timeout_s=2.0)
    return Config(
        data_path=folder / "edge.db",
        tcp=TcpDoor(port=0),
        http=HttpDoor(port=0),
        mqtt=Mqtt(broker, RULES),
        forwarders=(Forward(HubDestination(uplink, CENTRAL), quick, queue=UPLINK, name="central"),),
        drain_s=3.0,
    )


def _publisher(broker: Broker) -> Link:
    """The sensors' own connection to the broker."""
    return Link(
        broker, "hubqueue-demo-sensors", nothing, begun=lambda present, named: None, received=lambda message: None
    )


class Scene:
    """The running demo: what has happened, and how to picture it."""

    def __init__(self, edge: App, central: RemoteHub, uplink: Uplink) -> None:
        self.edge = edge
        self._central = central
        self._uplink = uplink
        self._house = House()
        self._began_s = time.monotonic()
        self._published = 0
        self._happenings: deque[Happening] = deque(maxlen=_LINES)
        self._done: dict[str, deque[tuple[float, int]]] = {}

    async def watch(self) -> None:
        """Note from now on what happens."""
        await self.edge.hub.subscribe(None, self._event)

    async def publish(self, sensors: Link) -> None:
        """Publish what the house says, once a tick; while the broker is away the sensors' readings are lost."""
        while True:
            if sensors.state.up:
                for message in self._house.readings(self.elapsed_s):
                    await sensors.publish(message.topic, message.payload)
                    self._published += 1
            await asyncio.sleep(_TICK_S)

    async def weather(self) -> None:
        """The uplink comes and goes."""
        while True:
            await asyncio.sleep(OPEN_S)
            self._uplink.shut()
            self._tell("link", "the uplink is cut")
            await asyncio.sleep(CUT_S)
            self._uplink.reopen()
            self._tell("link", "the uplink is back")

    async def tick(self, stopping: asyncio.Event) -> None:
        """Wait for the next picture, or for the end."""
        try:
            async with asyncio.timeout(_TICK_S):
                await stopping.wait()
        except TimeoutError:
            pass

    @property
    def doors(self) -> Doors:
        dashboard = self.edge.doors.dashboard
        assert dashboard is not None  # _edge opens it
        return Doors(self.edge.url, dashboard)

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._began_s

    async def picture(self) -> Picture:
        """Everything as it is now."""
        queues = sorted(await self.edge.hub.queues(), key=lambda info: info.name)
        status = (await self.edge.fleet.statuses())[0].now
        central = await self._central.counts(CENTRAL)
        rates = {info.name: self._rate(info.name, info.counts.completed) for info in queues}
        return Picture(
            elapsed_s=self.elapsed_s,
            hour=hour_of(self.elapsed_s),
            published=self._published,
            queues=queues,
            done_per_s=rates,
            uplink_open=self._uplink.is_open,
            link_state=status.link.value,
            link_since_s=time.time() - status.since_ms / 1000,
            waiting_to_forward=status.waiting,
            forwarded=status.forwarded,
            central=central.waiting,
            happenings=tuple(self._happenings),
        )

    def _rate(self, queue: str, completed: int) -> float:
        """Jobs done a second over the last ten pictures."""
        seen = self._done.setdefault(queue, deque(maxlen=10))
        seen.append((self.elapsed_s, completed))
        (first_s, first), (last_s, last) = seen[0], seen[-1]
        return (last - first) / (last_s - first_s) if last_s > first_s else 0.0

    def _event(self, event: Event) -> None:
        if (happening := told(event)) is not None:
            self._happenings.append(happening)

    def _tell(self, kind: str, text: str) -> None:
        self._happenings.append(Happening(time.time_ns() // 1_000_000, kind, text))
