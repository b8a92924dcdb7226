"""Server-sent events: what happens to jobs, and the messages of a channel, for whoever can only GET.

`GET /api/v1/events?queue=&kinds=` and `GET /api/v1/channels/{name}/events`. A client that comes back with
`Last-Event-ID` gets the job events it missed. Slow clients miss some, and are told so; nobody is waited for.
Source: HTML Living Standard, section 9.2.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

import msgspec
from aiohttp import web

from hubqueue.commands.notifications import Gap, Notification, event_map, notification_map
from hubqueue.model.verbs import Event
from hubqueue.servers.http.guard import SETTINGS
from hubqueue.servers.http.requestcontext import session_of
from hubqueue.servers.http.session import HttpSession
from hubqueue.servers.http.settings import HttpSettings
from hubqueue.wire.jsondata import plain

HEARTBEAT: Final = b": still here\n\n"
MAX_UNSENT_BYTES: Final = 1024 * 1024  # a stream that is this far behind misses what comes
RETRY: Final = b"retry: 2000\n\n"  # milliseconds after which a client shall come back
MAX_DIGITS: Final = 16  # of an event's number: below 2^53
HEADERS: Final = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}

log = logging.getLogger(__name__)
_json: Final = msgspec.json.Encoder().encode


def streams(app: web.Application) -> None:
    """Mount the streams."""
    open_streams = Streams(app[SETTINGS])
    app.router.add_get("/api/v1/events", open_streams.events, allow_head=False)
    app.router.add_get("/api/v1/channels/{channel}/events", open_streams.channel, allow_head=False)
    app.on_shutdown.append(open_streams.close)


class Stream(HttpSession):
    """One client that listens."""

    listens = True

    def __init__(self, shown: HttpSession) -> None:
        super().__init__(shown.context, shown.address, shown.grant)
        self.ended = False
        self._out = bytearray(RETRY)
        self._missed = 0
        self._ready = asyncio.Event()
        self._ready.set()

    def notify(self, notification: Notification) -> bool:
        if len(self._out) > MAX_UNSENT_BYTES:
            self._missed += 1
            return False
        if self._missed:
            self._out += _lines(Gap(getattr(notification, "queue", ""), notification.at_ms, self._missed), "")
            self._missed = 0
        self._out += _lines(notification, self.context.hub.recent.epoch)
        self._ready.set()
        return True

    async def next(self, patience_s: float) -> bytes:
        """What is to be sent: what it was told, or a sign of life."""
        try:
            async with asyncio.timeout(patience_s):
                await self._ready.wait()
        except TimeoutError:
            return HEARTBEAT
        self._ready.clear()
        out, self._out = self._out, bytearray()
        return bytes(out)

    def finish(self) -> None:
        """The hub stops."""
        self.ended = True
        self._ready.set()


class Streams:
    """All streams of one port."""

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._open: set[Stream] = set()

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Events of a queue, or of all."""
        fields: dict[str, object] = {"queue": request.query.get("queue", "*")}
        kinds = request.query.get("kinds")
        if kinds is not None:
            fields["kinds"] = [kind.strip() for kind in kinds.split(",") if kind.strip()]
        last = request.headers.get("Last-Event-ID")
        if last is not None:
            fields["epoch"], fields["since"] = _position(last)
        return await self._serve(request, "SubscribeEvents", fields)

    async def channel(self, request: web.Request) -> web.StreamResponse:
        """Messages of a channel, or of all (`*`)."""
        return await self._serve(request, "SubscribeChannel", {"channel": request.match_info["channel"]})

    async def close(self, app: web.Application) -> None:
        """End every stream; clients come back by themselves."""
        for stream in self._open:
            stream.finish()

    async def _serve(self, request: web.Request, cmd: str, fields: dict[str, object]) -> web.StreamResponse:
        stream = Stream(session_of(request))
        self._open.add(stream)
        try:
            await stream.ask(cmd, **fields)
            response = web.StreamResponse(headers=HEADERS)
            await response.prepare(request)
            while not stream.ended:
                data = await stream.next(self._settings.heartbeat_s)
                async with asyncio.timeout(self._settings.heartbeat_s):
                    await response.write(data)
            return response
        except TimeoutError:
            log.warning("an event stream is cut: it does not take its events address=%s", stream.address)
            if request.transport is not None:
                request.transport.abort()
            return response
        finally:
            self._open.discard(stream)
            stream.end(clean=True)


def _lines(notification: Notification, epoch: str) -> bytes:
    """A message of the stream. Job events carry where the client can go on, and their type as name."""
    match notification:
        case Event():
            head, fields = f"id: {epoch}:{notification.seq}\nevent: {notification.kind}\n", event_map(notification)
        case Gap():
            head, fields = "event: gap\n", notification_map(notification)["event"]
        case _:
            head, fields = "", notification_map(notification)
            del fields["type"]
    return b"".join((head.encode(), b"data: ", _json(plain(fields)), b"\n\n"))


def _position(last: str) -> tuple[str, int]:
    """(epoch, seq) of a Last-Event-ID; what is none is a position of another time, and answered with a gap."""
    epoch, _, number = last.rpartition(":")
    return (epoch, int(number)) if number.isascii() and number.isdigit() and len(number) < MAX_DIGITS else ("", 0)
