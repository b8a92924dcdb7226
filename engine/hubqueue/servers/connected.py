"""A client that stays connected, whatever carries it: commands in order, replies collected, bounds on both ways.

Commands are executed in the order they came. Only parked long-polls run beside; their replies may be overtaken.
Nothing is read while the client's requests, or what it has not taken off us, outgrow their bounds. A transport's
class below says how bytes become commands and replies bytes, and how reading is paused.
"""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgspec

from hubqueue.commands.broadcast import EventBatch
from hubqueue.commands.call import CALL_BYTES, LAST_WORDS_S, Call, CallContext, Reply, Session, Work
from hubqueue.commands.decode import BadRequest
from hubqueue.commands.dispatch import dispatch, finish
from hubqueue.commands.notifications import Gap, Notification, NotificationEncoder
from hubqueue.commands.table import Request
from hubqueue.errors import Busy, NotAuthenticated
from hubqueue.hub.summaries import Summaries

MAX_OPEN_BYTES: Final = 4 * 1024 * 1024  # of requests without a reply; then reading pauses
MAX_PARKED: Final = 1000  # long-polls waiting at a time
MAX_UNSENT_BYTES: Final = 64 * 1024 * 1024  # replies and events the client does not take; then it is cut
MAX_UNSENT_EVENT_BYTES: Final = 4 * 1024 * 1024  # events and replies it has not taken; further events are left out
MAX_UNSENT_SUMMARY_BYTES: Final = 64 * 1024  # the same for summaries: what they would say is told later
LINGER_S: Final = 0.005  # notifications wait so long for more, unless a reply leaves: one write for a burst
PAUSE_UNSENT_BYTES: Final = 1024 * 1024  # from here on no more of its requests are read

# what holds a client's next command back
WORKING: Final = "working"  # a command in several transactions
LOADED: Final = "loaded"  # too much of it is not committed yet
CONGESTED: Final = "congested"  # too much of all connections is not committed yet
UNSENT: Final = "unsent"  # it does not take its replies

log = logging.getLogger(__name__)


class Connected(Session):
    """From the moment there is a transport until it is gone."""

    # how bytes become a command (errors: BadRequest), and how a reply is appended to what leaves
    _decode: Callable[[Any], Request]
    _write: Callable[[bytearray, Reply, msgspec.Raw], None]

    def __init__(self, context: CallContext, address: str) -> None:
        super().__init__(context, address)
        self._loop = asyncio.get_running_loop()
        self._backlog = context.hub.backlog
        self._transport: asyncio.Transport | None = None
        self._bodies: deque[Any] = deque()
        self._holds: set[str] = set()
        self._reading = True
        self._open_bytes = 0
        self._parked: dict[Call, Callable[[], None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._out = bytearray()
        self._flushing = False
        self._lingering = False
        self._missed = 0  # notifications that were left out, since it does not take what it has
        self._ending = False  # no more commands; the last replies still leave
        self.stopping = False
        self.since = self._loop.time()

    # what a transport must give

    @property
    @abstractmethod
    def _encoder(self) -> NotificationEncoder:
        """Frames of notifications."""

    @abstractmethod
    def _balance(self) -> None:
        """Commands are held back, or were: pause reading, or read on."""

    # what commands call

    def answer(self, call: Call, reply: Reply) -> None:
        if self._parked.pop(call, None) is None:
            self._open_bytes -= call.size
            if LOADED in self._holds and self._open_bytes < MAX_OPEN_BYTES // 2:
                self._release(LOADED)
        if self._transport is not None:
            if self.broadcast is not None:
                self.broadcast.flush()
            self._write(self._out, reply, call.req_id)
            self._flush_soon()

    def notify(self, notification: Notification) -> bool:
        if self._transport is None:
            return False
        unsent = len(self._out) + self._transport.get_write_buffer_size()
        if isinstance(notification, Summaries):
            if unsent > MAX_UNSENT_SUMMARY_BYTES:
                return False
        elif unsent > MAX_UNSENT_EVENT_BYTES:
            self._missed += 1
            return False
        elif self._missed:
            queue = getattr(notification, "queue", "")
            self._out += self._encoder.once(Gap(queue, notification.at_ms, self._missed))
            self._missed = 0
        self._out += self._encoder.frame(notification)
        if not self._lingering and not self._flushing:
            self._lingering = True
            self._loop.call_later(LINGER_S, self._flush_notifications)
        return True

    def notify_batch(self, batch: EventBatch) -> None:
        if self._transport is None:
            return
        if len(self._out) + self._transport.get_write_buffer_size() > MAX_UNSENT_EVENT_BYTES:
            self._missed += len(batch.events)
            return
        if self._missed:
            first = batch.events[0]
            self._out += self._encoder.once(Gap(first.queue, first.at_ms, self._missed))
            self._missed = 0
        self._out += batch.frames(self._encoder)
        self._flush_soon()

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

    def revoked(self) -> None:
        super().revoked()
        for cancel in tuple(self._parked.values()):
            cancel()
        self._parked.clear()
        self._loop.call_later(LAST_WORDS_S, self.cut, "its token was revoked")

    # what its server calls

    @property
    def idle(self) -> bool:
        """Whether nothing of this client is under way: no request, no leased job."""
        return not (self._bodies or self._tasks or self._open_bytes or self.lease_owner.leases)

    def cut(self, reason: str) -> None:
        """End the connection now, whatever is under way."""
        if self._transport is not None:
            log.warning("connection cut: %s address=%s", reason, self.address)
            self._transport.abort()

    def gone(self, *, clean: bool) -> None:
        """The connection has ended. Safe to call twice."""
        if self._transport is None:
            return
        self._transport = None
        self._ending = True
        self._bodies.clear()
        self._out.clear()
        for cancel in tuple(self._parked.values()):
            cancel()
        self._parked.clear()
        self.end(clean=clean)

    # commands

    def _advance(self) -> None:
        bodies, holds = self._bodies, self._holds
        while bodies and not holds and not self._ending and len(self._out) < PAUSE_UNSENT_BYTES:
            self._command(bodies.popleft())
            if self._open_bytes >= MAX_OPEN_BYTES:
                self._hold(LOADED)
            if self._backlog.full:
                self._hold(CONGESTED)
                self._backlog.relieved(lambda: self._release(CONGESTED))
        if bodies or not self._reading:
            self._balance()

    def _command(self, body: Any) -> None:
        size = len(body) + CALL_BYTES
        try:
            command = self._decode(body)
        except BadRequest as bad:
            self._open_bytes += size
            self.answer(Call(self, bad.req_id, size), bad.error if self.grant is not None else NotAuthenticated())
            return
        size += command.row.weight
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

    def _flush_notifications(self) -> None:
        self._lingering = False
        if not self._flushing:
            self._flush()

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
