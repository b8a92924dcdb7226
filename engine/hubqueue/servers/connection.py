"""One TCP connection: frames in, replies out. What it has in common with other transports is in `connected`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast

from hubqueue.commands.call import CallContext
from hubqueue.commands.decode import decode_request
from hubqueue.commands.notifications import NotificationEncoder
from hubqueue.errors import Busy, HubqueueError, Invalid, NotAuthenticated
from hubqueue.model.access import Grant
from hubqueue.model.limits import MAX_FRAME_BYTES
from hubqueue.servers.connected import PAUSE_UNSENT_BYTES, UNSENT, Connected
from hubqueue.servers.replies import write_reply
from hubqueue.wire.fields import ABSENT
from hubqueue.wire.frames import FrameReader

MAX_STRANGER_BYTES: Final = 64 * 1024  # a frame of somebody who has not shown a token


class Connection(asyncio.Protocol, Connected):
    """A client of the TCP listener. `opened` says whether there is room for it, `closed` is called once it is gone."""

    _decode = staticmethod(decode_request)
    _write = staticmethod(write_reply)

    def __init__(
        self,
        context: CallContext,
        encoder: NotificationEncoder,
        opened: Callable[[Connection], bool],
        closed: Callable[[Connection], None],
    ) -> None:
        Connected.__init__(self, context, "")
        self._notification_encoder = encoder
        self._opened = opened
        self._closed = closed
        self._reader = FrameReader(MAX_FRAME_BYTES if self.grant is not None else MAX_STRANGER_BYTES)
        self.partial_since: float | None = None

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if isinstance(peer, tuple) and peer else "local"
        self._transport.set_write_buffer_limits(high=PAUSE_UNSENT_BYTES)
        if not self._opened(self):
            self._refuse(Busy("Too many connections"))

    def data_received(self, data: bytes) -> None:
        if self._ending:
            return
        reader = self._reader
        bodies = reader.feed(data)
        if not reader.partial:
            self.partial_since = None
        elif bodies or self.partial_since is None:
            self.partial_since = self._loop.time()
        self._bodies.extend(bodies)
        self._advance()
        if reader.oversized is not None:
            self._balance()

    def eof_received(self) -> bool:
        return False  # close: what the client asked for is done, but it hears nothing any more

    def pause_writing(self) -> None:
        self._hold(UNSENT)

    def resume_writing(self) -> None:
        self._release(UNSENT)

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone(clean=self.stopping)
        self._closed(self)

    # what commands and the server call

    def authenticated(self, grant: Grant) -> None:
        super().authenticated(grant)
        self._reader.limit = MAX_FRAME_BYTES

    def close(self) -> None:
        """End the connection once what was answered has left."""
        self._ending = True
        self._flush()
        if self._transport is not None:
            self._transport.close()

    @property
    def _encoder(self) -> NotificationEncoder:
        return self._notification_encoder

    def _balance(self) -> None:
        bodies, oversized = self._bodies, self._reader.oversized
        if oversized is not None and not bodies and not self._ending:
            self._too_large(oversized)
        elif bodies and self._reading and self._transport is not None:
            self._reading = False
            self.partial_since = None  # we are the ones who make it wait
            self._transport.pause_reading()
        elif not bodies and not self._reading and not self._ending and self._transport is not None:
            self._reading = True
            self._transport.resume_reading()

    def _too_large(self, length: int) -> None:
        limit = self._reader.limit
        if limit < MAX_FRAME_BYTES:
            self._refuse(NotAuthenticated())
        else:
            self._refuse(Invalid(f"Frame too large: {length} bytes exceeds maximum {limit}"))

    def _refuse(self, error: HubqueueError) -> None:
        """Say why, and end the connection."""
        write_reply(self._out, error, ABSENT)
        self.close()
