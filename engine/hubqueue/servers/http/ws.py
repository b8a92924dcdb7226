"""The WebSocket `/api/v1/ws`: the commands and events of the TCP listener, as one JSON object a message.

aiohttp does the handshake, reads, and notices dead peers; what leaves is written straight to the transport, since
one encoded frame is shared by all who are told the same. Binary messages are MessagePack; replies and events come in
the encoding of the client's last message.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from hubqueue.commands.call import CallContext, Reply
from hubqueue.commands.decode import BadRequest, decode_request
from hubqueue.commands.notifications import NotificationEncoder
from hubqueue.commands.table import Request
from hubqueue.errors import Invalid, PayloadTooLarge
from hubqueue.model.access import Grant
from hubqueue.model.limits import MAX_FRAME_BYTES
from hubqueue.servers.connected import PAUSE_UNSENT_BYTES, UNSENT, Connected
from hubqueue.servers.http.frames import binary_notification, binary_reply, text_notification, text_reply
from hubqueue.servers.http.guard import SETTINGS
from hubqueue.servers.http.requestcontext import CONTEXT, WEBSOCKET, session_of
from hubqueue.servers.http.settings import HttpSettings
from hubqueue.servers.http.wsocket import Socket
from hubqueue.wire.jsondata import packed

MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024  # a larger one is refused; beyond a frame of TCP the connection ends
CLOSE_S: Final = 1.0  # how long a client may take to answer a close
LOOK_S: Final = 0.1  # how often it is looked at whether a slow client has taken something
READ_AHEAD_BYTES: Final = 64 * 1024  # of messages that wait for the one before; pings behind them are answered
POLL_S: Final = 0.05  # at shutdown, how often it is looked at whether clients are idle

NOT_AUTHENTICATED: Final = 4401  # close code: no token within auth_s
GOODBYE: Final = (0, WSCloseCode.OK, WSCloseCode.GOING_AWAY, 1005)  # close codes of a client that leaves cleanly

log = logging.getLogger(__name__)


def websocket(app: web.Application) -> None:
    """Mount the WebSocket."""
    clients = Clients(app[CONTEXT], app[SETTINGS])
    app.router.add_get(WEBSOCKET, clients.serve)
    app.on_shutdown.append(clients.close)


class Client(Connected):
    """One WebSocket client."""

    def __init__(
        self,
        context: CallContext,
        address: str,
        grant: Grant | None,
        socket: Socket,
        transport: asyncio.Transport,
        encoders: tuple[NotificationEncoder, NotificationEncoder],
    ) -> None:
        super().__init__(context, address)
        self._socket = socket
        self.grant = None
        if grant is not None:
            self.authenticated(grant)
        self.binary = False
        self._transport = transport
        self._encoders = encoders
        self._room = asyncio.Event()
        self._room.set()

    def authenticated(self, grant: Grant) -> None:
        super().authenticated(grant)
        self._socket.admit()

    async def take(self, body: str | bytes) -> None:
        """Do what a message says; returns when the next one may be read."""
        self.binary = isinstance(body, bytes)
        self._bodies.append(body)
        self._advance()
        await self._room.wait()

    def _decode(self, body: str | bytes) -> Request:
        if len(body) > MAX_MESSAGE_BYTES:
            hint = "send fewer jobs at a time, or large data by HTTP"
            raise BadRequest(PayloadTooLarge("Message too large (max 16MB)", hint=hint))
        if isinstance(body, str):
            try:
                body = packed(body.encode())
            except Invalid as error:
                raise BadRequest(error) from None
        return decode_request(body)

    def _write(self, out: bytearray, reply: Reply, req_id: msgspec.Raw) -> None:
        out += (binary_reply if self.binary else text_reply)(reply, req_id)

    @property
    def _encoder(self) -> NotificationEncoder:
        return self._encoders[self.binary]

    def _balance(self) -> None:
        self._reading = sum(map(len, self._bodies)) < READ_AHEAD_BYTES
        if self._reading:
            self._room.set()
        else:
            self._room.clear()

    def _flush(self) -> None:
        super()._flush()
        if self._unsent > PAUSE_UNSENT_BYTES and UNSENT not in self._holds:
            self._hold(UNSENT)
            self._loop.call_later(LOOK_S, self._look)

    def _look(self) -> None:
        """aiohttp has the callbacks that would tell when the client takes its replies again."""
        if self._unsent > PAUSE_UNSENT_BYTES // 2:
            self._loop.call_later(LOOK_S, self._look)
        else:
            self._release(UNSENT)

    @property
    def _unsent(self) -> int:
        return 0 if self._transport is None else self._transport.get_write_buffer_size()


class Clients:
    """All WebSocket clients of one port."""

    def __init__(self, context: CallContext, settings: HttpSettings) -> None:
        self._context = context
        self._settings = settings
        self._encoders = (NotificationEncoder(text_notification), NotificationEncoder(binary_notification))
        self._open: dict[Client, Socket] = {}

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One connection, from its handshake to its end."""
        socket = Socket(
            heartbeat=self._settings.heartbeat_s, max_msg_size=MAX_FRAME_BYTES, compress=False, timeout=CLOSE_S
        )
        await socket.prepare(request)
        transport = request.transport
        if transport is None:
            return socket
        shown = session_of(request)
        client = Client(self._context, shown.address, shown.grant, socket, transport, self._encoders)
        self._open[client] = socket
        clean = False
        try:
            async with asyncio.timeout(None) as limit:
                clean = await self._read(client, socket, limit)
            if socket.refused:
                await socket.close(code=NOT_AUTHENTICATED, message=b"Too long a message without a token")
        except TimeoutError:
            await socket.close(code=NOT_AUTHENTICATED, message=b"No token was shown in time")
        finally:
            del self._open[client]
            socket.let_go()
            client.gone(clean=clean or client.stopping)
        return socket

    async def _read(self, client: Client, socket: web.WebSocketResponse, limit: asyncio.Timeout) -> bool:
        """Take messages until the end; whether the client said goodbye. limit: for showing a token."""
        while True:
            if client.grant is None and limit.when() is None:
                limit.reschedule(asyncio.get_running_loop().time() + self._settings.auth_s)
            elif client.grant is not None and limit.when() is not None:
                limit.reschedule(None)
            message = await socket.receive()
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                await client.take(message.data)
            else:
                return message.type is WSMsgType.CLOSE and message.data in GOODBYE

    async def close(self, app: web.Application) -> None:
        """Let running work end within drain_s, then close every connection; its jobs are given back."""
        try:
            async with asyncio.timeout(self._settings.drain_s):
                while not all(client.idle for client in self._open):  # noqa: ASYNC110
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            log.warning("WebSockets are closed with work under way connections=%d", len(self._open))
        for client in self._open:
            client.stopping = True
        await asyncio.gather(
            *(
                socket.close(code=WSCloseCode.GOING_AWAY, message=b"the hub stops")
                for socket in tuple(self._open.values())
            )
        )
