"""What hubs have promised, as those saw it whom they promised it to; and whether they have kept it.

Times are the loop's, seconds. A power cut may take what was not asked to be durable and was said ok to less than
UNSAFE_S before it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Final, NamedTuple

UNSAFE_S: Final = 1.2  # after which a default job is on the disk, if syncs are quick


class Broken(AssertionError):
    """A promise was not kept."""


class Run(NamedTuple):
    """Of a job, by a worker."""

    at_s: float
    token: str


@dataclass(slots=True)
class Ledger:
    """sent: to which queue a number was sent; ids: of those that were accepted. slow_s: how long a sync may take."""

    slow_s: float = 0.0
    broken: Broken | None = None  # seen where nobody listens to exceptions
    sent: dict[int, str] = field(default_factory=dict)
    accepted: dict[int, tuple[float, bool]] = field(default_factory=dict)  # when, and whether it is durable
    ids: dict[str, int] = field(default_factory=dict)
    completed: dict[str, float] = field(default_factory=dict)  # by a worker, which was told so
    forwarded: dict[str, float] = field(default_factory=dict)  # completed at the edge
    runs: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))
    cuts: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))  # of power, by hub

    def unsafe(self, hub: str, at_s: float) -> bool:
        """Whether a power cut may have taken what this hub did then."""
        window = UNSAFE_S + 2 * self.slow_s
        return any(at_s <= cut <= at_s + window for cut in self.cuts[hub])

    def accept(self, number: int, id: str, at_s: float, *, durable: bool) -> None:
        if (other := self.ids.setdefault(id, number)) != number:
            raise Broken(f"P1: {id} is the id of {other} and of {number}")
        self.accepted[number] = (at_s, durable)

    def run(self, id: str, token: str, at_s: float) -> None:
        """A worker begins with a job."""
        if (done_s := self.completed.get(id)) is not None and not self.unsafe("edge", done_s):
            self.broken = Broken(f"P1: {id} runs again, and was completed at {done_s:.4f}")
        self.runs[id].append(Run(at_s, token))

    def stale(self, id: str) -> str | None:
        """A token that must not be good any more: of a run that another one followed, or of a job that is completed."""
        tokens = [run.token for run in self.runs[id]]
        if id in self.completed and not self.unsafe("edge", self.completed[id]):
            return tokens[-1]
        return tokens[-2] if len(tokens) > 1 and not self.cuts["edge"] else None

    def may_be_missing(self, number: int) -> bool:
        """Whether nobody was promised that it is there."""
        if number not in self.accepted:
            return True
        at_s, durable = self.accepted[number]
        return not durable and self.unsafe("edge", at_s)

    def check_kept(self, queue: str, found: Counter[int]) -> None:
        """P1, P7: each number of the queue is one job, and none was invented."""
        for number in sorted(found):
            if self.sent.get(number) != queue or found[number] > 1:
                raise Broken(f"P1: {number} was sent to {self.sent.get(number)} and is {found[number]} jobs of {queue}")
        for number in sorted(self.sent):
            if self.sent[number] == queue and not found[number] and not self.may_be_missing(number):
                raise Broken(f"P1: {number} was accepted in {queue} at {self.accepted[number][0]:.4f} and is gone")
