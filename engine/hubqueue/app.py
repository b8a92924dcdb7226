"""One hub process: the only place that builds its parts and takes them down again.

Parts start in the order hub, forwarders, doors, webhooks, handlers, pipelines, MQTT bridge, sources: nothing takes
work in before there is somewhere to put it. At a stop intake ends first, then work ends within `drain`, then the file
is closed. `main` is what `hubqueue run` calls.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

import uvloop

from hubqueue import __version__, logs
from hubqueue.admin import operations
from hubqueue.admin.router import router_of
from hubqueue.admin.running import Running
from hubqueue.client.local import LocalHub
from hubqueue.commands.auth import Authenticator
from hubqueue.commands.call import CallContext
from hubqueue.commands.workers import Workers
from hubqueue.config.inherited import for_handlers, for_pipeline
from hubqueue.config.settings import Config, Supervised
from hubqueue.errors import ConfigError
from hubqueue.forward.forwarders import Forwarders
from hubqueue.hooks.sender import Sender
from hubqueue.listeners import Listeners
from hubqueue.model.access import EVERYTHING
from hubqueue.servers.settings import TcpSettings
from hubqueue.servers.tcp import TcpServer
from hubqueue.store.disk import DISK, Disk
from hubqueue.system import SYSTEM, System
from hubqueue.work.parent import HandlerParent
from hubqueue.work.settings import HandlerSettings

if TYPE_CHECKING:
    from hubqueue.servers.http.server import Mount
    from hubqueue.supervisor import Supervisor

log = logging.getLogger(__name__)

LOOPBACK: Final = "127.0.0.1"
FORCED: Final = 128  # plus the signal: how a process that was told twice ends


class App:
    """The parts of one hub process, from `start` to `stop`. Also usable as `async with App(config) as app`."""

    hub: LocalHub
    fleet: Forwarders
    doors: Listeners
    workers: Workers

    def __init__(self, config: Config, system: System = SYSTEM, disk: Disk = DISK) -> None:
        self.config = config
        self._system = system
        self._disk = disk
        self.handlers: HandlerParent | None = None
        self.running = Running()
        # how it ends: what takes work in, then what works (side by side), then what both need
        self._intake = AsyncExitStack()
        self._work: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._base = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """Where clients find this hub."""
        host = self.config.tcp.host
        scheme = "tls" if self.config.tcp.cert_file else "tcp"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.tcp.port}"

    @property
    def tcp(self) -> TcpServer:
        """The TCP door."""
        return self.doors.tcp

    async def start(self) -> None:
        """Build and start every part; if one cannot start, the others are stopped again and its error is raised."""
        try:
            await self._open_hub()
            await self._start_forwarders()
            await self._open_doors()
            await self._start_webhooks()
            await self._start_handlers()
            await self._start_pipelines()
            await self._start_bridge()
            self._start_sources()
            await self.hub.begin_grace()  # all that workers come back through is open
            self._start_announcer()
            self._start_zeroconf()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Take nothing more in, let running work end within `drain`, give the rest back, close the file."""
        async with self._base:
            await self._intake.aclose()
            ending = [asyncio.ensure_future(end()) for end in self._work]
            self._work.clear()
            if ending:
                await asyncio.wait(ending)
                for ended in ending:
                    ended.result()

    async def _open_hub(self) -> None:
        self.config.data_path.parent.mkdir(parents=True, exist_ok=True)
        router = router_of(self.config)
        self.hub = await LocalHub.open(
            self.config.data_path,
            self.config.hub,
            reachable=False,
            router=router,
            system=self._system,
            disk=self._disk,
        )
        self._base.push_async_callback(self.hub.close)
        self.workers = Workers(self.hub.now_ms, self.hub.system)
        self._intake.callback(self.hub.drain_off)

    async def _open_doors(self) -> None:
        self.doors = Listeners(self.hub, self.config.tcp, self.config.http, self.config.drain_s)
        self._base.push_async_callback(self.doors.close)
        await self.doors.open(self.workers, operations(self.config, self.hub, self.fleet, self.running), _mounts)
        self._work.append(self.doors.close)

    async def _start_forwarders(self) -> None:
        plans = [forward.plan(self.config.hub.timezone) for forward in self.config.forwarders]
        self.fleet = Forwarders(self.hub, plans, grace_s=self.config.drain_s)
        self._work.append(self.fleet.stop)
        await self.fleet.start()

    async def _start_webhooks(self) -> None:
        sender = Sender(self.hub)
        self._work.append(sender.close)
        await sender.start()

    async def _start_handlers(self) -> None:
        wanted = self.config.handlers
        if wanted is None:
            return
        url, token = await self._open_inner_door()
        self.handlers = HandlerParent(
            self.hub,
            HandlerSettings(
                folder=wanted.folder,
                url=url,
                token=token,
                environment=for_handlers(os.environ, self.config.variables),
                grace_s=wanted.grace_s,
                max_memory_bytes=wanted.max_memory_bytes,
            ),
        )
        self._work.append(partial(self.handlers.close, self.config.drain_s))
        await self.handlers.start()

    async def _start_pipelines(self) -> None:
        plans = self.config.pipelines
        if not plans:
            return
        from hubqueue.pipeline.pipelines import Pipelines  # a hub without pipelines does not carry their libraries
        from hubqueue.pipeline.process import Setup

        setup = None
        if any(plan.process == "own" for plan in plans):
            url, token = await self._open_inner_door()
            level, form = self.config.log.level, self.config.log.format
            environments = {
                plan.name: for_pipeline(os.environ, plan.variables) for plan in plans if plan.process == "own"
            }
            setup = Setup(url=url, token=token, environments=environments, log_level=level, log_format=form)
        pipelines = self.running.pipelines = Pipelines(self.hub, plans, setup, grace_s=self.config.drain_s)
        self._intake.push_async_callback(pipelines.stop)  # they enqueue, which a hub that drains refuses
        pipelines.start()

    async def _open_inner_door(self) -> tuple[str, str]:
        """For what the hub starts itself: loopback, a fresh token, and no certificate to check. Its URL and token."""
        token = self._system.token_urlsafe(24)
        authenticator = Authenticator({token: EVERYTHING}, asyncio.get_running_loop().time)
        lent = operations(self.config, self.hub, self.fleet, self.running)
        listener = TcpServer(
            CallContext(self.hub, authenticator, self.workers, __version__, lent),
            TcpSettings(host=LOOPBACK, port=0, drain_s=self.config.drain_s),
        )
        await listener.start()
        self._base.push_async_callback(listener.close)
        return f"tcp://{LOOPBACK}:{listener.port}", token

    async def _start_bridge(self) -> None:
        if self.config.mqtt is None:
            return
        from hubqueue.mqtt.bridge import Bridge  # a hub without MQTT does not carry its libraries

        mqtt, where = self.config.mqtt, None
        if self.config.supervised is not None and self.config.supervised.mqtt:
            from hubqueue.supervisor import HandedOut

            where = HandedOut(self._supervisor(self.config.supervised), mqtt.broker)
        bridge = self.running.bridge = Bridge(
            self.hub, mqtt.broker, mqtt.rules, version=__version__, channels=mqtt.channels, where=where
        )
        self._intake.push_async_callback(bridge.close)
        await bridge.start()

    def _start_sources(self) -> None:
        if not self.config.sources:
            return
        from hubqueue.sources.sources import Sources  # a hub without sources does not carry their libraries

        sources = self.running.sources = Sources(self.hub, self.config.sources)
        self._intake.push_async_callback(sources.close)
        sources.start()

    def _start_announcer(self) -> None:
        """Home Assistant hears of this hub once everything answers."""
        told = self.config.supervised
        if told is None or self.doors.internal is None:
            return
        from hubqueue.supervisor import Announcer

        found = {
            "host": told.host,
            "port": self.doors.internal.port,
            "token": told.integration_token,
            "hub_id": self.hub.hub_id,
        }
        announcer = Announcer(self._supervisor(told), found)
        self._intake.push_async_callback(announcer.close)
        announcer.start()

    def _start_zeroconf(self) -> None:
        """Others in the network hear of this hub."""
        http = self.doors.http
        if not self.config.zeroconf or http is None:
            return
        try:
            from hubqueue.announce import Announcement
        except ImportError as error:
            raise ConfigError("zeroconf: its library is missing", hint="pip install 'hubqueue[zeroconf]'") from error
        door = self.config.http
        tls = door.cert_file is not None
        app = self.config.supervised is not None
        announcement = Announcement(self.hub.hub_id, __version__, door.host, http.port, tls=tls, app=app)
        self._intake.push_async_callback(announcement.close)
        announcement.start()

    def _supervisor(self, told: Supervised) -> Supervisor:
        from hubqueue.supervisor import Supervisor

        return Supervisor(told.url, told.token)


def _mounts() -> list[Mount]:
    """What the HTTP doors serve. Asked for only when there is one: these carry libraries that others do without."""
    from hubqueue.servers.http.health import health_routes
    from hubqueue.servers.http.login import login_routes
    from hubqueue.servers.http.metrics import metrics_route
    from hubqueue.servers.http.rest.serve import rest
    from hubqueue.servers.http.sse import streams
    from hubqueue.servers.http.ws import websocket
    from hubqueue.ui.pages import routes as pages

    return [rest, streams, websocket, health_routes, metrics_route, login_routes, pages]


def main(config: Config) -> None:
    """Run a hub until a signal ends it. Errors: those of App.start."""
    logs.configure(config.log.level, config.log.format)
    uvloop.run(_run(config))


async def _run(config: Config) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, _told_to_stop, number, stopping)
    app = App(config)
    await app.start()
    log.info("started version=%s hub=%s url=%s file=%s", __version__, app.hub.hub_id, app.url, config.data_path)
    http = ""
    if app.doors.http is not None:
        http = f" http={config.http.host}:{app.doors.http.port}"
        log.info("dashboard at %s", app.doors.dashboard)
    _settle_memory()
    print(f"ready tcp={config.tcp.host}:{app.tcp.port}{http} hub={app.hub.hub_id} pid={os.getpid()}", flush=True)
    await stopping.wait()
    log.info("stopping: running work may end within drain_s=%g", config.drain_s)
    await app.stop()
    log.info("stopped")


def _settle_memory() -> None:
    """What the start has made stays to the end: the collector need not look at it again.

    In a burst, which makes many objects, it would do so several times, and stop all work for 50 ms each (measured).
    """
    gc.collect()
    gc.freeze()


def _told_to_stop(number: signal.Signals, stopping: asyncio.Event) -> None:
    if stopping.is_set():
        _force(number)
    stopping.set()


def _force(number: signal.Signals) -> NoReturn:
    """Told twice. Nothing accepted is lost: the file is as after a kill, and leases outlive the process."""
    log.warning("told to stop twice: ending at once signal=%s", number.name)
    os._exit(FORCED + number)
