"""What dead letters died of, read a slice at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from hubqueue.store.tx import Tx, padded


class Dead(NamedTuple):
    """One dead letter, without its data."""

    seq: int
    queue: int
    finished_at_ms: int
    custom_id: str | None
    history: bytes | None


DEAD: Final = "SELECT seq, queue, coalesce(finished_at_ms, created_at_ms), custom_id, history FROM job WHERE seq IN "


def dead(tx: Tx, seqs: Sequence[int]) -> list[Dead]:
    """The dead letters of these seqs."""
    found = []
    for marks, values in padded(seqs):
        found += [Dead._make(row) for row in tx.execute(f"{DEAD} ({marks})", values).fetchall()]
    return found
