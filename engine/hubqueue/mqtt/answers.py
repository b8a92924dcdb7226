"""Results of invoked jobs, published where the sender asked for them.

Each is a job in `_responses`, leased here until the job it belongs to has ended, then published with QoS 1 and
completed: a crash of the hub or a link that is down delays an answer and does not lose it. A job whose row is not
kept (remove-on-complete) is answered without its result. What cannot be answered within a day is given up; so is an
answer over which the connection breaks again and again, since messages come in by the same one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import msgspec

from hubqueue.errors import HubqueueError, LinkDown, PayloadTooLarge
from hubqueue.hub.hub import Hub
from hubqueue.ingest.tasks import watched
from hubqueue.model import payload as carried
from hubqueue.model.backoff import ExponentialBackoff
from hubqueue.model.job import Job, Leased
from hubqueue.model.limits import MAX_LEASE_MS, MAX_WAIT_MS
from hubqueue.model.outcome import Complete, Outcome, Reject, Settlement
from hubqueue.model.state import LABELS, State
from hubqueue.mqtt.invoke import RESPONSES, Answer
from hubqueue.mqtt.link import NotConnected, NotTaken
from hubqueue.mqtt.stats import Stats

log = logging.getLogger(__name__)

OWNER: Final = "mqtt-answers"
MAX_WAITING: Final = 5000  # jobs whose end is awaited at once, about 1 kB each; the rest wait in the queue
FETCH: Final = 100
MAX_BREAKS: Final = 5  # of the connection while one answer was under way, others in between

Publish = Callable[[str, bytes, bytes | None], Awaitable[None]]

_decode: Final = msgspec.msgpack.Decoder(Answer).decode


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """The payload of an answer. state: completed, failed, or removed."""

    id: str
    queue: str
    state: str
    result: object = None
    error: str | None = None


class _Ended(msgspec.Struct):
    """An answer to be sent. breaks: of the connection while it was under way."""

    leased: Leased
    answer: Answer
    state: str
    payload: bytes
    breaks: int = 0
    cut: bool = False  # the payload only says that there is more than the broker takes


class Answers:
    """`start` until `close`. publish raises NotConnected, LinkDown when it broke meanwhile, NotTaken,
    PayloadTooLarge."""

    def __init__(self, hub: Hub, publish: Publish, stats: Stats) -> None:
        self._hub = hub
        self._publish = publish
        self._stats = stats
        self._waiting: dict[str, Callable[[], None]] = {}
        self._ended: deque[_Ended] = deque()
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
        backoff = ExponentialBackoff(0.2, 10.0)
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
        self._ended.append(_Ended(leased, answer, _state(ended), _payload(answer, ended)))
        self._wake_send.set()

    async def _send(self) -> None:
        backoff = ExponentialBackoff(0.2, 10.0)
        while True:
            if not self._ended:
                self._wake_send.clear()
                await self._wake_send.wait()
            due = self._ended.popleft()
            self._room.set()
            try:
                await self._publish(due.answer.topic, due.payload, due.answer.correlation)
            except NotConnected:  # logged by the link
                self._ended.appendleft(due)
                await asyncio.sleep(backoff.next_s())
            except LinkDown as error:
                await self._broken_off(due, error)
                await asyncio.sleep(backoff.next_s())
            except PayloadTooLarge as error:
                await self._too_large(due, error)
            except NotTaken as error:
                await self._give_up(due, error.message)
            else:
                backoff.reset()
                self._stats.answered += await self._settle(due, Complete(remove=True))

    async def _broken_off(self, due: _Ended, error: HubqueueError) -> None:
        """The connection broke with this answer under way: others go first, and it is not tried for ever."""
        due.breaks += 1
        if due.breaks < MAX_BREAKS:
            self._ended.append(due)
        else:
            await self._give_up(due, f"the connection broke {due.breaks} times over this answer: {error.message}")

    async def _too_large(self, due: _Ended, error: HubqueueError) -> None:
        """Who asked is to know at least that the job has ended."""
        if due.cut:
            await self._give_up(due, f"the answer cannot be sent: {error}")
            return
        text = f"the result is larger than the broker takes: {error.message}"
        due.payload = _json(Result(due.answer.job, due.answer.queue, due.state, error=text))
        due.cut = True
        self._ended.appendleft(due)

    async def _give_up(self, due: _Ended, why: str) -> None:
        log.warning("an answer is given up: %s job=%s topic=%s", why, due.answer.job, due.answer.topic)
        await self._settle(due, Reject(why))

    async def _settle(self, due: _Ended, outcome: Outcome) -> bool:
        """End the answer's own job; whether that is noted."""
        try:
            await self._hub.settle([Settlement(due.leased.job.id, due.leased.token, outcome)])
        except HubqueueError as error:  # it is answered once more after the lease
            log.warning("an answer was sent but not noted job=%s code=%s", due.answer.job, error.code)
            return False
        return True


def _state(ended: Job | HubqueueError) -> str:
    return "removed" if isinstance(ended, HubqueueError) else LABELS[ended.state]


def _payload(answer: Answer, ended: Job | HubqueueError) -> bytes:
    state = _state(ended)
    if isinstance(ended, HubqueueError):
        return _json(Result(answer.job, answer.queue, state, error=str(ended)))
    error = ended.history.error if ended.state is State.FAILED else None
    try:
        return _json(Result(ended.id, ended.queue, state, carried.decode(ended.result), error))
    except (HubqueueError, msgspec.MsgspecError, TypeError, ValueError, RecursionError) as problem:
        text = f"the result cannot be shown as JSON: {problem}"
        return _json(Result(ended.id, ended.queue, state, error=text))


def _json(result: Result) -> bytes:
    """JSON; bytes as base64, MessagePack extensions as text."""
    return msgspec.json.encode(result, enc_hook=_plain)


def _plain(value: Any) -> str:
    return str(value)
