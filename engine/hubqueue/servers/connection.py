"""One TCP connection: frames in, commands in order, replies collected and written once per turn of the loop.

Commands are executed in the order they came. Only parked long-polls run beside; their replies may be overtaken.
Nothing is read while the client's requests, or what it has not taken off us, outgrow their bounds.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final, cast

import msgspec

from hubqueue.errors import Busy, HubqueueError, Invalid, NotAuthenticated
from hubqueue.model.access import Grant
from hubqueue.model.limits import MAX_FRAME_BYTES
from hubqueue.model.verbs import Event
from hubqueue.servers.commands import WEIGHTS, dispatch, finish
from hubqueue.servers.door import CALL_BYTES, Call, Door, Reply, Session, Work
from hubqueue.servers.replies import EventWriter, gap_frame, write_reply
from hubqueue.wire.fields import ABSENT
from hubqueue.wire.frames import FrameReader
from hubqueue.wire.requests import BadRequest, decode_request

MAX_OPEN_BYTES: Final = 4 * 1024 * 1024  # of requests without a reply; then reading pauses
MAX_PARKED: Final = 1000  # long-polls waiting at a time
MAX_UNSENT_BYTES: Final = 64 * 1024 * 1024  # replies and events the client does not take; then it is cut
MAX_UNTOLD_BYTES: Final = 4 * 1024 * 1024  # events and replies it has not taken; further events are left out
PAUSE_UNSENT_BYTES: Final = 1024 * 1024  # from here on no more of its requests are read
MAX_STRANGER_BYTES: Final = 64 * 1024  # a frame of somebody who has not shown a token

# what holds a connection's next command back
WORKING: Final = "working"  # a command in several transactions
LOADED: Final = "loaded"  # too much of it is not committed yet
CONGESTED: Final = "congested"  # too much of all connections is not committed yet
UNSENT: Final = "unsent"  # it does not take its replies

log = logging.getLogger(__name__)


class Connection(asyncio.Protocol, Session):
    """A client of the TCP door. `opened` says whether there is room for it, `closed` is called once it is gone."""

    def __init__(
        self,
        door: Door,
        events: EventWriter,
        opened: Callable[[Connection], bool],
        closed: Callable[[Connection], None],
    ) -> None:
        Session.__init__(self, door, "")
        self._loop = asyncio.get_running_loop()
        self._events = events
        self._opened = opened
        self._closed = closed
        self._transport: asyncio.Transport | None = None
        self._reader = FrameReader(MAX_FRAME_BYTES if self.grant is not None else MAX_STRANGER_BYTES)
        self._bodies: deque[bytes] = deque()
        self._holds: set[str] = set()
        self._open_bytes = 0
        self._parked: dict[Call, Callable[[], None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._out = bytearray()
        self._flushing = False
        self._missed = 0  # events that were not told, since it does not take what it has
        self._reading = True
        self._ending = False  # no more commands; the last replies still leave
        self.stopping = False
        self.since = self._loop.time()
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

    def eof_received(self) -> bool:
        return False  # close: what the client asked for is done, but it hears nothing any more

    def pause_writing(self) -> None:
        self._hold(UNSENT)

    def resume_writing(self) -> None:
        self._release(UNSENT)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._ending = True
        self._bodies.clear()
        self._out.clear()
        for cancel in tuple(self._parked.values()):
            cancel()
        self._parked.clear()
        self.end(stopping=self.stopping)
        self._closed(self)

    # what commands call

    def answer(self, call: Call, reply: Reply) -> None:
        if self._parked.pop(call, None) is None:
            self._open_bytes -= call.size
            if LOADED in self._holds and self._open_bytes < MAX_OPEN_BYTES // 2:
                self._release(LOADED)
        if self._transport is not None:
            write_reply(self._out, reply, call.req_id)
            self._flush_soon()

    def tell(self, event: Event) -> None:
        if self._transport is None:
            return
        if len(self._out) + self._transport.get_write_buffer_size() > MAX_UNTOLD_BYTES:
            self._missed += 1
            return
        self._tell_gap(event)
        self._out += self._events.frame(event)
        self._flush_soon()

    def _tell_gap(self, event: Event) -> None:
        """Before the first event after a gap: how many are missing."""
        if self._missed:
            self._out += gap_frame(event, self._missed)
            self._missed = 0

    def check_room(self) -> None:
        if len(self._parked) >= MAX_PARKED:
            raise Busy("Too many requests are waiting on this connection")

    def park(self, call: Call, cancel: Callable[[], None]) -> None:
        self._open_bytes -= call.size
        self._parked[call] = cancel

    def unpark(self, req_id: msgspec.Raw) -> bool:
        wanted = bytes(req_id)
        for call, cancel in self._parked.items():
            if bytes(call.req_id) == wanted:
                del self._parked[call]
                cancel()
                return True
        return False

    def welcome(self, grant: Grant) -> None:
        super().welcome(grant)
        self._reader.limit = MAX_FRAME_BYTES

    # what the server calls

    @property
    def idle(self) -> bool:
        """Whether nothing of this client is under way: no request, no leased job."""
        return not (self._bodies or self._tasks or self._open_bytes or self.holder.leases)

    def cut(self, reason: str) -> None:
        """End the connection now, whatever is under way."""
        if self._transport is not None:
            log.warning("TCP connection cut: %s address=%s", reason, self.address)
            self._transport.abort()

    def close(self) -> None:
        """End the connection once what was answered has left."""
        self._ending = True
        self._flush()
        if self._transport is not None:
            self._transport.close()

    # commands

    def _advance(self) -> None:
        bodies, holds = self._bodies, self._holds
        while bodies and not holds and not self._ending and len(self._out) < PAUSE_UNSENT_BYTES:
            self._command(bodies.popleft())
            if self._open_bytes >= MAX_OPEN_BYTES:
                self._hold(LOADED)
            if self.door.hub.congested:
                self._hold(CONGESTED)
                self.door.hub.relieved(lambda: self._release(CONGESTED))
        oversized = self._reader.oversized
        if oversized is not None and not bodies and not self._ending:
            self._too_large(oversized)
        elif bodies and self._reading and self._transport is not None:
            self._reading = False
            self.partial_since = None  # we are the ones who make it wait
            self._transport.pause_reading()
        elif not bodies and not self._reading and not self._ending and self._transport is not None:
            self._reading = True
            self._transport.resume_reading()

    def _command(self, body: bytes) -> None:
        size = len(body) + CALL_BYTES
        try:
            command = decode_request(body)
        except BadRequest as bad:
            self._open_bytes += size
            self.answer(Call(self, bad.req_id, size), bad.error if self.grant is not None else NotAuthenticated())
            return
        size += WEIGHTS.get(type(command), 0)
        call = Call(self, command.req_id, size)
        self._open_bytes += size
        work = dispatch(call, command)
        if work is not None:
            self._hold(WORKING)
            task = self._loop.create_task(self._work(call, work))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _work(self, call: Call, work: Work) -> None:
        await finish(call, work)
        self._release(WORKING)

    def _hold(self, reason: str) -> None:
        self._holds.add(reason)

    def _release(self, reason: str) -> None:
        self._holds.discard(reason)
        if self._transport is not None:
            self._advance()

    # bytes out

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._transport is None or not self._out:
            return
        out, self._out = self._out, bytearray()
        self._transport.write(out)
        if self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self.cut("it does not take its replies")
        elif self._bodies:
            self._advance()

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
