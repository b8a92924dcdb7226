"""What the commands get to work with: the context (shared), the session (one client) and the call (one request).

A transport makes one session per client and one call per request. Commands know nothing of the transport: they
answer their call, now or from the reply of a verb, exactly once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

import msgspec

from hubqueue.commands.auth import Authenticator
from hubqueue.commands.broadcast import Broadcast, Broadcasts, EventBatch, Topics
from hubqueue.commands.notifications import Notification
from hubqueue.commands.workers import Workers
from hubqueue.errors import HubqueueError
from hubqueue.hub.hub import Hub
from hubqueue.model.access import EVERYTHING, Grant

R = TypeVar("R")

# What a command answers: a map of the reply's fields, or the error. The transport adds `ok` and `reqId`.
Reply = dict[str, Any] | HubqueueError
# A command that takes several transactions returns its work; the client's next commands wait for it.
Work = Coroutine[Any, Any, dict[str, Any]]

# What the process lends to its operator (admin/): gets the command.
Operation = Callable[[Any], Work]

OK: Final[dict[str, Any]] = {}
LAST_WORDS_S: Final = 0.1  # who has revoked the token it came in with gets its answer before it is cut
CALL_BYTES: Final = 256  # what a request costs beside its bytes


@dataclass(slots=True)
class CallContext:
    """What all clients share."""

    hub: Hub
    authenticator: Authenticator
    workers: Workers
    version: str
    operations: Mapping[str, Operation] = field(default_factory=dict)  # what the process lends: see operator.py
    started_ms: int = field(init=False)
    broadcasts: Broadcasts = field(init=False)

    def __post_init__(self) -> None:
        self.broadcasts = Broadcasts(self.hub.recent)
        self.started_ms = self.workers.now_ms()

    async def lent(self, command: Any) -> dict[str, Any]:
        """What the process says to one of its operator's commands; nothing when the hub is embedded."""
        operation = self.operations.get(type(command).__name__)
        return {} if operation is None else await operation(command)

    def uptime_ms(self) -> int:
        """How long its listeners have been open."""
        return max(0, self.workers.now_ms() - self.started_ms)


class Session(ABC):
    """One client: its leases, its subscriptions, its workers. listens: it can be told of what it subscribes to."""

    listens = True

    def __init__(self, context: CallContext, address: str) -> None:
        self.context = context
        self.address = address
        self.grant: Grant | None = EVERYTHING if context.authenticator.open else None  # None: a stranger
        self.lease_owner = context.hub.holder()
        self.workers: dict[str, bool] = {}  # registered here by id -> has said goodbye
        self.subscriptions: dict[tuple[str, str | None], Callable[[], None]] = {}  # what ends each: see subscribe.py
        self.event_topics: dict[str | None, Topics] = {}  # the events it asked for, by queue
        self.broadcast: Broadcast | None = None  # those who asked for the same
        self._unwatch: Callable[[], None] | None = None

    @abstractmethod
    def answer(self, call: Call, reply: Reply) -> None:
        """Send the reply of a call."""

    @abstractmethod
    def notify(self, notification: Notification) -> bool:
        """Send something of its subscriptions; whether it was taken. A client that is behind is told of a gap later."""

    def notify_batch(self, batch: EventBatch) -> None:
        """The same for events that leave together."""
        for event in batch.events:
            self.notify(event)

    @abstractmethod
    def check_room(self) -> None:
        """Whether one more call may wait. Errors: Busy."""

    @abstractmethod
    def park(self, call: Call, cancel: Callable[[], None]) -> None:
        """This call waits for something to happen: it holds nothing back, and is cancelled with the session."""

    @abstractmethod
    def unpark(self, req_id: msgspec.Raw) -> bool:
        """The call that waits under this reqId is cancelled, without an answer; whether there was one."""

    def authenticated(self, grant: Grant) -> None:
        """The client has proved who it is."""
        self.grant = grant
        self._watch(None if grant is EVERYTHING else self.context.authenticator.watch(grant, self.revoked))

    def revoked(self) -> None:
        """The client's token was revoked: it is a stranger again, and gets no notification."""
        self.grant = None
        self._silence()

    def end(self, *, clean: bool) -> None:
        """The client is gone. clean: it said goodbye, or the hub stops: its jobs are given back, nothing is counted."""
        self._watch(None)
        self._silence()
        for id in self.workers:
            self.context.workers.forget(id, self)
        said_goodbye = bool(self.workers) and all(self.workers.values())
        if clean or said_goodbye:
            self.context.hub.give_back(self.lease_owner)
        else:
            self.context.hub.lose(self.lease_owner)

    def _watch(self, unwatch: Callable[[], None] | None) -> None:
        if self._unwatch is not None:
            self._unwatch()
        self._unwatch = unwatch

    def _silence(self) -> None:
        self.context.broadcasts.leave(self)
        for end in self.subscriptions.values():
            end()
        self.subscriptions.clear()


class Call:
    """One request, to be answered once.

    check: refuses in the transaction of its verb; only limited tokens have it. notes: it also writes something down,
    which is undone when the verb refuses.
    """

    __slots__ = ("check", "notes", "req_id", "session", "size")

    def __init__(self, session: Session, req_id: msgspec.Raw, size: int) -> None:
        self.session = session
        self.req_id = req_id
        self.size = size
        self.check: Callable[[Any], None] | None = None
        self.notes = False

    def answer(self, reply: Reply) -> None:
        self.session.answer(self, reply)

    def sees(self, queue: str | None) -> bool:
        """Whether a list of all queues may show this one to the client. None: what belongs to no queue."""
        grant = self.session.grant
        return grant is not None and (grant.queues is None or queue in grant.queues)

    def run(
        self, verb: Callable[[Any], R], shape: Callable[[R], Reply] | None = None, *, durable: bool = False
    ) -> None:
        """Run a verb and answer with its shaped result, or plainly ok, once it is committed.

        A shape that is an error tells of what was decided and is committed.
        """
        answer = self.session.answer
        if self.check is not None:
            verb = _checked(self.check, verb, notes=self.notes)

        def done(result: R | HubqueueError) -> None:
            if isinstance(result, HubqueueError):
                answer(self, result)
            else:
                answer(self, OK if shape is None else shape(result))

        self.session.context.hub.submit(verb, done, durable=durable, size=self.size)

    def reply(self, verb: Callable[[Any], dict[str, Any]], *, durable: bool = False) -> None:
        """Run a verb whose result is the answer, once it is committed."""
        if self.check is not None:
            verb = _checked(self.check, verb, notes=self.notes)
        answer = partial(self.session.answer, self)
        self.session.context.hub.submit(verb, answer, durable=durable, size=self.size)


def _checked(check: Callable[[Any], None], verb: Callable[[Any], R], *, notes: bool) -> Callable[[Any], R]:
    def checked(tx: Any) -> R:
        with tx.savepoint() if notes else nullcontext():
            check(tx)
            return verb(tx)

    return checked
