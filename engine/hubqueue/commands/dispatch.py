"""From a command to its answer, for all transports."""

from __future__ import annotations

import logging

from hubqueue.commands.call import Call, Work
from hubqueue.commands.scopes import admit
from hubqueue.commands.table import Request
from hubqueue.errors import HubqueueError, Internal

log = logging.getLogger(__name__)


def dispatch(call: Call, command: Request) -> Work | None:
    """Start a command; what it returns is to be given to `finish`. Its errors are its answer."""
    try:
        grant = call.session.grant
        if grant is None or not grant.unlimited:
            admit(call, command, grant)
        return command.handle(call)
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
    return Internal()
