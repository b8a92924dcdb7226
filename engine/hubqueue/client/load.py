"""Load for a server, as raw frames over blocking sockets, encoded before the clock starts.

Called by `hubqueue bench` and script/bench. It measures what the server has answered, hence committed work.
The rule: nothing here may cost more than the server's own work, else the generator is what is measured.
"""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from time import perf_counter
from typing import Any, Protocol

import msgspec

from hubqueue.errors import LinkDown, ProtocolError, TimedOut
from hubqueue.wire.frames import FrameReader, frame

RECEIVE_BYTES = 1 << 18
SILENCE_S = 60.0  # a server that answers nothing for so long is stuck

_encode = msgspec.msgpack.Encoder().encode


class Reply(msgspec.Struct, gc=False):
    """What every reply holds; the rest is skipped undecoded."""

    ok: bool
    id: str | None = msgspec.field(default=None, name="reqId")
    error: str = ""


class Handed(msgspec.Struct, gc=False):
    """Of a job handed out, just its id."""

    id: str


class Hand(msgspec.Struct, gc=False):
    """The reply to PULL or PULLB."""

    ok: bool
    jobs: list[Handed] = []
    tokens: list[str] = []
    job: Handed | None = None
    token: str | None = None
    error: str = ""


_reply = msgspec.msgpack.Decoder(Reply).decode
_hand = msgspec.msgpack.Decoder(Hand).decode


def command(name: str, request: int, /, **fields: Any) -> bytes:
    """One request as a frame."""
    return frame(_encode({"cmd": name, "reqId": str(request), **fields}))


@dataclass(slots=True)
class Load:
    """What one drive measured. Units: seconds; `latencies` one per request, in order of arrival."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        """The latency that this share of the requests did not exceed."""
        ranked = sorted(self.latencies)
        return ranked[min(int(len(ranked) * share), len(ranked) - 1)] if ranked else 0.0


class Flow(Protocol):
    """What one connection sends: `start` gives the first bytes, `answer` what follows a reply. `done`: no more."""

    @property
    def done(self) -> bool: ...
    def start(self, now: float) -> bytes: ...
    def answer(self, body: bytes, now: float, latencies: list[float]) -> bytes: ...


class Requests:
    """Frames whose reqId is their index, with at most `window` of them unanswered. Window 1: one after another."""

    def __init__(self, frames: Sequence[bytes], window: int) -> None:
        self._frames = iter(frames)
        self._window = window
        self._left = len(frames)
        self._sent = 0
        self._sent_at = [0.0] * len(frames)

    @property
    def done(self) -> bool:
        return self._left == 0

    def start(self, now: float) -> bytes:
        return b"".join(islice(self._frames, self._window)) if self._mark(now, self._window) else b""

    def answer(self, body: bytes, now: float, latencies: list[float]) -> bytes:
        reply = _reply(body)
        if not reply.ok or reply.id is None:
            raise ProtocolError(f"the server refused a request of the load: {reply.error}")
        latencies.append(now - self._sent_at[int(reply.id)])
        self._left -= 1
        return next(self._frames) if self._mark(now, 1) else b""

    def _mark(self, now: float, count: int) -> int:
        count = min(count, len(self._sent_at) - self._sent)
        self._sent_at[self._sent : self._sent + count] = [now] * count
        self._sent += count
        return count


class Worker:
    """Leases up to `batch` jobs and completes them, over and over, until `shared` counts no more to do.

    Batch 0 means PULL and ACK one by one. Latency is that of a lease plus its completion.
    """

    def __init__(self, queue: str, batch: int, todo: Todo, *, wait_ms: int = 0, result: Any = None) -> None:
        self._todo = todo
        self._result = result
        self._leased_at = 0.0
        self._count = 0
        fields = {"queue": queue, "timeout": wait_ms, "owner": "load", "lockTtl": 30_000}
        self._lease = command("PULLB", 0, count=batch, **fields) if batch else command("PULL", 0, **fields)
        self._one = batch == 0

    @property
    def done(self) -> bool:
        return self._count == 0 and self._todo.left <= 0

    def start(self, now: float) -> bytes:
        self._leased_at = now
        return self._lease

    def answer(self, body: bytes, now: float, latencies: list[float]) -> bytes:
        if self._count:
            reply = _reply(body)
            if not reply.ok:
                raise ProtocolError(f"the server refused to complete a job of the load: {reply.error}")
            latencies.append(now - self._leased_at)
            self._todo.left -= self._count
            self._count = 0
            return b"" if self.done else self.start(now)
        hand = _hand(body)
        if not hand.ok:
            raise ProtocolError(f"the server refused to lease: {hand.error}")
        if self._one and hand.job is not None:
            self._count = 1
            return command("ACK", 1, id=hand.job.id, token=hand.token, result=self._result)
        self._count = len(hand.jobs)
        if self._count:
            ids = [job.id for job in hand.jobs]
            return command("ACKB", 1, ids=ids, tokens=hand.tokens, results=[self._result] * self._count)
        return b"" if self.done else self.start(now)


@dataclass(slots=True)
class Todo:
    """Jobs still to be completed, by all workers that share it."""

    left: int


@dataclass(frozen=True, slots=True)
class Target:
    """The server to load, and how to get in."""

    port: int
    host: str = "127.0.0.1"
    token: str | None = None


class Line:
    """One connection to the server."""

    def __init__(self, target: Target) -> None:
        self.socket = socket.create_connection((target.host, target.port), timeout=SILENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = FrameReader()
        try:
            if target.token is not None:
                self.call("Auth", token=target.token)
            self.call("Hello", protocolVersion=3, capabilities=[])
        except BaseException:
            self.close()
            raise

    def receive(self) -> list[bytes]:
        """The replies that are there, at least a part of one."""
        chunk = self.socket.recv(RECEIVE_BYTES)
        if not chunk:
            raise LinkDown("the server closed a connection of the load")
        return self._reader.feed(chunk)

    def call(self, name: str, /, **fields: Any) -> dict[str, Any]:
        """One request and its reply, decoded."""
        self.socket.sendall(command(name, 0, **fields))
        while not (bodies := self.receive()):
            pass
        reply: dict[str, Any] = msgspec.msgpack.decode(bodies[0], ext_hook=lambda code, data: None)
        if not reply["ok"]:
            raise ProtocolError(f"{name}: {reply.get('error')}")
        return reply

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def drive(target: Target, flows: Iterable[Flow]) -> Load:
    """Runs every flow on a connection of its own until all are done."""
    load = Load()
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        lines = [(stack.enter_context(Line(target)), flow) for flow in flows]
        for line, flow in lines:
            selector.register(line.socket, selectors.EVENT_READ, (line, flow))
        began = perf_counter()
        for line, flow in lines:
            line.socket.sendall(flow.start(perf_counter()))
        _serve(selector, [flow for _, flow in lines], load.latencies)
        load.seconds = perf_counter() - began
    return load


def _serve(selector: selectors.BaseSelector, flows: Sequence[Flow], latencies: list[float]) -> None:
    """Answers replies with what comes next, one write per read, until every flow is done."""
    while not all(flow.done for flow in flows):
        ready = selector.select(SILENCE_S)
        if not ready:
            raise TimedOut(f"the server was silent for {SILENCE_S:.0f} s under load")
        for key, _ in ready:
            line, flow = key.data
            bodies = line.receive()
            now = perf_counter()
            following = b"".join([flow.answer(body, now, latencies) for body in bodies])
            if following:
                line.socket.sendall(following)
