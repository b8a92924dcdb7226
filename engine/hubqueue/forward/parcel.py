"""A job on its way to another place: what a sink needs of it, and nothing of how it is kept here.

Rule: the id is made here alone. It is the same whenever the job is sent again, so that the other side knows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from hubqueue.model.job import Leased

SEQ_DIGITS: Final = 16  # seq stays below 2^53


class Parcel(msgspec.Struct, frozen=True, gc=False):
    """data: MessagePack, None when there is none. Units: at_ms Unix milliseconds, when the job was made."""

    id: str
    name: str
    data: bytes | None
    at_ms: int
    priority: int = 0


def parcels(queue: str, jobs: Sequence[Leased], hub_id_of: Callable[[int], str]) -> tuple[Parcel, ...]:
    """The jobs as they go; hub_id_of says under which hub_id a seq was accepted here."""
    return tuple(
        Parcel(forward_id(hub_id_of(job.seq), queue, job.seq), job.name, job.data, job.created_at_ms, job.priority)
        for job in (leased.job for leased in jobs)
    )


def forward_id(hub_id: str, queue: str, seq: int) -> str:
    """The id a forwarded job has on the other side (P6)."""
    return f"fwd:{hub_id}:{queue}:{seq}"


def sortable(id: str) -> str:
    """The id with leading zeros in its number, for receivers that order jobs by the text of their ids."""
    head, colon, seq = id.rpartition(":")
    return f"{head}{colon}{seq:0>{SEQ_DIGITS}}"
