"""What the job file keeps of each client of the broker: what it has subscribed to, and which packet ids are open.

Both stand there because the broker's session outlives the process: subscriptions have to be given up some day, and
what the broker sends again has to be known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from hubqueue.hub.hub import Hub
from hubqueue.hub.life import life_of
from hubqueue.model.outcome import Blob

SUBSCRIPTIONS: Final = "mqtt.subscriptions"
OPEN: Final = "mqtt.open"


class Subscribed(msgspec.Struct, frozen=True):
    """What the session of a client may have, as topic filters, and the numbers of subscriptions.

    A number is the identifier that goes with a filter, and says how old the subscription is. None is ever used for
    another filter, for messages that carry it may wait at the broker: last is the highest that was given.
    """

    filters: tuple[str, ...] = ()
    numbers: Mapping[str, int] = {}
    last: int = 0

    def numbered(self, wanted: Sequence[str]) -> Subscribed:
        """With a number for each of these and for what the session has; others are forgotten."""
        numbers = {text: number for text, number in self.numbers.items() if text in (*wanted, *self.filters)}
        new = [text for text in wanted if text not in numbers]
        numbers |= {text: number for number, text in enumerate(new, self.last + 1)}
        return Subscribed(self.filters, numbers, self.last + len(new))

    def having(self, filters: Sequence[str]) -> Subscribed:
        """With these subscribed besides."""
        more = [text for text in filters if text not in self.filters]
        return msgspec.structs.replace(self, filters=(*self.filters, *more)) if more else self

    def without(self, filters: Sequence[str]) -> Subscribed:
        left = tuple(text for text in self.filters if text not in filters)
        return msgspec.structs.replace(self, filters=left)


class _Open(msgspec.Struct, frozen=True):
    """Packet ids that are open, and the life in which that is true: see `hub.life`.

    unsure: a connection was asked for, and it is not known whether the broker still had the session.
    """

    life: str
    entries: bytes
    unsure: bool = False


async def subscribed(hub: Hub, client_id: str) -> Subscribed:
    blob = await hub.blob(SUBSCRIPTIONS, client_id)
    return Subscribed() if blob is None else msgspec.msgpack.decode(blob, type=Subscribed)


async def every_client(hub: Hub) -> dict[str, Subscribed]:
    """All clients that may have a session at the broker."""
    found: dict[str, Subscribed] = {}
    while some := await hub.blobs(SUBSCRIPTIONS, after=max(found, default="")):
        found |= {client_id: msgspec.msgpack.decode(value, type=Subscribed) for client_id, value in some}
    return found


async def remember(hub: Hub, client_id: str, subscribed: Subscribed) -> None:
    await hub.settle([], blobs=[Blob(SUBSCRIPTIONS, client_id, msgspec.msgpack.encode(subscribed))])


async def forget(hub: Hub, client_id: str) -> None:
    """Its session is gone."""
    await hub.settle([], blobs=[Blob(SUBSCRIPTIONS, client_id, None), Blob(OPEN, client_id, None)])


class OpenIds:
    """The row of the open packet ids of one client."""

    def __init__(self, hub: Hub, client_id: str) -> None:
        self._hub = hub
        self._client_id = client_id
        self._life = life_of(hub.store.path)
        self.there = (b"", False)  # what stands in the file, or will when the open transaction is committed

    async def read(self) -> bytes:
        """What an earlier process left; nothing where it cannot be relied on, so that in doubt a job comes twice."""
        blob = await self._hub.blob(OPEN, self._client_id)
        left = _Open("", b"") if blob is None else msgspec.msgpack.decode(blob, type=_Open)
        self.there = (left.entries, left.unsure)
        return left.entries if left.life and left.life == self._life and not left.unsure else b""

    def blob(self, entries: bytes, *, unsure: bool = False) -> Blob | None:
        """What to store so that these stand there; None where they do."""
        wanted = (entries, unsure and bool(entries))
        if wanted == self.there:
            return None
        self.there = wanted
        return Blob(OPEN, self._client_id, msgspec.msgpack.encode(_Open(self._life, *wanted)))
