"""What waits in an outbox: entries, and what has become of those of one feed (or of the actions)."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from .outbox_file import Put, Told, text_of

ONCE: Final = "once:"  # ids that are made here: the hub knows them for an hour after their job has ended
KNOWN_MS: Final = 55 * 60_000  # and a little less, as its clock is another one
OVERHEAD_BYTES: Final = 300  # what an entry takes besides its text
MOST_WORDS: Final = 20


class Sent(NamedTuple):
    """Where the jobs of an action are: at the hub, or kept in Home Assistant until it is there."""

    ids: list[str]
    kept: bool


@dataclass(slots=True, eq=False)
class Entry:
    """Jobs of one queue that are sent together, all or none.

    of: the feed of a reading; None: an action's, which is never dropped. made_s: loop time; None: of an earlier run.
    answer: for who waits to hear what becomes of it. tried: the hub may have it. kept: it is in the file.
    """

    number: int
    queue: str
    of: str | None
    jobs: bytes
    made_ms: int
    made_s: float | None
    count: int = 1
    answer: asyncio.Future[Sent] | None = None
    flying: bool = False
    tried: bool = False
    kept: bool = False

    @classmethod
    def left(cls, put: Put) -> Entry:
        """One of an earlier run."""
        count = len(json.loads(put.jobs))
        return cls(put.number, put.queue, put.of, put.jobs, put.made_ms, None, count, kept=True)

    @property
    def size(self) -> int:
        return len(self.jobs) + OVERHEAD_BYTES

    @property
    def awaited(self) -> bool:
        return self.answer is not None and not self.answer.done()

    def put(self) -> Put:
        return Put(self.number, self.queue, self.of, self.made_ms, self.jobs)

    def waited_ms(self, now_ms: int, now_s: float) -> int:
        """How long it has waited; in this run of Home Assistant whatever was done to the clock."""
        return max(0, now_ms - self.made_ms) if self.made_s is None else round((now_s - self.made_s) * 1000)

    def ids(self) -> list[str]:
        return [job["customId"] for job in json.loads(self.jobs)]

    def leave_out_replaced(self, newer: set[str]) -> None:
        """Go without the jobs that one with these keys takes the place of, or a later one here; our keys join them."""
        if b'"replace"' not in self.jobs:
            return
        left: list[dict[str, Any]] = []
        for job in reversed(json.loads(self.jobs)):
            key = job["uniqueKey"] if job.get("dedup", {}).get("replace") else None
            if key is None or key not in newer:
                left.insert(0, job)
            if key is not None:
                newer.add(key)
        if len(left) < self.count:
            self.jobs, self.count = text_of(left), len(left)

    def doubt(self, now_ms: int) -> str | None:
        """The id to ask for before it is sent (again), as the hub could not tell any more that it has had it."""
        if not self.tried and self.made_s is not None:
            return None
        ids = self.ids()
        once = next((id for id in ids if id.startswith(ONCE)), None)
        if once is None:
            return ids[0]
        return once if now_ms - self.made_ms > KNOWN_MS else None


def entries_of(puts: Iterable[Put]) -> list[Entry]:
    """Of an earlier run; those that newer ones replace wholly are empty.

    The hub may have had both, and forgotten the older one: it must not come last.
    """
    entries = [Entry.left(put) for put in puts]
    newer = defaultdict[str, set[str]](set)
    for entry in reversed(entries):
        entry.leave_out_replaced(newer[entry.queue])
    return entries


@dataclass(slots=True)
class Tally:
    """What became of the jobs of a feed, or of all actions. dropped, refused and words outlive a restart."""

    sent: int = 0
    waiting: int = 0
    dropped: int = 0  # pushed out by newer ones
    refused: int = 0  # the hub will never take them
    words: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=MOST_WORDS))  # of the newest refusals

    @property
    def lost(self) -> int:
        return self.dropped + self.refused

    def told(self, of: str | None) -> Told:
        return Told(of, self.dropped, self.refused, list(self.words))

    def restore(self, told: Told) -> None:
        """What an earlier run has counted."""
        self.dropped += told.dropped
        self.refused += told.refused
        self.words.extend(told.words)

    def forget_lost(self, dropped: bool) -> None:
        """Somebody knows of what was dropped, or of what was refused."""
        if dropped:
            self.dropped = 0
        else:
            self.refused = 0
            self.words.clear()
