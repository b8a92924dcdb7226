"""Named state blobs, stored by a settle in the transaction that completes the jobs they came from."""

from __future__ import annotations

from typing import Final

from hubqueue.store.tx import Tx

PUT: Final = "INSERT OR REPLACE INTO blob (namespace, key, value) VALUES (?, ?, ?)"
DELETE: Final = "DELETE FROM blob WHERE namespace = ? AND key = ?"
GET: Final = "SELECT value FROM blob WHERE namespace = ? AND key = ?"
KEYS: Final = "SELECT key, value FROM blob WHERE namespace = ? AND key > ? ORDER BY key LIMIT ?"


def put(tx: Tx, namespace: str, key: str, value: bytes | None) -> None:
    """Store a blob; None deletes it."""
    if value is None:
        tx.execute(DELETE, (namespace, key))
    else:
        tx.execute(PUT, (namespace, key, value))


def get(tx: Tx, namespace: str, key: str) -> bytes | None:
    row = tx.execute(GET, (namespace, key)).fetchone()
    return None if row is None else bytes(row[0])


def keys(tx: Tx, namespace: str, after: str, limit: int) -> list[tuple[str, bytes]]:
    """A page of (key, value) in order of key."""
    return tx.execute(KEYS, (namespace, after, limit)).fetchall()
