"""One TCP connection to a hub, from the handshake until it is lost: pipelined requests matched by reqId.

A session never comes back: whoever wants that uses `client.connection`. Whatever ends it (a reset, silence,
nonsense from the other side) fails every request in flight with AnswerLost and sets `lost`.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping
from itertools import count
from typing import Final, Self, cast

import msgspec

from hubqueue.client.address import LinkSettings
from hubqueue.client.failures import error_of
from hubqueue.client.sendbuffer import unsent_bytes
from hubqueue.client.tls import client_context
from hubqueue.errors import (
    AnswerLost,
    ApiMismatch,
    HubqueueError,
    LinkDown,
    NotAuthenticated,
    PayloadTooLarge,
    ProtocolError,
    TimedOut,
)
from hubqueue.model.apinumber import API
from hubqueue.model.limits import MAX_FRAME_BYTES
from hubqueue.wire.frames import FrameReader, frame

PROTOCOL_VERSION: Final = 3
SERVER: Final = "hubqueue"
_HELLO: Final = {"protocolVersion": PROTOCOL_VERSION, "capabilities": ["pipelining"], "api": API}
LATE_S: Final = 1.0  # a timer that fires this late says that this process stood still, not that the other side did
SHORTEST_S: Final = 0.02  # between two looks at the silence
CLOSE_S: Final = 2.0  # for the last bytes to leave; then the socket is dropped
HTTP: Final = int.from_bytes(b"HTTP")  # what the start of an answer of HTTP reads as the length of a frame

log = logging.getLogger(__name__)
_encode = msgspec.msgpack.Encoder().encode


class Peer(msgspec.Struct, frozen=True, rename="camel"):
    """Who is on the other side, as its Hello says."""

    server: str = ""
    version: str = ""
    protocol_version: float = 0
    api: int = 0
    capabilities: tuple[str, ...] = ()
    hub_id: str | None = None


def check_api(peer: Peer, url: str) -> None:
    """A hub of ours speaks the API of this side; what others speak is their protocol alone. Errors: ApiMismatch."""
    if peer.server == SERVER and peer.api != API:
        older = f"the hub at {url}" if peer.api < API else "hubqueue on this side"
        raise ApiMismatch(
            f"{url} is a hub of version {peer.version} with API {peer.api}, this side has API {API}",
            hint=f"update {older}; what is asked until then is not done, what waits to be sent goes on by itself then",
        )


class Envelope(msgspec.Struct, rename="camel"):
    """What every message from the other side has around its fields."""

    ok: bool = False
    req_id: msgspec.Raw = msgspec.Raw()
    error: str | None = None
    code: str | None = None
    hint: str | None = None
    event: msgspec.Raw = msgspec.Raw()
    type: str | None = None


_decode_envelope = msgspec.msgpack.Decoder(Envelope).decode
_decode_peer = msgspec.msgpack.Decoder(Peer).decode


class Session(asyncio.Protocol):
    """A connected, greeted and authenticated link. Made by `Session.open`.

    receive: gets events (the map in them) and channel messages (as they came).
    """

    def __init__(self, settings: LinkSettings, receive: Callable[[msgspec.Raw], None] | None = None) -> None:
        self.peer = Peer()
        self._settings = settings
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[LinkDown] = self._loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._reader = FrameReader()
        self._numbers = count(1)
        self._pending: dict[bytes, asyncio.Future[bytes]] = {}
        self._outgoing: list[bytes] = []
        self._writable = asyncio.Event()
        self._writable.set()
        self._heard_at = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._pinged = False
        self._due = self._heard_at
        self._unsent = 0
        self._reason: str | None = None
        self._cause: Exception | None = None
        self._answered = False

    @classmethod
    async def open(cls, settings: LinkSettings, receive: Callable[[msgspec.Raw], None] | None = None) -> Self:
        """Connect, authenticate and greet.

        Errors: LinkDown when there is no link, NotAuthenticated when the token is refused.
        """
        session = cls(settings, receive)
        context = None if settings.tls is None else client_context(settings.tls)
        try:
            async with asyncio.timeout(settings.connect_timeout_s):
                await session._connect(context)
                await session._greet()
        except TimeoutError as error:
            session.abort("no answer to the handshake")
            raise LinkDown(f"{settings.url} does not answer") from error
        except ssl.SSLCertVerificationError as error:
            raise LinkDown(
                f"the certificate of {settings.url} is not trusted: {error.verify_message}", hint=_TRUST
            ) from error
        except ssl.SSLError as error:
            raise LinkDown(f"there is no TLS with {settings.url}: {_said(error)}", hint=_TLS) from error
        except OSError as error:
            raise LinkDown(f"{settings.url} cannot be reached: {error.strerror or error}") from error
        except AnswerLost:
            why = session._turned_away()
            if why is None and not session._answered:
                raise LinkDown(f"{settings.url} hung up without a word", hint=_SILENT) from None
            if why is None:
                raise
            raise LinkDown(f"{settings.url} ended the connection: {_said(why)}", hint=_ENDED) from why
        except BaseException:
            session.abort("the handshake failed")
            raise
        return session

    async def _connect(self, context: ssl.SSLContext | None) -> None:
        host, port, tls = self._settings.host, self._settings.port, self._settings.tls
        name = None if tls is None else tls.server_name or host
        await self._loop.create_connection(lambda: self, host, port, ssl=context, server_hostname=name)

    def _turned_away(self) -> Exception | None:
        """Why the other side ended the connection before it greeted; None: nobody can tell.

        A client certificate is judged after the handshake, and asyncio's servers hang up then without a word.
        """
        if isinstance(self._cause, ssl.SSLError | HubqueueError | msgspec.MsgspecError):
            return self._cause
        if self._settings.tls is not None and not self._answered:
            return ssl.SSLError("it hung up at once, as it does without a certificate that it accepts")
        return None

    async def _greet(self) -> None:
        if self._settings.token is not None:
            await self.request("Auth", {"token": self._settings.token})
        try:
            reply = await self.request("Hello", _HELLO)
            self.peer = _decode_peer(reply)
        except NotAuthenticated as error:
            raise NotAuthenticated(f"{self._settings.url} asks for a token") from error
        except msgspec.MsgspecError as error:
            raise LinkDown(f"{self._settings.url} does not speak this protocol: {error}") from error

    async def request(self, cmd: str, fields: Mapping[str, object], timeout_s: float | None = None) -> bytes:
        """Send one command and return its reply, an undecoded map. fields may name a reqId of their own.

        Units: timeout_s seconds; None: the settings' own.
        Errors: what the reply says; AnswerLost and TimedOut leave open whether it was done.
        """
        number = str(fields.get("reqId") or next(self._numbers))
        payload = _encode({"cmd": cmd, **fields, "reqId": number})
        if len(payload) > MAX_FRAME_BYTES:
            raise PayloadTooLarge(f"{cmd} of {len(payload)} bytes does not fit into one frame", hint=_SPLIT)
        if not self._writable.is_set():
            await self._writable.wait()
        if self.lost.done() or self._transport is None:
            raise LinkDown(f"the link to {self._settings.url} is down: {self._reason}")
        key = _encode(number)
        reply: asyncio.Future[bytes] = self._loop.create_future()
        self._pending[key] = reply
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(frame(payload))
        limit_s = self._settings.request_timeout_s if timeout_s is None else timeout_s
        try:
            async with asyncio.timeout(limit_s):
                return await reply
        except TimeoutError:
            raise TimedOut(f"no answer to {cmd} from {self._settings.url} within {limit_s:g} s") from None
        finally:
            self._pending.pop(key, None)

    async def close(self) -> None:
        """End the session cleanly: what was written leaves, the other side sees a proper end."""
        if self._transport is not None and not self.lost.done():
            self._reason = self._reason or "closed"
            self._flush()
            self._transport.close()
            await asyncio.wait([self.lost], timeout=CLOSE_S)
        self.abort("closed")

    def abort(self, reason: str) -> None:
        """End the session now."""
        self._reason = self._reason or reason
        if self._transport is not None and not self.lost.done():
            self._transport.abort()
        self._end()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._heard_at = self._due = self._loop.time()
        self._listen_for_silence()

    def data_received(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        self._pinged = False
        self._answered = True
        try:
            for payload in self._reader.feed(data):
                self._take(payload)
            if self._reader.oversized == HTTP:
                raise ProtocolError(
                    "it speaks HTTP; it is the TCP port of a hub that is meant, 6789 unless set otherwise"
                )
            if self._reader.oversized is not None:
                raise ProtocolError(f"a frame of {self._reader.oversized} bytes")
        except (HubqueueError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.warning("link ended, the other side sent nonsense url=%s error=%s", self._settings.url, error)
            self._cause = error
            self.abort(f"the other side sent nonsense: {error}")

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._reason = self._reason or (_said(exc) if exc else "closed by the other side")
        self._cause = self._cause or exc
        self._end()

    def _take(self, payload: bytes) -> None:
        envelope = _decode_envelope(payload)
        key = bytes(envelope.req_id)
        if not key:
            if self._receive is not None and bytes(envelope.event):
                self._receive(envelope.event)
            elif self._receive is not None and envelope.type == "message":
                self._receive(msgspec.Raw(payload))
            elif envelope.error is not None:
                raise ProtocolError(envelope.error)
            return
        reply = self._pending.get(key)
        if reply is None or reply.done():  # it came after its timeout
            return
        if envelope.ok:
            reply.set_result(payload)
        else:
            reply.set_exception(error_of(envelope.error or "no reason given", envelope.code, envelope.hint))

    def _flush(self) -> None:
        if self._outgoing and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(self._outgoing))
        self._outgoing.clear()

    def _listen_for_silence(self) -> None:
        now = self._loop.time()
        before, self._unsent = self._unsent, 0 if self._transport is None else unsent_bytes(self._transport)
        if self._unsent < before:  # a large request on a slow uplink: the other side is taking it
            self._heard_at = now
        silent_s = now - self._heard_at
        on_time = now - self._due < LATE_S
        if self._pinged and on_time and silent_s >= self._settings.dead_after_s:
            self.abort(f"silent for {silent_s:.1f} s")
            return
        if silent_s >= self._settings.ping_after_s and not self._pinged:
            self._pinged = True
            self._outgoing.append(frame(_encode({"cmd": "Ping", "reqId": "ping"})))
            self._flush()
        mark_s = self._settings.dead_after_s if self._pinged else self._settings.ping_after_s
        self._due = max(self._heard_at + mark_s, now + SHORTEST_S)
        self._timer = self._loop.call_at(self._due, self._listen_for_silence)

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self.lost.done():
            return
        reason = f"the link to {self._settings.url} is down: {self._reason}"
        self.lost.set_result(LinkDown(reason))
        self._writable.set()
        for reply in self._pending.values():
            if not reply.done():
                reply.set_exception(AnswerLost(f"{reason}, before the answer came"))


def _said(error: Exception) -> str:
    """Without OpenSSL's own ornaments."""
    reason = getattr(error, "reason", None) if isinstance(error, ssl.SSLError) else None
    return reason.lower().replace("_", " ") if reason else str(error)


_TRUST = "give the certificate of its private CA (ca_file), and use a name that the certificate holds"
_TLS = "is it the encrypted port, and does it know this side's certificate?"
_ENDED = "is it the TCP port of a hub, and does it know the certificate of this side?"
_SILENT = "it may be away behind a proxy, or this is an encrypted port: write tls://"
_SPLIT = "send fewer jobs at a time"
