"""Webhooks, and how their deliveries went."""

from __future__ import annotations

import sqlite3
from typing import Final

import msgspec

from hubqueue.model.webhook import Webhook
from hubqueue.store.tx import Tx

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Webhook).decode

PUT: Final = """
    INSERT INTO webhook (id, spec, created_at_ms) VALUES (?1, ?2, ?3)
    ON CONFLICT (id) DO UPDATE SET spec = ?2
"""
DELETE: Final = "DELETE FROM webhook WHERE id = ?"
SPECS: Final = "SELECT spec FROM webhook ORDER BY created_at_ms, id"
ALL: Final = """
    SELECT spec, created_at_ms, triggered_at_ms, succeeded, failed FROM webhook ORDER BY created_at_ms, id
"""
SENT: Final = """
    UPDATE webhook SET triggered_at_ms = ?, succeeded = succeeded + ?, failed = failed + ? WHERE id = ?
"""


class Sent(msgspec.Struct, frozen=True, gc=False):
    """A webhook and what became of its deliveries. Units: Unix milliseconds."""

    webhook: Webhook
    created_at_ms: int
    triggered_at_ms: int | None
    succeeded: int
    failed: int


def load(db: sqlite3.Connection) -> list[Webhook]:
    """All of them, at open."""
    return [_decode(spec) for (spec,) in db.execute(SPECS).fetchall()]


def put(tx: Tx, webhook: Webhook) -> None:
    tx.execute(PUT, (webhook.id, _encode(webhook), tx.now_ms))


def delete(tx: Tx, id: str) -> None:
    tx.execute(DELETE, (id,))


def every(tx: Tx) -> list[Sent]:
    """All of them, oldest first."""
    return [Sent(_decode(row[0]), *row[1:]) for row in tx.execute(ALL).fetchall()]


def sent(tx: Tx, id: str, *, well: bool) -> None:
    """Count an attempt to deliver."""
    tx.execute(SENT, (tx.now_ms, int(well), int(not well), id))
