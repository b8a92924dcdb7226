"""Commands of flows: jobs that wait for others, in one queue or across queues."""

from __future__ import annotations

from typing import Any

import msgspec

from hubqueue.wire.commands.base import Command
from hubqueue.wire.jobin import JobIn


class FlowInput(JobIn, rename="camel", gc=False, kw_only=True):
    """A job of a flow as PUSHB has it. `debounce` is known here only to be refused."""

    debounce_id: Any = None
    debounce_ttl: Any = None


class FlowEntry(msgspec.Struct, gc=False, kw_only=True):
    """One job of a flow: its planned id, its queue, and the job."""

    id: str
    queue: str
    input: FlowInput


class PushF(Command, tag="PUSHF", gc=False, kw_only=True):
    """Enqueue a whole flow or nothing: trees, chains, across queues; synced to the disk before the reply."""

    jobs: list[FlowEntry]


class MoveToWaitingChildren(Command, tag="MoveToWaitingChildren", gc=False, kw_only=True):
    """An active parent waits for its children again."""

    id: str
    token: str | None = None


class GetChildrenValues(Command, tag="GetChildrenValues", gc=False, kw_only=True):
    """The results of the completed children of a job."""

    id: str


class GetFailedChildrenValues(Command, tag="GetFailedChildrenValues", gc=False, kw_only=True):
    """The errors of children whose failure let their parent go on at once."""

    id: str


class GetIgnoredChildrenFailures(Command, tag="GetIgnoredChildrenFailures", gc=False, kw_only=True):
    """The errors of children whose failure was ignored."""

    id: str


class UpdateParent(Command, tag="UpdateParent", gc=False, kw_only=True):
    """Make a job the child of another one."""

    child_id: str
    parent_id: str


class RemoveChildDependency(Command, tag="RemoveChildDependency", gc=False, kw_only=True):
    """The parent of this job no longer waits for it."""

    id: str


class RemoveUnprocessedChildren(Command, tag="RemoveUnprocessedChildren", gc=False, kw_only=True):
    """Cancel the children of a job that have not started."""

    id: str
