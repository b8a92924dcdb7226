"""Which connection holds which leases, so that a broken connection's jobs come back soon.

Only a hint: the lease in the job's row is the truth, and any connection with the token may settle it.
"""

from __future__ import annotations

from collections.abc import Iterable


class LeaseOwner:
    """The leases one connection took or renewed and that were not settled yet: job id -> lease number."""

    __slots__ = ("closed", "leases")

    def __init__(self) -> None:
        self.closed = False
        self.leases: dict[str, int] = {}


class LeaseOwners:
    """The holder of each leased job."""

    def __init__(self) -> None:
        self._by_id: dict[str, LeaseOwner] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def hold(self, holder: LeaseOwner, held: Iterable[tuple[str, int]]) -> None:
        """The holder has taken or renewed these (id, lease number): who held them before may go without harm."""
        if holder.closed:
            return
        for id, lease_no in held:
            before = self._by_id.get(id)
            if before is not None and before is not holder:
                before.leases.pop(id, None)
            self._by_id[id] = holder
            holder.leases[id] = lease_no

    def settled(self, ids: Iterable[str]) -> None:
        """Nobody holds these any more."""
        for id in ids:
            holder = self._by_id.pop(id, None)
            if holder is not None:
                holder.leases.pop(id, None)

    def close(self, holder: LeaseOwner) -> list[tuple[str, int]]:
        """The holder is gone: what it held, as (id, lease number)."""
        holder.closed = True
        held = list(holder.leases.items())
        self.settled([id for id, _ in held])
        return held
