"""A job on its way to another place: what a sink needs of it, and nothing of how it is kept here.

Rule: the id is made here alone. It is the same whenever the job is sent again, so that the other side knows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from hubqueue.model.job import Job, Leased

SEQ_DIGITS: Final = 16  # seq stays below 2^53


class OutboundJob(msgspec.Struct, frozen=True, gc=False):
    """data: MessagePack, None when there is none; key: the group of the job.

    Units: at_ms Unix milliseconds, when the job was made.
    """

    id: str
    name: str
    data: bytes | None
    at_ms: int
    priority: int = 0
    tags: tuple[str, ...] = ()
    key: str | None = None


def outbound_jobs(queue: str, jobs: Sequence[Leased], hub_id_of: Callable[[int], str]) -> tuple[OutboundJob, ...]:
    """The jobs as they go; hub_id_of says under which hub_id a seq was accepted here."""
    return tuple(_parcel(forward_id(hub_id_of(leased.job.seq), queue, leased.job.seq), leased.job) for leased in jobs)


def _parcel(id: str, job: Job) -> OutboundJob:
    if job.options_blob is None:
        return OutboundJob(id, job.name, job.data, job.created_at_ms, job.priority)
    options = job.options
    return OutboundJob(id, job.name, job.data, job.created_at_ms, job.priority, options.tags, options.group)


def forward_id(hub_id: str, queue: str, seq: int) -> str:
    """The id a forwarded job has on the other side (P6)."""
    return f"fwd:{hub_id}:{queue}:{seq}"


def sortable(id: str) -> str:
    """The id with leading zeros in its number, for receivers that order jobs by the text of their ids."""
    head, colon, seq = id.rpartition(":")
    return f"{head}{colon}{seq:0>{SEQ_DIGITS}}"
