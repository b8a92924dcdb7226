"""Custom ids, forwarded ids and deduplication keys: who owns one, and for how long.

A custom id belongs to its job while the row exists; a finished job's id may be pushed again (a new generation).
Two namespaces stay idempotent after their job has finished or was removed, so that a resend never runs twice, nor after
what has replaced it:
`once:` (client-made, for a request whose answer was lost) and `fwd:<hub_id>:<queue>:<seq>` (forwarders).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from hubqueue.model.job import Dedup, Flag, decode_options
from hubqueue.model.state import TERMINAL
from hubqueue.store import forwarded
from hubqueue.store.forwarded import ForwardId, parse_forward
from hubqueue.store.tx import Tx, padded

ONCE: Final = "once:"
ONCE_KEPT_MS: Final = 3_600_000


class Owner(NamedTuple):
    """Who holds an id or key. state None: the row is gone and only its id is remembered."""

    seq: int
    state: int | None
    custom_id: str | None
    remembered: bool  # still counts as known although its job has finished
    queue: str | None = None  # where its row is; not asked for keys and ids of `is_idempotent`

    @property
    def unfinished(self) -> bool:
        return self.state is not None and self.state not in TERMINAL


def is_idempotent(custom_id: str) -> bool:
    """Whether it is of a namespace that is answered wherever its job is, and after its end."""
    return custom_id.startswith(ONCE) or parse_forward(custom_id) is not None


CUSTOM: Final = """
    SELECT custom_id.seq, job.state, custom_id.id, custom_id.expires_at_ms, job.queue
    FROM custom_id LEFT JOIN job ON job.seq = custom_id.seq
    WHERE custom_id.id = ?
"""


def owner_of(tx: Tx, custom_id: str) -> Owner | None:
    """Who holds a custom id; None when it is free."""
    forward = parse_forward(custom_id)
    if forward is None:
        row = tx.execute(CUSTOM, (custom_id,)).fetchone()
        if row is None:
            return None
        remembered = row[3] is not None and row[3] > tx.now_ms
        queue = tx.queues.by_id.get(row[4])
        if queue is None:  # its queue was obliterated: the row, if there still is one, only waits to be deleted
            return Owner(row[0], None, row[2], remembered)
        return Owner(row[0], row[1], row[2], remembered, queue.name)
    found = forwarded.find(tx, forward)
    return None if found is None else Owner(found[0], found[1], custom_id, True)


CLAIM_CUSTOM: Final = "INSERT OR REPLACE INTO custom_id (id, seq, expires_at_ms) VALUES (?, ?, NULL)"


def claim(tx: Tx, custom_id: str, seq: int) -> None:
    """Give a custom id to a job."""
    forward = parse_forward(custom_id)
    if forward is None:
        tx.execute(CLAIM_CUSTOM, (custom_id, seq))
    else:
        forwarded.claim(tx, forward, seq)


REMEMBER_ONCE: Final = "UPDATE custom_id SET expires_at_ms = ? WHERE id = ? AND seq = ?"
FREE_CUSTOM: Final = "DELETE FROM custom_id WHERE id = ? AND seq = ? AND expires_at_ms IS NULL"
HOLDINGS: Final = "SELECT seq, queue, flags, custom_id, options, finished_at_ms FROM job WHERE seq IN "
IDENTIFIED: Final = Flag.CUSTOM_ID | Flag.DEDUP


def finished(tx: Tx, seqs: list[int], *, gone: bool) -> None:
    """These jobs (with Flag.CUSTOM_ID or DEDUP) have finished, or their rows are about to be deleted."""
    forwards: list[tuple[ForwardId, int]] = []
    for marks, values in padded(seqs):
        held = tx.execute(f"{HOLDINGS} ({marks})", values).fetchall()
        for seq, queue, flags, custom_id, options, finished_at_ms in held:
            if flags & Flag.DEDUP and options is not None:
                dedup = decode_options(options).dedup
                if dedup is not None:
                    _finish_key(tx, queue, dedup.key, seq)
            if custom_id is not None:
                ends = not gone or (finished_at_ms is None and queue in tx.queues.by_id)  # now, also if it is removed
                if gone and (forward := parse_forward(custom_id)) is not None:
                    forwards.append((forward, tx.now_ms if finished_at_ms is None else finished_at_ms))
                elif ends and custom_id.startswith(ONCE):
                    tx.execute(REMEMBER_ONCE, (tx.now_ms + ONCE_KEPT_MS, custom_id, seq))
                elif gone:
                    tx.execute(FREE_CUSTOM, (custom_id, seq))
    if forwards:
        forwarded.release(tx, forwards)


NAMED: Final = "SELECT seq, custom_id FROM job WHERE custom_id IS NOT NULL AND seq IN "


def public_ids(tx: Tx, seqs: list[int]) -> list[str]:
    """What clients call these jobs, in order: the custom id where there is one."""
    named: dict[int, str] = {}
    for marks, values in padded(seqs):
        named.update(tx.execute(f"{NAMED} ({marks})", values).fetchall())
    return [named.get(seq) or tx.identity.public_id(seq) for seq in seqs]


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


def expire(tx: Tx, forward_before_ms: int, forward_kept: int, limit: int) -> int:
    """Forget ids and keys whose retention is over, oldest first, at most `limit` of each kind; how many."""
    customs = tx.execute(DUE_CUSTOM, (tx.now_ms, limit)).fetchall()
    for custom_id, kept in customs:  # while its row is there, the id stays with it
        tx.execute(UNREMEMBER_CUSTOM if kept else DROP_CUSTOM, (custom_id,))
    keys = tx.execute(DUE_KEYS, (tx.now_ms, limit)).fetchall()
    for queue, key, held in keys:  # an unfinished job holds its key beyond the ttl
        tx.execute(UNREMEMBER_KEY if held else FREE_KEY, (queue, key))
    return len(customs) + len(keys) + forwarded.expire(tx, forward_before_ms, forward_kept, limit)
