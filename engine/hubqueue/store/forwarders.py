"""Forwarders that were made while the hub ran, and which of all are paused. The file keeps their tokens: mode 0600."""

from __future__ import annotations

from typing import Final

import msgspec

from hubqueue.model.forwarding import ForwardSpec, KeptForwarder
from hubqueue.store.tx import Tx

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ForwardSpec).decode

ALL: Final = "SELECT name, spec, paused FROM forwarder ORDER BY created_at_ms, name"
PUT: Final = """
    INSERT INTO forwarder (name, spec, created_at_ms) VALUES (?1, ?2, ?3)
    ON CONFLICT (name) DO UPDATE SET spec = ?2
"""
DELETE: Final = "DELETE FROM forwarder WHERE name = ?"
PAUSE: Final = """
    INSERT INTO forwarder (name, paused, created_at_ms) VALUES (?1, 1, ?2)
    ON CONFLICT (name) DO UPDATE SET paused = 1
"""
RESUME: Final = "UPDATE forwarder SET paused = 0 WHERE name = ?"
PRUNE: Final = "DELETE FROM forwarder WHERE spec IS NULL AND (paused = 0 OR name = ?)"


def every(tx: Tx) -> list[KeptForwarder]:
    """All that is kept, oldest first."""
    return [
        KeptForwarder(name, None if spec is None else _decode(spec), bool(paused))
        for name, spec, paused in tx.execute(ALL).fetchall()
    ]


def put(tx: Tx, spec: ForwardSpec) -> None:
    """Make or replace one; a paused one stays paused."""
    tx.execute(PUT, (spec.name, _encode(spec), tx.now_ms))


def delete(tx: Tx, name: str) -> None:
    tx.execute(DELETE, (name,))


def pause(tx: Tx, name: str) -> None:
    tx.execute(PAUSE, (name, tx.now_ms))


def resume(tx: Tx, name: str) -> None:
    """One of the configuration needs no row any more."""
    tx.execute(RESUME, (name,))
    tx.execute(PRUNE, (None,))


def forget(tx: Tx, name: str) -> None:
    """The configuration names it no more: its pause goes too."""
    tx.execute(PRUNE, (name,))
