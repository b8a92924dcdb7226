"""Idempotency keys: a call whose verb runs once under its key, and whose first answer is given again.

The answer is kept by the verb itself, in its transaction (hub/verbs/once), so no crash comes between the two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from hubqueue.commands.call import Call, Reply, Session
from hubqueue.hub.verbs.idempotency import Fields, answered_once
from hubqueue.wire.fields import ABSENT

R = TypeVar("R")


class Idempotency:
    """The key of a request and what it asks for; afterwards, whether its answer was a first one given again."""

    __slots__ = ("key", "replayed", "request")

    def __init__(self, key: bytes, request: bytes) -> None:
        self.key = key
        self.request = request
        self.replayed = False


class IdempotentCall(Call):
    """A call of one verb. Its reply is kept without what takes much room: flows answer the ids of their jobs."""

    __slots__ = ("_once",)

    def __init__(self, session: Session, size: int, once: Idempotency) -> None:
        super().__init__(session, ABSENT, size)
        self._once = once

    def run(
        self, verb: Callable[[Any], R], shape: Callable[[R], Reply] | None = None, *, durable: bool = False
    ) -> None:
        def remembered(tx: Any) -> tuple[Fields, bool]:
            def run() -> Fields:
                result = verb(tx)
                reply = {} if shape is None else shape(result)
                assert isinstance(reply, dict)  # what enqueues is refused before it has written anything
                return _short(reply)

            return answered_once(tx, self._once.key, self._once.request, run)

        def shape_again(found: tuple[Fields, bool]) -> Fields:
            reply, self._once.replayed = found
            return reply

        super().run(remembered, shape_again, durable=durable)

    def reply(self, verb: Callable[[Any], Fields], *, durable: bool = False) -> None:
        self.run(verb, _same, durable=durable)


def _same(reply: Fields) -> Fields:
    return reply


def _short(reply: Fields) -> Fields:
    jobs = reply.get("data", {}).get("jobs")
    return reply if jobs is None else {"ids": [job.id for job in jobs]}
