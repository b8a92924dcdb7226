"""The sink that is another hub: hubqueue or bunqueue, over TCP with TLS and a token.

Each batch is one PUSHB whose ids are made of the source hub, the queue and the seq, so that sending a batch
again is harmless (P6). Name, data and priority go along, data byte for byte, and to a hubqueue tags and key, for they
belong to what the job says. Delay, attempts, back-off and the like stay local: the other side has rules of its own.
Source: docs/protocol.md, PUSHB and Hello.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from hubqueue.client.address import LinkSettings
from hubqueue.client.session import Session
from hubqueue.errors import HubqueueError, LinkDown, ProtocolError
from hubqueue.forward.outbound import OutboundJob, sortable
from hubqueue.forward.sink import Batch
from hubqueue.forward.verdict import Rejected, verdict
from hubqueue.model.limits import MAX_GROUP_PRIORITY, MAX_NAME_CHARS, MAX_TAGS, WRITE_TIMEOUT_S, check_queue

FLOOR_CAPABILITY: Final = "forward-floor"
OURS: Final = "hubqueue"
FRAME_BYTES: Final = 8 * 1024 * 1024  # of data in one PUSHB: the receiver takes 16 MB at once
SLOWEST_BYTES_PER_S: Final = 8 * 1024  # an uplink slower than this is down

_ENTRY: Final = re.compile(r"jobs\[(\d+)\]: ")


class Entry(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """One job of a PUSHB."""

    name: str
    priority: int
    custom_id: str
    durable: bool
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    tags: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    group_id: str | msgspec.UnsetType = msgspec.UNSET


class Accepted(msgspec.Struct):
    """The reply to a PUSHB."""

    ids: list[str]


_accepted = msgspec.msgpack.Decoder(Accepted).decode


class HubSink:
    """Writes to `queue` of the hub at `link`; None: the queue of the same name.

    durable: the other side syncs before it says ok.
    Units: write_timeout_s seconds, on top of the time the bytes need on a slow uplink.
    """

    def __init__(
        self,
        link: LinkSettings,
        *,
        queue: str | None = None,
        durable: bool = True,
        write_timeout_s: float = WRITE_TIMEOUT_S,
    ) -> None:
        if queue is not None:
            check_queue(queue)
        self._link = link
        self._queue = queue
        self._durable = durable
        self._write_timeout_s = write_timeout_s
        self._session: Session | None = None

    @property
    def target(self) -> str:
        return self._link.url if self._queue is None else f"{self._link.url}/{self._queue}"

    @property
    def wants_floor(self) -> bool:
        return self._session is not None and FLOOR_CAPABILITY in self._session.peer.capabilities

    async def connect(self) -> None:
        await self.close()
        self._session = await Session.open(self._link)

    async def lost(self) -> None:
        raise await self._open().lost

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def may_write(self, queue: str) -> None:
        """Whether the other side would take jobs of this queue: it is asked to take none. Errors: as of write."""
        there = queue if self._queue is None else self._queue
        await self._open().request("PUSHB", {"queue": there, "jobs": []}, self._write_timeout_s)

    async def write(self, batch: Batch) -> list[Rejected | None]:
        session = self._open()
        results: list[Rejected | None] = []
        for part in _frames(batch.parcels):
            results += await self._push(session, batch, part)
        return results

    async def _push(self, session: Session, batch: Batch, parcels: list[OutboundJob]) -> list[Rejected | None]:
        """One PUSHB; an entry that is refused by its index is left out and the rest is pushed again."""
        results: list[Rejected | None] = [None] * len(parcels)
        left = list(range(len(parcels)))
        while left:
            try:
                await self._request(session, batch, [parcels[i] for i in left])
            except HubqueueError as error:
                meaning, entry = verdict(error), _ENTRY.match(error.message)
                if not isinstance(meaning, Rejected) or entry is None or int(entry[1]) >= len(left):
                    raise
                results[left.pop(int(entry[1]))] = Rejected(meaning.code, error.message[entry.end() :])
            else:
                break
        return results

    async def _request(self, session: Session, batch: Batch, parcels: list[OutboundJob]) -> None:
        queue = batch.queue if self._queue is None else self._queue
        ours = session.peer.server == OURS
        fields: dict[str, object] = {"queue": queue, "jobs": [self._entry(parcel, ours) for parcel in parcels]}
        if batch.floor is not None and self.wants_floor:
            fields["forwardFloor"] = batch.floor
        size = sum(len(parcel.data or b"") for parcel in parcels)
        timeout_s = self._write_timeout_s + size / SLOWEST_BYTES_PER_S
        reply = await session.request("PUSHB", fields, timeout_s)
        try:
            ids = _accepted(reply).ids
        except msgspec.MsgspecError as error:
            raise ProtocolError(f"the answer of {self._link.url} is not understood: {error}") from error
        if len(ids) != len(parcels):
            raise ProtocolError(f"{self._link.url} was sent {len(parcels)} jobs and names {len(ids)}")

    def _entry(self, parcel: OutboundJob, ours: bool) -> Entry:
        return Entry(
            name=parcel.name,
            priority=parcel.priority,
            custom_id=parcel.id if ours else sortable(parcel.id),  # bunqueue orders a batch by the text of its ids
            durable=self._durable,
            data=msgspec.UNSET if parcel.data is None else msgspec.Raw(parcel.data),
            tags=_tags(parcel) if ours and parcel.tags else msgspec.UNSET,
            group_id=_key(parcel) if ours else msgspec.UNSET,
        )

    def _open(self) -> Session:
        if self._session is None:
            raise LinkDown(f"there is no connection to {self._link.url}")
        return self._session


def _tags(parcel: OutboundJob) -> tuple[str, ...]:
    """What the other side takes: a job must not be lost for a tag that this hub added to it."""
    return tuple(tag for tag in parcel.tags if len(tag) <= MAX_NAME_CHARS)[:MAX_TAGS]


def _key(parcel: OutboundJob) -> str | msgspec.UnsetType:
    """Not with a priority that was given to the job later and that no new job with a key may have."""
    if parcel.key is None or not 0 <= parcel.priority <= MAX_GROUP_PRIORITY:
        return msgspec.UNSET
    return parcel.key


def _frames(parcels: tuple[OutboundJob, ...]) -> list[list[OutboundJob]]:
    """The jobs in order, cut so that no frame holds much more than FRAME_BYTES of data."""
    frames: list[list[OutboundJob]] = []
    room = 0
    for parcel in parcels:
        size = len(parcel.data or b"")
        if not frames or size > room:
            frames.append([])
            room = FRAME_BYTES
        frames[-1].append(parcel)
        room -= size
    return frames
