"""Which connection holds which leases, so that a broken connection's jobs come back soon.

Only a hint: the lease in the job's row is the truth, and any connection with the token may settle it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hubqueue.model.job import Leased


class Holder:
    """The leases one connection took and that were not settled yet: seq -> lease number."""

    __slots__ = ("closed", "leases")

    def __init__(self) -> None:
        self.closed = False
        self.leases: dict[int, int] = {}


class Holders:
    """The holder of each leased job."""

    def __init__(self) -> None:
        self._by_seq: dict[int, Holder] = {}

    def took(self, holder: Holder, leased: Sequence[Leased]) -> None:
        for each in leased:
            holder.leases[each.job.seq] = each.job.lease_no
            self._by_seq[each.job.seq] = holder

    def settled(self, seqs: Iterable[int]) -> None:
        for seq in seqs:
            holder = self._by_seq.pop(seq, None)
            if holder is not None:
                holder.leases.pop(seq, None)

    def close(self, holder: Holder) -> list[tuple[int, int]]:
        """The holder is gone: what it held, as (seq, lease number)."""
        holder.closed = True
        held = list(holder.leases.items())
        self.settled([seq for seq, _ in held])
        return held
