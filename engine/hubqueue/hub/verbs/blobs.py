"""Reading state blobs back: what a `settle` stored beside the jobs that it ended."""

from __future__ import annotations

from typing import Final

from hubqueue.model.limits import MAX_BLOBS, check_int
from hubqueue.store import blobs
from hubqueue.store.tx import Tx

PAGE_BYTES: Final = 4 * 1024 * 1024  # a page stops growing here: it is one answer on the wire


def page(tx: Tx, namespace: str, after: str, limit: int) -> list[tuple[str, bytes]]:
    """Up to `limit` (key, value) in order of key, those behind `after`; one at least if there is one.

    Errors: Invalid.
    """
    check_int("limit", limit, 1, MAX_BLOBS)
    found: list[tuple[str, bytes]] = []
    size = 0
    while len(found) < limit and size < PAGE_BYTES:
        some = blobs.keys(tx, namespace, found[-1][0] if found else after, min(100, limit - len(found)))
        if not some:
            break
        for key, value in some:
            if found and size + len(value) > PAGE_BYTES:
                return found
            found.append((key, bytes(value)))
            size += len(key) + len(value)
    return found
