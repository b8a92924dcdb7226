"""Looking into the backlog: find jobs, and what dead letters died of. Each step holds the loop for some milliseconds.

What is looked for has no index of its own; so a step stops after a while and says where the next one goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

import msgspec

from hubqueue.errors import Invalid
from hubqueue.hub.verbs import query
from hubqueue.model.errortext import first_line, pattern
from hubqueue.model.job import NO_HISTORY, Job, decode_history, failed_reason
from hubqueue.model.state import BY_LABEL, State, shown
from hubqueue.model.verbs import Page
from hubqueue.store import jobs, reasons, search
from hubqueue.store.queues import QueueRow
from hubqueue.store.search import ALL_VIEWS, Wanted
from hubqueue.store.tx import Tx

STEP_S: Final = 0.008  # one batch more may follow: together below the 20 ms that a hub may be held
MAX_FOUND_BYTES: Final = 4 * 1024 * 1024  # data and results of one answer; one job more may follow
MAX_DEAD: Final = 10_000  # dead letters that are grouped, the newest
UNKNOWN: Final = "unknown"


class Found(msgspec.Struct, frozen=True, gc=False):
    """Jobs with the word for their state, and where to go on (None: nothing is left)."""

    jobs: list[tuple[Job, str]]
    cursor: int | None
    looked_at: int


def find(
    tx: Tx,
    queue: str | None,
    words: Collection[str],
    *,
    name: str | None = None,
    text: str | None = None,
    reason: str | None = None,
    tags: Collection[str] = (),
    limit: int,
    after: int | None,
    ascending: bool,
    sees: Callable[[str], bool] = lambda _: True,
) -> Found:
    """Up to `limit` jobs that match, by age of acceptance; fewer, or none, when the time of a step is over.

    words: states as the protocol names them, none means all; queue None: all that the client sees.
    """
    states, views = _stored(words, reason)
    rows = _rows(tx, queue, sees)
    wanted = Wanted(name=name, text=text or None, reason=reason, tags=frozenset(tags), views=views)
    exact = None if wanted.text is None else tx.identity.seq_of(wanted.text)
    if exact is not None:
        return _found(tx, [exact] if _is_among(tx, exact, rows, states, wanted) else [], None, 1)
    until = tx.system.mono_s() + STEP_S
    seqs: list[int] = []
    size = looked_at = 0
    for batch in search.candidates(tx, rows, states, after, ascending=ascending):
        hits = search.hits(tx, batch.seqs, wanted)
        looked_at += batch.looked_at
        for seq in batch.seqs:
            hit = hits.get(seq)
            if hit is not None and search.matches(hit, wanted):
                seqs.append(seq)
                size += hit.size_bytes
                if len(seqs) == limit or size > MAX_FOUND_BYTES:
                    return _found(tx, seqs, seq, looked_at)
        if batch.looked_at == search.READ and tx.system.mono_s() >= until:  # a smaller one is the last
            return _found(tx, seqs, batch.last, looked_at)
    return _found(tx, seqs, None, looked_at)


def tagged(
    tx: Tx,
    queue: str,
    words: Collection[str],
    tags: Collection[str],
    *,
    limit: int,
    after: int | None,
    offset: int,
    ascending: bool,
) -> Page:
    """A page of the jobs of a queue that carry all of the tags; like all that is looked for, in steps.

    Errors: Invalid; nobody knows without looking how many an offset would pass.
    """
    if offset:
        raise Invalid("tags go with no offset", hint="the cursor of a page leads to the next one")
    if limit <= 0:
        return Page([])
    found = find(tx, queue, words, tags=tags, limit=limit, after=after, ascending=ascending)
    return Page([job for job, _ in found.jobs], found.cursor)


def _rows(tx: Tx, queue: str | None, sees: Callable[[str], bool]) -> list[QueueRow]:
    if queue is None:
        return [row for row in tx.queues.by_name.values() if sees(row.name)]
    row = tx.queues.find(queue)
    return [] if row is None else [row]


def _stored(words: Collection[str], reason: str | None) -> tuple[tuple[State, ...], frozenset[str]]:
    """The stored states behind the words, and which views of waiting jobs belong. Errors: Invalid."""
    unknown = [word for word in words if word not in BY_LABEL and word not in ALL_VIEWS]
    if unknown:
        known = ", ".join(sorted({*BY_LABEL, *ALL_VIEWS}))
        raise Invalid(f"Unknown state: {unknown[0][:100]}", hint=f"states are {known}")
    views = ALL_VIEWS & set(words) if words else ALL_VIEWS
    states = {BY_LABEL[word] for word in words if word not in ALL_VIEWS} if words else set(State)
    if views:
        states.add(State.WAITING)
    if reason is not None:
        states &= {State.FAILED}
    return tuple(sorted(states)), views


def _is_among(tx: Tx, seq: int, rows: Collection[QueueRow], states: Collection[State], wanted: Wanted) -> bool:
    """Whether the job whose id was asked for fits the rest of the question."""
    found = jobs.get(tx, seq)
    if found is None or found[1] not in rows or found[0].state not in states:
        return False
    hit = search.hits(tx, [seq], msgspec.structs.replace(wanted, text=None)).get(seq)
    return hit is not None and search.matches(hit, msgspec.structs.replace(wanted, text=None))


def _found(tx: Tx, seqs: Sequence[int], cursor: int | None, looked_at: int) -> Found:
    return Found([(job, _word(tx, job)) for job in search.read(tx, seqs)], cursor, looked_at)


def _word(tx: Tx, job: Job) -> str:
    if job.state is State.WAITING and query.is_paused(tx, job.queue):
        return "paused"
    return shown(State(query.as_shown(tx, job).state), job.priority)


class Group(msgspec.Struct, gc=False):
    """Dead letters that died of the same. error: the words of the newest one; pattern: what all have in common."""

    queue: str
    reason: str
    pattern: str
    error: str
    sample_id: str
    count: int = 0
    newest_ms: int = 0
    oldest_ms: int = 1 << 62


class Reasons:
    """Groups of the newest dead letters of a queue, or of all that the client sees. `step` until it answers False."""

    def __init__(self, queue: str | None, sees: Callable[[str], bool]) -> None:
        self._queue = queue
        self._sees = sees
        self._after: int | None = None
        self._groups: dict[tuple[int, str, str], Group] = {}
        self.counted = 0
        self.total = 0

    def step(self, tx: Tx) -> bool:
        """One slice; whether there is more to read."""
        rows = _rows(tx, self._queue, self._sees)
        self.total = sum(row.n[State.FAILED] for row in rows)
        until = tx.system.mono_s() + STEP_S
        for batch in search.candidates(tx, rows, (State.FAILED,), self._after, ascending=False):
            for dead in reasons.dead(tx, batch.seqs[: MAX_DEAD - self.counted]):
                self._count(tx, dead)
            self._after = batch.last
            if self.counted >= MAX_DEAD:
                return False
            if tx.system.mono_s() >= until:
                return True
        return False

    def largest_first(self) -> list[Group]:
        return sorted(self._groups.values(), key=lambda group: (-group.count, -group.newest_ms))

    def _count(self, tx: Tx, dead: reasons.Dead) -> None:
        history = NO_HISTORY if dead.history is None else decode_history(dead.history)
        error, reason = failed_reason(history), history.reason or UNKNOWN
        key = (dead.queue, reason, pattern(error))
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(tx.queues.by_id[dead.queue].name, reason, key[2], "", "")
        group.count += 1
        self.counted += 1
        if dead.finished_at_ms >= group.newest_ms:
            group.newest_ms = dead.finished_at_ms
            group.error = first_line(error)
            group.sample_id = dead.custom_id or tx.identity.public_id(dead.seq)
        group.oldest_ms = min(group.oldest_ms, dead.finished_at_ms)
