"""Settings of queues: stored with the queue, kept in memory for the few that have their own."""

from __future__ import annotations

import sqlite3
from typing import Final

import msgspec

from hubqueue.model.queue_settings import QueueSettings
from hubqueue.store.queues import QueueRow, Queues
from hubqueue.store.tx import Tx

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(QueueSettings).decode

STORE: Final = "UPDATE queue SET settings = ? WHERE id = ?"
LOAD: Final = "SELECT name, settings FROM queue WHERE settings IS NOT NULL"


def load(db: sqlite3.Connection, queues: Queues) -> None:
    """Read them all, at open."""
    for name, blob in db.execute(LOAD).fetchall():
        queues.settings[name] = _decode(blob)


def store(tx: Tx, row: QueueRow, settings: QueueSettings) -> None:
    """Set the settings of a queue."""
    tx.execute(STORE, (_encode(settings), row.id))
    _keep(tx, row.name, settings)


def forget(tx: Tx, name: str) -> None:
    """The queue is gone, and its row with it."""
    if name in tx.queues.settings:
        _keep(tx, name, None)


def _keep(tx: Tx, name: str, settings: QueueSettings | None) -> None:
    known = tx.queues.settings
    before = known.get(name)
    tx.undo.append(lambda: _put(known, name, before))
    _put(known, name, settings)


def _put(known: dict[str, QueueSettings], name: str, settings: QueueSettings | None) -> None:
    if settings is None:
        known.pop(name, None)
    else:
        known[name] = settings
