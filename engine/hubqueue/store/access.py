"""Access tokens: what each may do and when it was made and last used. Of a token itself only its digest is kept."""

from __future__ import annotations

import sqlite3
from typing import Final

import msgspec

from hubqueue.model.access import Grant
from hubqueue.store.tx import Tx

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Grant).decode

ALL: Final = "SELECT digest, spec, created_at_ms, used_at_ms FROM token ORDER BY created_at_ms, name"
PUT: Final = "INSERT INTO token (name, digest, spec, created_at_ms) VALUES (?, ?, ?, ?)"
DELETE: Final = "DELETE FROM token WHERE name = ?"
USED: Final = "UPDATE token SET used_at_ms = ? WHERE name = ?"


class Token(msgspec.Struct):
    """One token that the file knows. Units: Unix milliseconds; used_at_ms is at most an hour behind."""

    digest: bytes
    grant: Grant
    created_at_ms: int
    used_at_ms: int | None = None


def load(db: sqlite3.Connection) -> list[Token]:
    """All of them, oldest first, at open."""
    return [
        Token(digest, _decode(spec), created_at_ms, used_at_ms)
        for digest, spec, created_at_ms, used_at_ms in db.execute(ALL).fetchall()
    ]


def put(tx: Tx, token: Token) -> None:
    tx.execute(PUT, (token.grant.name, token.digest, _encode(token.grant), token.created_at_ms))


def delete(tx: Tx, name: str) -> None:
    tx.execute(DELETE, (name,))


def used(tx: Tx, name: str, at_ms: int) -> None:
    tx.execute(USED, (at_ms, name))
