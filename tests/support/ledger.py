"""What was asked of a hub and what it answered, kept outside of it, and what must therefore be in its file.

The load (support.load) reports every question before it is asked and every answer once it is there. After a kill
the hub may have done the questions that stand open, or not; everything that was answered is binding.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

QUEUED: Final = "queued"  # waiting or delayed
ACTIVE: Final = "active"
COMPLETED: Final = "completed"
FAILED: Final = "failed"
GONE: Final = "gone"

MAX_ATTEMPTS: Final = 3
MAX_LOST: Final = 3  # a job whose worker vanished this often is a dead letter


@dataclass(frozen=True, slots=True)
class Found:
    """A job as the hub has it. n: the number in its data."""

    n: int
    id: str
    state: str
    attempts: int
    lease_no: int
    lost_count: int


@dataclass(slots=True)
class Entry:
    """What is known of one job. may: the states it may be in; counts: the attempts it may have."""

    may: set[str]
    id: str | None = None
    once: str | None = None
    counts: set[int] = field(default_factory=lambda: {0})
    lease_no: int = 0
    token: str | None = None
    moved: bool = False
    cancelling: bool = False


class Ledger:
    """`hear` takes the load's events; `settle_up` compares with what the hub has after a restart."""

    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}
        self.stale: list[tuple[str, str]] = []  # (id, token) of leases that have ended for certain
        self.answers = 0
        self.cleaning = False

    def hear(self, event: list[Any]) -> None:
        kind, *rest = event
        getattr(self, f"_{kind}")(*rest)

    def held(self) -> list[tuple[int, str, str]]:
        """(n, id, token) of the leases that may be current."""
        return [(n, e.id, e.token) for n, e in self.entries.items() if e.token is not None and e.id is not None]

    def unanswered(self) -> list[tuple[int, str]]:
        """(n, id) of the jobs that may be sent again: their own id keeps them from being taken twice."""
        return [(n, e.once) for n, e in self.entries.items() if e.once is not None and e.id is None]

    def settle_up(self, found: Iterable[Found], renewed: Iterable[int], still_good: Iterable[str]) -> list[str]:
        """What is wrong; empty if the hub kept its word. Afterwards only what was found is known.

        renewed: the n of those held leases that the hub renewed; still_good: stale tokens that it took.
        """
        faults = [f"the hub took a token of a lease that has ended: {token}" for token in still_good]
        renewed = set(renewed)
        seen: dict[int, Found] = {}
        for job in found:
            if job.n in seen:
                faults.append(f"job {job.n} is there twice: {seen[job.n]} and {job}")
            seen[job.n] = job
        faults += [f"job {n} was never asked for: {job}" for n, job in seen.items() if n not in self.entries]
        for n, entry in self.entries.items():
            faults += self._compare(n, entry, seen.get(n), n in renewed)
        self.entries = {
            n: self._afterwards(self.entries[n], job, n in renewed) for n, job in seen.items() if n in self.entries
        }
        self.stale = self.stale[-200:]
        self.cleaning = False
        return faults

    def _compare(self, n: int, entry: Entry, job: Found | None, renewed: bool) -> list[str]:
        may = entry.may | {GONE} if entry.cancelling else set(entry.may)
        if self.cleaning and may & {COMPLETED, FAILED}:
            may.add(GONE)
        if job is None:
            return [] if GONE in may else [f"job {n} is lost: {entry}"]
        faults = []
        if job.lost_count >= MAX_LOST and ACTIVE in may and entry.token is None:
            may.add(FAILED)
        if job.state not in may:
            faults.append(f"job {n} is {job.state}, not {sorted(may)}: {entry}")
        if entry.id is not None and job.id != entry.id:
            faults.append(f"job {n} was announced as {entry.id} and is {job.id}")
        if job.attempts not in entry.counts:
            faults.append(f"job {n} counts {job.attempts} attempts, not {entry.counts}")
        if job.lease_no < entry.lease_no:
            faults.append(f"job {n} has lease number {job.lease_no} after {entry.lease_no}")
        if entry.token is not None:
            # over the wire no lease number is seen
            current = job.state == ACTIVE and (job.lease_no == entry.lease_no or (not entry.lease_no and renewed))
            if current != renewed or (entry.may == {ACTIVE} and not renewed):
                faults.append(f"job {n}: the lease is current: {current}, renewed: {renewed}: {entry} {job}")
        return faults

    def _afterwards(self, entry: Entry, job: Found, renewed: bool) -> Entry:
        token = entry.token if renewed else None
        if entry.token is not None and token is None and entry.id is not None:
            self.stale.append((entry.id, entry.token))
        if job.state == ACTIVE:
            may = {ACTIVE} if token else {ACTIVE, QUEUED}  # nobody has the token: it comes back after the grace
        elif job.state == QUEUED:
            may = {QUEUED, ACTIVE}
        else:
            may = {job.state}
        return Entry(may, job.id, None, {job.attempts}, job.lease_no, token, True)

    # what the load reports

    def _ask_enqueue(self, ns: list[int], once: list[str | None]) -> None:
        for n, id in zip(ns, once, strict=True):
            self.entries[n] = Entry({GONE, QUEUED, ACTIVE}, once=id)

    def _enqueued(self, ns: list[int], ids: list[str]) -> None:
        self.answers += 1
        for n, id in zip(ns, ids, strict=True):
            entry = self.entries[n]
            entry.id = id
            if not entry.moved:
                entry.may.discard(GONE)

    def _leased(self, leased: list[tuple[int, str, str, int, int]]) -> None:
        self.answers += 1
        for n, id, token, lease_no, attempts in leased:
            entry = self.entries[n]
            entry.may, entry.counts, entry.moved = {ACTIVE}, {attempts}, True
            entry.id, entry.token, entry.lease_no = id, token, lease_no

    def _ask_end(self, ends: list[tuple[int, str, str]]) -> None:
        for n, _, how in ends:
            entry = self.entries[n]
            (before,) = entry.counts
            entry.may = {ACTIVE} | _after(how, before)
            entry.counts = {before, before + _counted(how)}

    def _ended(self, ends: list[tuple[int, str, str]]) -> None:
        self.answers += 1
        for n, token, how in ends:
            entry = self.entries[n]
            assert entry.id is not None
            self.stale.append((entry.id, token))
            if entry.token == token:  # otherwise the next lease was answered before this
                before = min(entry.counts)
                entry.may, entry.counts, entry.token = _after(how, before), {before + _counted(how)}, None

    def _ask_cancel(self, n: int) -> None:
        self.entries[n].cancelling = True

    def _cancelled(self, n: int) -> None:
        self.answers += 1
        self.entries[n].may = {GONE}

    def _not_cancelled(self, n: int) -> None:
        self.answers += 1
        self.entries[n].cancelling = False

    def _ask_clean(self) -> None:
        self.cleaning = True


def _counted(how: str) -> int:
    return 1 if how in ("fail", "reject") else 0


def _after(how: str, attempts: int) -> set[str]:
    if how == "complete":
        return {COMPLETED}
    if how == "reject" or (how == "fail" and attempts + 1 >= MAX_ATTEMPTS):
        return {FAILED}
    return {QUEUED, ACTIVE}
