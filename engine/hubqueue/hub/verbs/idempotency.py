"""A request that is sent again gets its first answer again: nothing is done twice.

The answer is written in the transaction that does what was asked for, so a crash between that commit and the reply
leaves both or neither.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from hubqueue.errors import KeyReused
from hubqueue.store import idempotency
from hubqueue.store.tx import Tx

KEPT_MS: Final = 86_400_000
Fields = dict[str, Any]

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Fields).decode


def once(tx: Tx, key: bytes, request: bytes, run: Callable[[], bytes]) -> tuple[bytes, bool]:
    """The answer of `run`, or the first one under this key; whether it was the first one.

    Errors: KeyReused when something else was asked for under the key; those of `run`, which are not remembered.
    """
    first = idempotency.get(tx, key)
    if first is not None:
        if first.request != request:
            raise KeyReused
        return first.reply, True
    reply = run()
    idempotency.put(tx, key, idempotency.Answer(request, reply), tx.now_ms + KEPT_MS)
    return reply, False


def answered_once(tx: Tx, key: bytes, request: bytes, run: Callable[[], Fields]) -> tuple[Fields, bool]:
    """As `once`, of an answer in fields."""
    reply, again = once(tx, key, request, lambda: _encode(run()))
    return _decode(reply), again
