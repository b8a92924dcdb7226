"""The one command table: every command of every door, and the handler that answers it.

Handlers hold no business logic: they check what the verb does not, run the verb and shape its result.
A handler answers its call, or returns work whose result is the answer.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from hubqueue.errors import HubqueueError, StoreError
from hubqueue.servers import (
    access,
    consume,
    control,
    dlq,
    explore,
    exposition,
    flows,
    groups,
    health,
    limits,
    listening,
    monitor,
    operate,
    produce,
    query,
    queues,
    schedules,
    sessions,
    webhooks,
)
from hubqueue.servers.door import Call, Handlers, Work
from hubqueue.servers.scopes import admit
from hubqueue.wire.commands import Request
from hubqueue.wire.commands import consume as wire_consume
from hubqueue.wire.commands import explore as wire_explore
from hubqueue.wire.commands import query as wire_query

log = logging.getLogger(__name__)

COMMANDS: Final[Handlers] = {
    **produce.HANDLERS,
    **consume.HANDLERS,
    **query.HANDLERS,
    **explore.HANDLERS,
    **control.HANDLERS,
    **queues.HANDLERS,
    **dlq.HANDLERS,
    **flows.HANDLERS,
    **groups.HANDLERS,
    **health.HANDLERS,
    **limits.HANDLERS,
    **schedules.HANDLERS,
    **sessions.HANDLERS,
    **listening.HANDLERS,
    **monitor.HANDLERS,
    **exposition.HANDLERS,
    **webhooks.HANDLERS,
    **access.HANDLERS,
    **operate.HANDLERS,
}

# What a command's reply may hold in memory until it is sent, counted against the client's bound of open bytes
# (connected.MAX_OPEN_BYTES) like its requests. Data may be 10 MiB a job, so these are guesses on the safe side:
# some dozens of single jobs, and one page, at a time.
WEIGHTS: Final[dict[type[Any], int]] = {
    wire_consume.Pull: 64 * 1024,
    wire_consume.PullB: 256 * 1024,
    wire_query.GetJob: 128 * 1024,
    wire_query.GetJobByCustomId: 128 * 1024,
    wire_query.GetResult: 128 * 1024,
    wire_query.GetJobs: 4 * 1024 * 1024,
    wire_explore.FindJobs: 4 * 1024 * 1024,
}


def dispatch(call: Call, command: Request) -> Work | None:
    """Start a command; what it returns is to be given to `finish`. Its errors are its answer."""
    try:
        grant = call.session.grant
        if grant is None or not grant.unlimited:
            admit(call, command, grant)
        return COMMANDS[type(command)](call, command)
    except HubqueueError as error:
        call.answer(error)
    except Exception:
        call.answer(_defect(command))
    return None


async def finish(call: Call, work: Work) -> None:
    """Answer with the result of a command's work."""
    try:
        call.answer(await work)
    except HubqueueError as error:
        call.answer(error)
    except Exception:
        call.answer(_defect(work))


def _defect(where: object) -> HubqueueError:
    log.exception("A command failed: a defect. command=%s", getattr(where, "__qualname__", type(where).__name__))
    return StoreError("Internal error", hint="this is a defect of hubqueue; the log has the details")
