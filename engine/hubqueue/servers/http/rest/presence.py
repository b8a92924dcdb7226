"""404 for what a path names and is not there, 409 for a job that is there and not in the state for it; both name it.

The commands have the fixed texts of the protocol, which says "not found" of both and names nothing, or are content with
what is not there. A client is told only what it may ask for itself.
"""

from __future__ import annotations

from typing import Any, Final

from hubqueue.errors import HubqueueError, LockLost, LockRequired, NotFound, WrongState
from hubqueue.servers.http.rest.route import Asked, ask

KINDS: Final = {  # what a path names, by how it begins
    "jobs": "job",
    "flows": "job",
    "queues": "dead letter",
    "schedules": "schedule",
    "webhooks": "webhook",
    "tokens": "token",
    "forwarders": "forwarder",
}
ABOUT_IT: Final = (NotFound, WrongState, LockLost, LockRequired)


async def told(asked: Asked, error: HubqueueError) -> HubqueueError:
    """The error of a route as HTTP tells it."""
    name = named(asked)
    if name is None or type(error) not in ABOUT_IT:
        return error
    kind = _kind(asked)
    if kind == "job":
        state = await _state(asked, name)
        if state is None:
            return missing(asked)
        if isinstance(error, NotFound):
            return WrongState(f"Job {name!r} is {state}: {asked.route.name} is not possible", hint=error.hint)
    elif isinstance(error, NotFound):
        return missing(asked)
    known = repr(name) in error.message or error.message.endswith(f" {name}")
    return error if known else type(error)(f"{error.message} ({kind} {name!r})", hint=error.hint)


async def if_job_there(asked: Asked) -> Any:
    """For commands that are content with a job that is not there. Errors: NotFound."""
    if await _state(asked, asked.path["id"]) is None:
        raise missing(asked)
    return await ask(asked)


async def if_schedule_there(asked: Asked) -> Any:
    """The same of a schedule. Errors: NotFound."""
    await asked.ask("CronGet", name=asked.path["name"])
    return await ask(asked)


def missing(asked: Asked) -> NotFound:
    """What the path names is not there."""
    return NotFound(f"There is no {_kind(asked)} {named(asked)!r}")


def named(asked: Asked) -> str | None:
    """The id or name in the path; None where it names no more than a queue."""
    return asked.path.get("id", asked.path.get("name"))


def _kind(asked: Asked) -> str:
    return KINDS[asked.route.path.split("/")[1]]


async def _state(asked: Asked, id: str) -> str | None:
    """The state of a job; None where there is none that the client may see."""
    try:
        state: str = (await asked.ask("GetState", id=id))["state"]
    except HubqueueError:
        return None
    return None if state == "unknown" else state
