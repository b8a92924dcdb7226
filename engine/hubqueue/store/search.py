"""Looking through jobs in order of seq, a few at a time, so that the caller can stop whenever it has looked enough.

Nothing here is indexed by what is looked for: the index gives the jobs of a queue and state, the rows say the rest.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

import msgspec

from hubqueue.model.job import NO_HISTORY, History, Job, decode_history, decode_options
from hubqueue.model.state import State, words_of
from hubqueue.store.jobs import COLUMNS, as_job
from hubqueue.store.lists import LAST
from hubqueue.store.queues import QueueRow
from hubqueue.store.tx import PADDED, Tx, padded

MAX_STREAMS: Final = 200  # queues times states that are merged; beyond it the whole table is walked
FIRST_READ: Final = 16  # seqs one stream reads at first: most readers want a page
READ: Final = PADDED[-1]
MAX_SEARCHED_BYTES: Final = 16 * 1024  # larger data is not searched: SQLite would have to read all of it


class Batch(NamedTuple):
    """Seqs of the next candidates in order, and the last seq that was looked at to find them."""

    seqs: list[int]
    last: int
    looked_at: int


def candidates(
    tx: Tx, queues: Collection[QueueRow], states: Sequence[State], after: int | None, *, ascending: bool
) -> Iterator[Batch]:
    """The jobs of these queues and states behind `after`, in order of seq over all of them."""
    there = ((row.id, state) for row in queues for state in states if row.n[state])
    streams = list(islice(there, MAX_STREAMS + 1))
    if len(streams) > MAX_STREAMS:
        yield from _walk(tx, queues, states, after, ascending=ascending)
        return
    each = [_stream(tx, queue, state, after, ascending=ascending) for queue, state in streams]
    merged = each[0] if len(each) == 1 else heapq.merge(*each, reverse=not ascending)
    while seqs := list(islice(merged, READ)):
        yield Batch(seqs, seqs[-1], len(seqs))


def _next(columns: str, where: str) -> dict[bool, str]:
    head = f"SELECT {columns} FROM job WHERE {where}"
    return {
        True: f"{head} seq > ?1 ORDER BY seq ASC LIMIT ?2",
        False: f"{head} seq < ?1 ORDER BY seq DESC LIMIT ?2",
    }


STREAM: Final = _next("seq", "queue = ?3 AND state = ?4 AND")
WALK: Final = _next("seq, queue, state", "")


def _stream(tx: Tx, queue: int, state: State, after: int | None, *, ascending: bool) -> Iterator[int]:
    last = after if after is not None else (-1 if ascending else LAST)
    size = FIRST_READ
    while True:
        rows = tx.execute(STREAM[ascending], (last, size, queue, int(state))).fetchall()
        for (seq,) in rows:
            yield seq
        if len(rows) < size:
            return
        last, size = rows[-1][0], READ


def _walk(
    tx: Tx, queues: Collection[QueueRow], states: Sequence[State], after: int | None, *, ascending: bool
) -> Iterator[Batch]:
    ids, wanted = {row.id for row in queues}, {int(state) for state in states}
    last = after if after is not None else (-1 if ascending else LAST)
    while rows := tx.execute(WALK[ascending], (last, READ)).fetchall():
        last = rows[-1][0]
        yield Batch([seq for seq, queue, state in rows if state in wanted and queue in ids], last, len(rows))


ALL_VIEWS: Final = frozenset(words_of([State.WAITING]))


class Wanted(msgspec.Struct, frozen=True):
    """What a job must have. `name` and `reason` are its very words; `text` is in its id, name, errors or data.

    Letters of ASCII in `text` are alike in both cases. `tags`: it carries all of these. `views`: which waiting jobs
    belong, by the words of the protocol.
    """

    name: str | None = None
    text: str | None = None
    reason: str | None = None
    tags: frozenset[str] = frozenset()
    views: frozenset[str] = ALL_VIEWS

    @property
    def needle(self) -> str | None:
        return None if self.text is None else lowered(self.text)


def lowered(text: str) -> str:
    """As SQLite's lower() does it: ASCII only."""
    return text.encode("utf-8", "replace").lower().decode()


class Hit(NamedTuple):
    """A job that matches, or may: then `history` and `options` decide (`matches`)."""

    seq: int
    size_bytes: int
    sure: bool
    history: bytes | None
    options: bytes | None


VIEW: Final = """
    (state <> 0 OR CASE (SELECT paused FROM queue WHERE id = job.queue)
        WHEN 1 THEN :paused ELSE CASE WHEN priority > 0 THEN :prioritized ELSE :waiting END END)
"""
NAME: Final = "name = :name"
REASON: Final = "history IS NOT NULL AND instr(history, CAST(:reason AS BLOB))"
TAG: Final = "options IS NOT NULL AND instr(options, :tag)"  # one of them: the row's options say the rest
SURE: Final = f"""
    coalesce(instr(lower(name), :text) OR instr(lower(custom_id), :text)
        OR length(data) <= {MAX_SEARCHED_BYTES} AND instr(lower(CAST(data AS TEXT)), :text), 0)
"""
IN_HISTORY: Final = "(history IS NOT NULL AND instr(lower(CAST(history AS TEXT)), :text))"


def hits(tx: Tx, seqs: Sequence[int], wanted: Wanted) -> dict[int, Hit]:
    """Those of the seqs that match as far as SQL can tell."""
    terms = [
        *((VIEW,) if wanted.views != ALL_VIEWS else ()),
        *((NAME,) if wanted.name is not None else ()),
        *((REASON,) if wanted.reason is not None else ()),
        *((TAG,) if wanted.tags else ()),
        *((f"({SURE} OR {IN_HISTORY})",) if wanted.text is not None else ()),
    ]
    sure = "1" if wanted.text is None else SURE
    history = "history" if wanted.reason is not None or wanted.text is not None else "NULL"
    options = "options" if wanted.tags else "NULL"
    sql = f"""
        SELECT seq, coalesce(length(data), 0) + coalesce(length(result), 0), {sure}, {history}, {options}
        FROM job
        WHERE {" AND ".join(["seq IN (SELECT value FROM json_each(:seqs))", *terms])}
    """  # a text for each combination of terms, so that SQLite keeps them
    values = {
        "seqs": msgspec.json.encode(seqs).decode(),
        "name": wanted.name,
        "text": wanted.needle,
        "reason": wanted.reason,
        "tag": max(wanted.tags, key=len, default="").encode("utf-8", "replace"),
        **{view: view in wanted.views for view in ALL_VIEWS},
    }
    return {row[0]: Hit(*row) for row in tx.execute(sql, values).fetchall()}


def matches(hit: Hit, wanted: Wanted) -> bool:
    """What SQL could not tell: in what is stored it cannot tell an error or a tag from other words."""
    if hit.options is not None and not wanted.tags.issubset(decode_options(hit.options).tags):
        return False
    if hit.sure and wanted.reason is None:
        return True
    history = NO_HISTORY if hit.history is None else decode_history(hit.history)
    if wanted.reason is not None and history.reason != wanted.reason:
        return False
    return hit.sure or _tells(history, wanted.needle or "")


def _tells(history: History, needle: str) -> bool:
    errors = (history.error, *(run.error for run in history.attempts))
    return any(needle in lowered(error) for error in errors if error)


READ_JOBS: Final = f"SELECT {COLUMNS}, queue FROM job WHERE seq IN "


def read(tx: Tx, seqs: Sequence[int]) -> list[Job]:
    """The jobs of these seqs, in this order."""
    found = {}
    for marks, values in padded(seqs):
        for row in tx.execute(f"{READ_JOBS} ({marks})", values).fetchall():
            found[row[0]] = as_job(tx, row[:-1], tx.queues.by_id[row[-1]].name)
    return [found[seq] for seq in seqs]
