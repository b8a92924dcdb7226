"""Custom ids, forwarded ids and deduplication keys: who owns one, and for how long.

A custom id belongs to its job while the row exists; a finished job's id may be pushed again (a new generation).
Two namespaces stay idempotent after their job has finished, so that a resend never runs twice:
`once:` (client-made, for a request whose answer was lost) and `fwd:<hub_id>:<queue>:<seq>` (forwarders).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from hubqueue.model.job import Dedup, Flag, decode_options
from hubqueue.model.state import TERMINAL
from hubqueue.store.tx import Tx, padded

ONCE: Final = "once:"
ONCE_KEPT_MS: Final = 3_600_000
FORWARD: Final = "fwd:"


class Owner(NamedTuple):
    """Who holds an id or key. state None: the row is gone and only its id is remembered."""

    seq: int
    state: int | None
    custom_id: str | None
    remembered: bool  # still counts as known although its job has finished

    @property
    def unfinished(self) -> bool:
        return self.state is not None and self.state not in TERMINAL


class ForwardId(NamedTuple):
    """The parts of a forwarder's id."""

    hub_id: str
    queue: str
    seq: int


def parse_forward(custom_id: str) -> ForwardId | None:
    """The parts of `fwd:<hub_id>:<queue>:<seq>`; None for any other id (queue names may hold colons)."""
    if not custom_id.startswith(FORWARD):
        return None
    hub_id, _, rest = custom_id[len(FORWARD) :].partition(":")
    queue, _, digits = rest.rpartition(":")
    if not hub_id or not queue or not digits.isascii() or not digits.isdigit() or len(digits) > 16:
        return None
    return ForwardId(hub_id, queue, int(digits)) if str(int(digits)) == digits else None


CUSTOM: Final = """
    SELECT custom_id.seq, job.state, custom_id.id, custom_id.expires_at_ms, job.queue
    FROM custom_id LEFT JOIN job ON job.seq = custom_id.seq
    WHERE custom_id.id = ?
"""
FORWARDED: Final = """
    SELECT forward_id.seq, job.state, job.queue
    FROM forward_id LEFT JOIN job ON job.seq = forward_id.seq
    WHERE source = ? AND source_seq = ?
"""
SOURCE: Final = "SELECT id, floor FROM forward_source WHERE hub_id = ? AND queue = ?"


def owner_of(tx: Tx, custom_id: str) -> Owner | None:
    """Who holds a custom id; None when it is free."""
    forward = parse_forward(custom_id)
    if forward is None:
        row = tx.execute(CUSTOM, (custom_id,)).fetchone()
        if row is None:
            return None
        remembered = row[3] is not None and row[3] > tx.now_ms
        there = row[4] in tx.queues.by_id  # else its queue was obliterated, and the row only waits to be deleted
        return Owner(row[0], row[1] if there else None, row[2], remembered)
    source = tx.execute(SOURCE, (forward.hub_id, forward.queue)).fetchone()
    if source is None:
        return None
    row = tx.execute(FORWARDED, (source[0], forward.seq)).fetchone()
    if row is not None:
        return Owner(row[0], row[1] if row[2] in tx.queues.by_id else None, custom_id, True)
    return Owner(-1, None, custom_id, True) if forward.seq < source[1] else None


CLAIM_CUSTOM: Final = "INSERT OR REPLACE INTO custom_id (id, seq, expires_at_ms) VALUES (?, ?, NULL)"
NEW_SOURCE: Final = "INSERT OR IGNORE INTO forward_source (hub_id, queue) VALUES (?, ?)"
CLAIM_FORWARD: Final = """
    INSERT OR REPLACE INTO forward_id (source, source_seq, seq)
    SELECT id, ?3, ?4 FROM forward_source WHERE hub_id = ?1 AND queue = ?2
"""


def claim(tx: Tx, custom_id: str, seq: int) -> None:
    """Give a custom id to a job."""
    forward = parse_forward(custom_id)
    if forward is None:
        tx.execute(CLAIM_CUSTOM, (custom_id, seq))
        return
    values = (forward.hub_id, forward.queue, forward.seq, seq)
    if tx.execute(CLAIM_FORWARD, values).rowcount == 0:
        tx.execute(NEW_SOURCE, values[:2])
        tx.execute(CLAIM_FORWARD, values)


FLOOR_SLICE: Final = 2000  # ids passed by the floor in one go, so that no step is long; the next batch goes on
BEYOND_SLICE: Final = """
    SELECT source_seq FROM forward_id
    WHERE source = ? AND source_seq >= ? AND source_seq < ?
    ORDER BY source_seq LIMIT 1 OFFSET ?
"""
RAISE_FLOOR: Final = "UPDATE forward_source SET floor = ? WHERE id = ?"
BELOW_FLOOR: Final = """
    DELETE FROM forward_id
    WHERE source = ? AND source_seq >= ? AND source_seq < ? AND gone_at_ms IS NOT NULL
"""


def raise_floor(tx: Tx, hub_id: str, queue: str, floor: int) -> None:
    """The sender has settled everything below `floor`: ids below it are known without being kept.

    Those of jobs that are still here are kept as long as their row: callers name the job by its id.
    """
    source = tx.execute(SOURCE, (hub_id, queue)).fetchone()
    if source is None or floor <= source[1]:
        return
    beyond = tx.execute(BEYOND_SLICE, (*source, floor, FLOOR_SLICE)).fetchone()
    reached = floor if beyond is None else beyond[0]
    tx.execute(RAISE_FLOOR, (reached, source[0]))
    tx.execute(BELOW_FLOOR, (*source, reached))


REMEMBER_ONCE: Final = "UPDATE custom_id SET expires_at_ms = ? WHERE id = ? AND seq = ?"
FORGET_FORWARD: Final = """
    DELETE FROM forward_id
    WHERE source = (SELECT id FROM forward_source WHERE hub_id = ?1 AND queue = ?2 AND floor > ?3) AND source_seq = ?3
"""
REMEMBER_FORWARD: Final = """
    UPDATE forward_id SET gone_at_ms = ?4
    WHERE source = (SELECT id FROM forward_source WHERE hub_id = ?1 AND queue = ?2) AND source_seq = ?3
"""
FREE_CUSTOM: Final = "DELETE FROM custom_id WHERE id = ? AND seq = ? AND expires_at_ms IS NULL"
HOLDINGS: Final = "SELECT seq, queue, flags, custom_id, options, finished_at_ms FROM job WHERE seq IN "
IDENTIFIED: Final = Flag.CUSTOM_ID | Flag.DEDUP


def finished(tx: Tx, seqs: list[int], *, gone: bool) -> None:
    """These jobs (with Flag.CUSTOM_ID or DEDUP) have finished, or their rows are about to be deleted."""
    for marks, values in padded(seqs):
        held = tx.execute(f"{HOLDINGS} ({marks})", values).fetchall()
        for seq, queue, flags, custom_id, options, finished_at_ms in held:
            if flags & Flag.DEDUP and options is not None:
                dedup = decode_options(options).dedup
                if dedup is not None:
                    _finish_key(tx, queue, dedup.key, seq)
            if custom_id is not None:
                if gone:
                    _free_custom(tx, custom_id, seq, finished_at_ms)
                elif custom_id.startswith(ONCE):
                    tx.execute(REMEMBER_ONCE, (tx.now_ms + ONCE_KEPT_MS, custom_id, seq))


def _free_custom(tx: Tx, custom_id: str, seq: int, finished_at_ms: int | None) -> None:
    """The row goes: a forwarder's id is remembered from when the job finished, unless its floor has passed it."""
    forward = parse_forward(custom_id)
    if forward is None:
        tx.execute(FREE_CUSTOM, (custom_id, seq))
    elif not tx.execute(FORGET_FORWARD, forward).rowcount:
        tx.execute(REMEMBER_FORWARD, (*forward, tx.now_ms if finished_at_ms is None else finished_at_ms))


KEY: Final = """
    SELECT dedup.seq, job.state, job.custom_id, dedup.expires_at_ms
    FROM dedup LEFT JOIN job ON job.seq = dedup.seq
    WHERE dedup.queue = ? AND dedup.key = ?
"""
CLAIM_KEY: Final = "INSERT OR REPLACE INTO dedup (queue, key, seq, expires_at_ms) VALUES (?, ?, ?, ?)"
EXTEND_KEY: Final = "UPDATE dedup SET expires_at_ms = ? WHERE queue = ? AND key = ?"
FREE_KEY: Final = "DELETE FROM dedup WHERE queue = ? AND key = ?"
FINISH_KEY: Final = """
    DELETE FROM dedup
    WHERE queue = ? AND key = ? AND seq = ? AND (expires_at_ms IS NULL OR expires_at_ms <= ?)
"""


def key_owner(tx: Tx, queue_id: int, key: str) -> Owner | None:
    """Who holds a deduplication key now: an unfinished job, or a finished one inside the key's ttl."""
    row = tx.execute(KEY, (queue_id, key)).fetchone()
    if row is None:
        return None
    owner = Owner(row[0], row[1], row[2], row[3] is not None and row[3] > tx.now_ms)
    return owner if owner.unfinished or owner.remembered else None


def claim_key(tx: Tx, queue_id: int, dedup: Dedup, seq: int) -> None:
    tx.execute(CLAIM_KEY, (queue_id, dedup.key, seq, _expiry(tx, dedup)))


def extend_key(tx: Tx, queue_id: int, dedup: Dedup) -> None:
    tx.execute(EXTEND_KEY, (_expiry(tx, dedup), queue_id, dedup.key))


def free_key(tx: Tx, queue_id: int, key: str) -> bool:
    """Forget a key; whether there was one."""
    return tx.execute(FREE_KEY, (queue_id, key)).rowcount == 1


def _finish_key(tx: Tx, queue_id: int, key: str, seq: int) -> None:
    tx.execute(FINISH_KEY, (queue_id, key, seq, tx.now_ms))


def _expiry(tx: Tx, dedup: Dedup) -> int | None:
    return None if dedup.ttl_ms is None else tx.now_ms + dedup.ttl_ms


DUE_CUSTOM: Final = """
    SELECT custom_id.id, job.seq IS NOT NULL
    FROM custom_id LEFT JOIN job ON job.seq = custom_id.seq
    WHERE custom_id.expires_at_ms IS NOT NULL AND custom_id.expires_at_ms <= ? LIMIT ?
"""
DROP_CUSTOM: Final = "DELETE FROM custom_id WHERE id = ?"
UNREMEMBER_CUSTOM: Final = "UPDATE custom_id SET expires_at_ms = NULL WHERE id = ?"
DUE_KEYS: Final = """
    SELECT dedup.queue, dedup.key, coalesce(job.state < 4, 0)
    FROM dedup LEFT JOIN job ON job.seq = dedup.seq
    WHERE dedup.expires_at_ms IS NOT NULL AND dedup.expires_at_ms <= ? LIMIT ?
"""
UNREMEMBER_KEY: Final = "UPDATE dedup SET expires_at_ms = NULL WHERE queue = ? AND key = ?"
EXPIRE_FORWARD: Final = """
    DELETE FROM forward_id
    WHERE (source, source_seq) IN (SELECT source, source_seq FROM forward_id WHERE gone_at_ms <= ? LIMIT ?)
"""


def expire(tx: Tx, forward_before_ms: int, limit: int) -> int:
    """Forget ids and keys whose retention is over, oldest first, at most `limit` of each kind; how many."""
    customs = tx.execute(DUE_CUSTOM, (tx.now_ms, limit)).fetchall()
    for custom_id, kept in customs:  # while its row is there, the id stays with it
        tx.execute(UNREMEMBER_CUSTOM if kept else DROP_CUSTOM, (custom_id,))
    keys = tx.execute(DUE_KEYS, (tx.now_ms, limit)).fetchall()
    for queue, key, held in keys:  # an unfinished job holds its key beyond the ttl
        tx.execute(UNREMEMBER_KEY if held else FREE_KEY, (queue, key))
    return len(customs) + len(keys) + tx.execute(EXPIRE_FORWARD, (forward_before_ms, limit)).rowcount
