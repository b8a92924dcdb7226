"""The one command table: every command of every door, and the handler that answers it.

Handlers hold no business logic: they check what the verb does not, run the verb and shape its result.
A handler answers its call, or returns work whose result is the answer.
"""

from __future__ import annotations

from typing import Final

from hubqueue.errors import HubqueueError, NotAuthenticated
from hubqueue.servers import consume, control, dlq, operate, produce, query, queues, schedules, sessions
from hubqueue.servers.door import Call, Handlers, Work
from hubqueue.servers.listing import MAX_PAGE
from hubqueue.wire.commands import Request
from hubqueue.wire.commands.consume import PullB
from hubqueue.wire.commands.query import GetJobs
from hubqueue.wire.commands.session import Auth

COMMANDS: Final[Handlers] = {
    **produce.HANDLERS,
    **consume.HANDLERS,
    **query.HANDLERS,
    **control.HANDLERS,
    **queues.HANDLERS,
    **dlq.HANDLERS,
    **schedules.HANDLERS,
    **sessions.HANDLERS,
    **operate.HANDLERS,
}

JOB_BYTES: Final = 1024  # what a job of a reply takes in memory until it is sent, beside its data


def weight(command: Request) -> int:
    """Bytes that the reply of a command may hold: counted against the client's bound like its requests."""
    if type(command) is PullB:
        return JOB_BYTES * (command.count or 0)
    if type(command) is GetJobs:
        return JOB_BYTES * min(max(command.limit, 0), MAX_PAGE)
    return 0


def dispatch(call: Call, command: Request) -> Work | None:
    """Start a command. Its errors are its answer."""
    try:
        if not call.session.authenticated and type(command) is not Auth:
            raise NotAuthenticated
        return COMMANDS[type(command)](call, command)
    except HubqueueError as error:
        call.answer(error)
        return None
