"""What every command has: its fields, a row of the command table, and the handler that answers it.

A command is one class in the file of its family, and a section in docs/protocol.md: `table` collects them. Its row
says which scope it needs, all queues it works on, and all jobs, schedules and webhooks it names by id: those are
looked up in the command's own transaction (`Call.check`). A command that lists all queues is FILTERED: its handler
shows only what `Call.sees`. What concerns the whole hub is WHOLE_HUB. A handler holds no business logic: it checks
what the verb does not, runs the verb and shapes its result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Final, NamedTuple, Protocol, TypeVar

import msgspec

from hubqueue.commands.call import Call, Work
from hubqueue.errors import Forbidden
from hubqueue.model.access import Scope
from hubqueue.wire.fields import ABSENT

Needs = tuple[Scope, ...]  # one of them is enough; none means that every token will do


class Touched(NamedTuple):
    """What a command works on."""

    queues: Iterable[str] = ()
    jobs: Iterable[str] = ()
    schedules: Iterable[str] = ()
    webhooks: Iterable[str] = ()


class Row(NamedTuple):
    """What the table says of a command. touches None: the whole hub.

    also: what it needs besides, by what is in it. new_ids: those that its sender gives to new jobs and that may be a
    forwarder's (those of flows have no colon). weight: what its reply may hold in memory until it is sent, counted
    against the client's bound of open bytes (connected.MAX_OPEN_BYTES) like its requests. Data may be 10 MiB a job, so
    these are guesses on the safe side: some dozens of single jobs, and one page, at a time. strangers: it is answered
    before a token was shown. answers: its reply, or what some have under `data` in it, with numbers as JSON shows them;
    what HTTP answers and its OpenAPI document are taken from there.
    """

    needs: Needs
    touches: Callable[[Any], Touched] | None
    also: Callable[[Any], Iterable[Needs]] | None = None
    new_ids: Callable[[Any], Iterable[str | None]] | None = None
    weight: int = 0
    strangers: bool = False
    answers: type[msgspec.Struct] | None = None


class Command(msgspec.Struct, tag=True, tag_field="cmd", rename="camel", gc=False, kw_only=True):
    """A request. Fields that are not known are ignored. `req_id` is echoed as it came, whatever it is."""

    req_id: msgspec.Raw = ABSENT

    row: ClassVar[Row]

    def handle(self, call: Call) -> Work | None:
        """Answer the call, or return work whose result is the answer. Its errors are its answer too."""
        raise NotImplementedError


class _Listed(Protocol):
    row: ClassVar[Row]


C = TypeVar("C", bound=_Listed)


def command(
    needs: Needs,
    touches: Callable[[Any], Touched] | None,
    *,
    also: Callable[[Any], Iterable[Needs]] | None = None,
    new_ids: Callable[[Any], Iterable[str | None]] | None = None,
    weight: int = 0,
    strangers: bool = False,
    answers: type[msgspec.Struct] | None = None,
) -> Callable[[type[C]], type[C]]:
    """Give a struct its row of the table."""

    def enter(struct: type[C]) -> type[C]:
        struct.row = Row(needs, touches, also, new_ids, weight, strangers, answers)
        return struct

    return enter


class Changed(msgspec.Struct):
    """How many jobs it changed."""

    count: int


READ: Final = (Scope.READ,)
ENQUEUE: Final = (Scope.ENQUEUE,)
WORK: Final = (Scope.WORK,)
TAKE: Final = (Scope.WORK, Scope.PULL)  # take jobs and end them
ADMIN: Final = (Scope.ADMIN,)
READ_OR_WORK: Final = (Scope.READ, Scope.WORK)  # what workers ask about the job they have
ANYBODY: Final = ()


def _nothing(command: Any) -> Touched:
    return Touched()


NOTHING: Final = _nothing
FILTERED: Final = _nothing
WHOLE_HUB: Final = None


def its_queue(command: Any) -> Touched:
    """The queue that it names."""
    return Touched(queues=(command.queue,))


def queue_or_all(command: Any) -> Touched:
    """Without a queue it is about all of them. Errors: Forbidden."""
    if command.queue is None:
        raise Forbidden("This token is limited to queues", hint="name one of its queues")
    return Touched(queues=(command.queue,))


def queue_if_named(command: Any) -> Touched:
    """Without a queue it is a list of all queues, and FILTERED."""
    return Touched() if command.queue is None else Touched(queues=(command.queue,))


def its_job(command: Any) -> Touched:
    """The job that it names."""
    return Touched(jobs=(command.id,))


def its_jobs(command: Any) -> Touched:
    """The jobs that it names."""
    return Touched(jobs=command.ids)
