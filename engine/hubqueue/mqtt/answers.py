"""Results of invoked jobs, published where the sender asked for them.

Each is a job in `_responses`, leased here until the job it belongs to has ended, then published with QoS 1 and
completed: a crash of the hub or a link that is down delays an answer and does not lose it. A job whose row is not
kept (remove-on-complete) is answered without its result. What cannot be answered within a day is given up.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import msgspec

from hubqueue.client.backoff import Backoff
from hubqueue.errors import HubqueueError, LinkDown
from hubqueue.hub.hub import Hub
from hubqueue.model import payload as carried
from hubqueue.model.job import Job, Leased
from hubqueue.model.limits import MAX_LEASE_MS, MAX_WAIT_MS
from hubqueue.model.outcome import Complete, Settlement
from hubqueue.model.state import LABELS, State
from hubqueue.mqtt.invoke import RESPONSES, Answer
from hubqueue.mqtt.stats import Stats
from hubqueue.mqtt.tasks import watched

log = logging.getLogger(__name__)

OWNER: Final = "mqtt-answers"
MAX_WAITING: Final = 5000  # jobs whose end is awaited at once, about 1 kB each; the rest wait in the queue
FETCH: Final = 100

Publish = Callable[[str, bytes, bytes | None], Awaitable[None]]

_decode: Final = msgspec.msgpack.Decoder(Answer).decode


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """The payload of an answer. state: completed, failed, or removed."""

    id: str
    queue: str
    state: str
    result: object = None
    error: str | None = None


class Answers:
    """`start` until `close`. publish raises LinkDown while the link is down."""

    def __init__(self, hub: Hub, publish: Publish, stats: Stats) -> None:
        self._hub = hub
        self._publish = publish
        self._stats = stats
        self._waiting: dict[str, Callable[[], None]] = {}
        self._ended: deque[tuple[Leased, Answer, bytes]] = deque()
        self._wake_send = asyncio.Event()
        self._room = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [watched(self._fetch(), "mqtt-answers-fetch"), watched(self._send(), "mqtt-answers-send")]

    async def close(self) -> None:
        """Stop; what is not answered stays in the queue."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for stop in self._waiting.values():
            stop()
        self._waiting.clear()

    async def _fetch(self) -> None:
        backoff = Backoff(0.2, 10.0)
        await self._hub.reclaim(RESPONSES, OWNER)
        while not self._hub.draining:
            if len(self._waiting) + len(self._ended) >= MAX_WAITING:
                self._room.clear()
                await self._room.wait()
            try:
                leased = await self._hub.lease(
                    RESPONSES, FETCH, owner=OWNER, lease_ms=MAX_LEASE_MS, wait_ms=MAX_WAIT_MS
                )
            except HubqueueError:  # logged by the store
                await asyncio.sleep(backoff.next_s())
                continue
            for each in leased:
                answer = _decode(each.job.data or b"")
                self._waiting[each.job.id] = self._hub.when_ended(answer.job, partial(self._on_end, each, answer))

    def _on_end(self, leased: Leased, answer: Answer, ended: Job | HubqueueError) -> None:
        self._waiting.pop(leased.job.id, None)
        self._ended.append((leased, answer, _payload(answer, ended)))
        self._wake_send.set()

    async def _send(self) -> None:
        while True:
            if not self._ended:
                self._wake_send.clear()
                await self._wake_send.wait()
            leased, answer, payload = self._ended.popleft()
            self._room.set()
            await self._until_sent(answer, payload)
            try:
                await self._hub.settle([Settlement(leased.job.id, leased.token, Complete(remove=True))])
                self._stats.answered += 1
            except HubqueueError as error:  # it is answered once more after the lease
                log.warning("an answer was sent but not noted job=%s code=%s", answer.job, error.code)

    async def _until_sent(self, answer: Answer, payload: bytes) -> None:
        backoff = Backoff(0.2, 10.0)
        while True:
            try:
                await self._publish(answer.topic, payload, answer.correlation)
                return
            except LinkDown:  # logged by the link
                await asyncio.sleep(backoff.next_s())


def _payload(answer: Answer, ended: Job | HubqueueError) -> bytes:
    if isinstance(ended, HubqueueError):
        return _json(Result(answer.job, answer.queue, "removed", error=str(ended)))
    error = ended.history.error if ended.state is State.FAILED else None
    try:
        return _json(Result(ended.id, ended.queue, LABELS[ended.state], carried.decode(ended.result), error))
    except (HubqueueError, msgspec.MsgspecError, TypeError, ValueError, RecursionError) as problem:
        text = f"the result cannot be shown as JSON: {problem}"
        return _json(Result(ended.id, ended.queue, LABELS[ended.state], error=text))


def _json(result: Result) -> bytes:
    """JSON; bytes as base64, MessagePack extensions as text."""
    return msgspec.json.encode(result, enc_hook=_plain)


def _plain(value: Any) -> str:
    return str(value)
