"""What hubs have promised, as those saw it whom they promised it to; and whether they have kept it.

Times are the loop's, seconds. A power cut may take what was not asked to be durable and was said ok to less than
UNSAFE_S before it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from math import inf
from typing import Final, NamedTuple

UNSAFE_S: Final = 1.2  # after which a default job is on the disk, if syncs are quick
LATE_S: Final = 1.0  # at most, until a worker that is not frozen sees what a hub has given it
DEFECT: Final = "a defect"  # how an exception that nobody expects is told


class Broken(AssertionError):
    """A promise was not kept."""


class Run(NamedTuple):
    """Of a job, by a worker."""

    at_s: float
    token: str


class Cut(NamedTuple):
    """Of power. slow_s: how long a sync of then took, at most."""

    at_s: float
    slow_s: float

    def may_take(self, at_s: float) -> bool:
        """Whether what was said ok to then need not have been on the disk."""
        return at_s <= self.at_s <= at_s + UNSAFE_S + 2 * self.slow_s


@dataclass(slots=True)
class Slow:
    """A disk, for a while: a sync takes up to slow_s."""

    slow_s: float
    until_s: float = inf

    def met(self, at_s: float) -> bool:
        """Whether what it was slow with may still be under way."""
        return at_s <= self.until_s + UNSAFE_S + 2 * self.slow_s


@dataclass(slots=True)
class Ledger:
    """sent: to which queue a number was sent; durable: those that were asked to be; ids: of those that are known."""

    broken: Broken | None = None  # seen where nobody listens to exceptions
    sent: dict[int, str] = field(default_factory=dict)
    durable: set[int] = field(default_factory=set)
    accepted: dict[int, float] = field(default_factory=dict)  # when
    ids: dict[str, int] = field(default_factory=dict)
    completed: dict[str, float] = field(default_factory=dict)  # by a worker, which was told so
    runs: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))
    cuts: list[Cut] = field(default_factory=list)  # at the edge; what the centre is sent is durable
    slow: list[Slow] = field(default_factory=list)  # the edge's disk

    def power_is_cut(self, at_s: float) -> None:
        """At the edge."""
        self.cuts.append(Cut(at_s, max((slow.slow_s for slow in self.slow if slow.met(at_s)), default=0.0)))

    def accept(self, number: int, id: str, at_s: float) -> None:
        self._known(id, number)
        self.accepted[number] = at_s

    def run(self, id: str, number: int, token: str, at_s: float) -> None:
        """A worker begins with a job."""
        self._known(id, number)
        if id in self.completed and not self.may_be_undone(id):
            self.broken = Broken(f"P1: {id} runs again, and was completed at {self.completed[id]:.4f}")
        self.runs[id].append(Run(at_s, token))

    def _known(self, id: str, number: int) -> None:
        if (other := self.ids.setdefault(id, number)) != number:
            self.broken = Broken(f"P1: {id} is the id of {other} and of {number}")

    def earlier(self, id: str) -> str | None:
        """A token that must not be good any more: another run followed, and no lease number was given again."""
        if len(self.runs[id]) < 2:
            return None
        at_s, token = self.runs[id][-2]
        return None if any(cut.at_s >= at_s - LATE_S for cut in self.cuts) else token

    def last(self, id: str) -> str | None:
        """The token a job was completed with: good for nothing but to hear so again."""
        return self.runs[id][-1].token if id in self.completed and not self.may_be_undone(id) else None

    def may_be_undone(self, id: str) -> bool:
        """Whether a power cut may have taken that it was completed; or the job, before the worker asked again.

        A client whose answer was lost takes a job that is gone for completed.
        """
        number, done_s, began_s = self.ids[id], self.completed[id], self.runs[id][0].at_s
        if number not in self.durable and self._unsafe(done_s):
            return True
        return any(began_s <= cut.at_s <= done_s and self._may_take(cut, number) for cut in self.cuts)

    def _may_take(self, cut: Cut, number: int) -> bool:
        """Whether a cut may have taken a job: it was not promised yet, or may not have been on the disk."""
        accepted_s = self.accepted.get(number, inf)
        return accepted_s >= cut.at_s or (number not in self.durable and cut.may_take(accepted_s))

    def may_be_missing(self, number: int) -> bool:
        """Whether nobody was promised that it is there."""
        return number not in self.accepted or (number not in self.durable and self._unsafe(self.accepted[number]))

    def _unsafe(self, at_s: float) -> bool:
        return any(cut.may_take(at_s) for cut in self.cuts)

    def check_kept(self, queue: str, found: Counter[int]) -> None:
        """P1, P7: each number of the queue is one job, and none was invented."""
        for number in sorted(found):
            if self.sent.get(number) != queue or found[number] > 1:
                raise Broken(f"P1: {number} was sent to {self.sent.get(number)} and is {found[number]} jobs of {queue}")
        for number in sorted(self.sent):
            if self.sent[number] == queue and not found[number] and not self.may_be_missing(number):
                raise Broken(f"P1: {number} was accepted in {queue} at {self.accepted[number]:.4f} and is gone")
