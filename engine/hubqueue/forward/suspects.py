"""Jobs that may be poison: which of them broke off alone, how often the link was well besides, what is to be done.

Pure bookkeeping for whoever writes to a sink: a forwarder of leased jobs, a member of a group of the records that it
has read. Told the time, what passed and what broke off. Its rules:
- A break is charged to the job that was under way alone if the link was well: another job has passed since its last
  break, or the other side has answered since. Answers alone count for the first few, where hardly another job is there,
  and once it has been seen that others pass where this one does not.
- After its first tries the job is set aside, still held here, and others go. While none of them passes either it is
  the link's trouble: after a few everything goes back to its place, in order, and nothing is charged (P5).
- What is set aside is tried again alone, at growing distances, until it passes or its charges reach the cap. After one
  that took long, as silence does, it is the others' turn for as long.
- By answers alone, with no job that passes, no more than a few are given up: others that break off too speak for them.
  None is for silence: a disk that hangs there looks the same, and pings are answered all the while.
Source: engine-rules 26 and 40.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from enum import Enum
from typing import Final, Generic, Protocol, TypeVar

import msgspec

from hubqueue.forward.verdict import Down, Reason, Rejected
from hubqueue.model.backoff import doubled_s

FIRST_TRIES: Final = 4  # at the head of the queue, in its order: a link that breaks so often by chance is rare
WITNESSES: Final = 4  # others that may break off in a row before it is the link's trouble
UNSEEN: Final = 3  # jobs that are given up without any that passes; and no more may be there
QUICK_S: Final = 0.1  # a try that took no longer costs the others nothing
MAX_KNOWN: Final = 1000
MAX_ASIDE: Final = 100  # leases that are kept for jobs that wait here

# What may be the job's own fault. `ANSWERED`: only if others pass, since as a rule all are treated alike.
BROKE_OFF: Final = frozenset({Reason.UNREACHABLE, Reason.TIMEOUT, Reason.UNKNOWN})
ANSWERED: Final = frozenset({Reason.AUTH, Reason.PROTOCOL})


class Load(Protocol):
    """What is written to a sink: a job. id: by which it is known when it is sent again."""

    @property
    def id(self) -> str: ...


L = TypeVar("L", bound=Load)


def blamed(down: Down, id: str) -> Down:
    """The same, with the job that is suspected of it."""
    return msgspec.structs.replace(down, error=f"{down.error} (with job {id} alone under way)", job=id)


def given_up(down: Down, cap: int) -> Rejected:
    """Why the job is a dead letter."""
    return Rejected(down.reason.value, f"{down.error}; that happened {cap} times while the link was well otherwise")


class Step(Enum):
    """What to do with a job that broke off alone."""

    AGAIN = "again"  # back to its place, which is the head of the queue
    ASIDE = "aside"  # keep its lease; others go on
    GIVE_UP = "give up"  # a dead letter
    OUTAGE = "outage"  # give everything back: it is the link


class _Suspect(Generic[L]):
    """One job. seen: how many others had passed at its last break; proved: some did between two of its breaks.

    Units: due_s, began_s (of the try under way) on the caller's clock.
    """

    __slots__ = ("aside", "began_s", "charges", "down", "due_s", "proved", "retries", "seen", "tries", "trying")

    def __init__(self, seen: int, down: Down) -> None:
        self.seen = seen
        self.down = down
        self.proved = False
        self.charges = 0
        self.tries = 0
        self.retries = 0
        self.aside: L | None = None
        self.due_s = 0.0
        self.began_s = 0.0
        self.trying = False


class Suspects(Generic[L]):
    """Those of one sink. cap: charges that make a dead letter. Units: first_s, cap_s seconds between tries."""

    def __init__(self, cap: int, first_s: float, cap_s: float) -> None:
        self._cap = cap
        self._first_tries = max(1, min(FIRST_TRIES, cap - 1))
        self._first_s = first_s
        self._cap_s = cap_s
        self._of: dict[str, _Suspect[L]] = {}
        self._passed = 0
        self._in_vain = 0  # breaks since the last job that passed
        self._witnesses = 0
        self._unseen = 0  # jobs that were given up by answers alone since the last that passed
        self._aside = 0
        self._rest_s = -math.inf  # until then it is the others' turn
        self._alone_next = 0  # so many jobs go one by one
        self.nobody_waits = False  # the last look at the queue found nothing

    def knows(self, id: str) -> bool:
        """Whether this job has broken off before."""
        return id in self._of

    @property
    def aside(self) -> int:
        """How many are set aside."""
        return self._aside

    def said(self, id: str) -> Down | None:
        """What was said when this job last broke off."""
        return self._of[id].down if id in self._of else None

    def is_aside(self, id: str) -> bool:
        """Whether this job is set aside."""
        return id in self._of and self._of[id].aside is not None

    def waits(self, id: str) -> bool:
        """Whether this job is set aside, and not under way."""
        return id in self._of and self._of[id].aside is not None and not self._of[id].trying

    @property
    def exploring(self) -> bool:
        """Whether a job is looked for that passes where others do not."""
        return self._aside > 0 and self._in_vain > 0

    @property
    def quick(self) -> bool:
        """Whether the next try need not wait: so far one job's trouble is as likely as the link's."""
        return self.exploring or self._in_vain <= self._first_tries

    @property
    def worry(self) -> Down | None:
        """Why the oldest job that is set aside is so."""
        return next((blamed(each.down, id) for id, each in self._of.items() if each.aside is not None), None)

    def limit(self, count: int) -> int:
        """How many of `count` jobs may go in one batch."""
        return 1 if self._alone_next else count

    def kept_waiting(self, count: int) -> None:
        """So many jobs that were under way together had no answer in time: to look for the cause by parts of them would
        cost that time again and again.
        """
        self._alone_next = count

    def held(self) -> list[L]:
        """What is set aside, in its order."""
        return [each.aside for each in self._of.values() if each.aside is not None]

    def passed(self, ids: Collection[str]) -> None:
        """The other side has these: they are innocent, and the link was well."""
        if not ids:
            return
        self._passed += len(ids)
        self._in_vain = self._witnesses = 0
        self._unseen = 0
        self._alone_next = max(0, self._alone_next - len(ids))
        if self._of:
            for id in ids:
                self.forget(id)

    def forget(self, id: str) -> None:
        """It has ended, or was given back."""
        gone = self._of.pop(id, None)
        if gone is not None and gone.aside is not None:
            self._aside -= 1

    def given_back(self, id: str) -> None:
        """It waits in its place again; what is known of it stays."""
        suspect = self._of.get(id)
        if suspect is not None:
            suspect.trying = False
            if suspect.aside is not None:
                suspect.aside = None
                self._aside -= 1

    def _bound(self) -> None:
        """Forget those that have never been charged, should jobs that broke off be removed one after the other."""
        if len(self._of) > MAX_KNOWN:
            self._of = {id: each for id, each in self._of.items() if each.charges or each.aside is not None}

    def broke(self, load: L, down: Down, *, well: bool, now_s: float, beside: bool = False) -> Step:
        """This job, under way alone, was broken off. well: the other side has answered since its last break;
        beside: others passed in the same write.
        """
        self._bound()
        suspect = self._of.setdefault(load.id, _Suspect(self._passed, down))
        witnessed = beside or self._passed > suspect.seen
        suspect.proved = suspect.proved or witnessed
        early = suspect.charges < self._first_tries or (self._is_lonely and down.reason is not Reason.TIMEOUT)
        answered = well and (suspect.proved or (early and down.reason in BROKE_OFF))
        charged = down.reason in BROKE_OFF | ANSWERED and (witnessed or answered)
        suspect.seen, suspect.down, suspect.trying = self._passed, down, False
        suspect.charges += charged
        suspect.tries += 1
        self._in_vain += not beside
        if charged and suspect.charges >= self._cap and (suspect.proved or self._unseen < UNSEEN):
            self._unseen += not suspect.proved
            self.forget(load.id)
            return Step.GIVE_UP
        if suspect.aside is not None:
            took_s = now_s - suspect.began_s
            if took_s > QUICK_S:
                self._rest_s = now_s + took_s
            suspect.due_s = now_s + doubled_s(self._first_s, self._cap_s, max(suspect.charges - 1, suspect.retries))
            suspect.retries += 1
            return Step.ASIDE
        if beside:
            return Step.ASIDE if self._put_aside(load, suspect) else Step.AGAIN
        slow = down.reason is Reason.TIMEOUT and well  # nobody is to wait for it again
        if not (slow or self.exploring or suspect.tries >= self._first_tries):
            return Step.AGAIN
        if self.exploring:
            self._witnesses += 1
        if self._witnesses > WITNESSES or not self._put_aside(load, suspect):
            return Step.OUTAGE
        return Step.ASIDE

    def skip(self, load: L) -> bool:
        """Whether this job, just taken, is no witness since it broke off itself: then it is set aside unsent."""
        suspect = self._of.get(load.id)
        return suspect is not None and self.exploring and self._put_aside(load, suspect)

    def outage(self) -> list[L]:
        """Nothing passes: what is set aside, to be given back. That a job broke off is remembered."""
        held = self.held()
        full = self._aside >= MAX_ASIDE
        for suspect in self._of.values():
            suspect.tries = suspect.retries = 0
        self._witnesses = self._alone_next = 0
        if full:  # so many that broke off tell nothing about any of them
            self._of = {id: suspect for id, suspect in self._of.items() if suspect.charges}
        return held

    def rests(self, now_s: float) -> bool:
        """Whether what is set aside has had its share of the time."""
        return now_s < self._rest_s

    def due(self, now_s: float) -> L | None:
        """What is set aside and to be tried now: the link has proved to be well, or there is nothing else to try."""
        if self.rests(now_s) and not self.nobody_waits:
            return None
        for suspect in self._of.values():
            if suspect.aside is None or suspect.trying or suspect.due_s > now_s:
                continue
            if self._passed > suspect.seen or self.nobody_waits:
                suspect.trying, suspect.began_s = True, now_s
                return suspect.aside
        return None

    def untried(self, id: str) -> None:
        """It could not be tried after all."""
        if id in self._of:
            self._of[id].trying = False

    def wait_ms(self, longest_ms: int, now_s: float) -> int:
        """How long to wait for other jobs: until the next try of one that is set aside and not being tried."""
        if not self._aside:
            return longest_ms
        if not self.nobody_waits:
            return 0  # whether anybody else waits decides what is tried next
        waiting = [each.due_s for each in self._of.values() if each.aside is not None and not each.trying]
        return min([longest_ms, *(max(1, math.ceil((due_s - now_s) * 1000)) for due_s in waiting)])

    @property
    def _is_lonely(self) -> bool:
        """Whether there is hardly another job that could pass."""
        return self.nobody_waits and self._aside <= UNSEEN

    def _put_aside(self, load: L, suspect: _Suspect[L]) -> bool:
        if self._aside >= MAX_ASIDE:
            return False
        suspect.aside = load
        suspect.due_s = 0.0  # at once, when something has passed
        self._aside += 1
        return True
