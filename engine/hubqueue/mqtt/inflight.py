"""What came from the broker over one client and is not acknowledged yet. Pure; the lane owns one.

Rules:
- A message is acknowledged on the connection that delivered it, or not at all: a packet id means nothing on another.
- Acknowledgements go out in the order of receipt (MQTT 5.0, section 4.6).
- The packet ids of messages whose jobs are in the job file stand there too, written in the same transaction, each with
  a digest of its message. An id is taken out of the file *before* its acknowledgement leaves: once the broker may have
  heard it, the id may be that of a new message, even one with the same content, and that one must not be dropped.
- After a reconnect or a restart of the hub the broker sends again what was not acknowledged. Only a message that comes
  in the same session, marked as sent before, under a packet id that is held or in the file, with the same digest, is
  not taken twice. In doubt it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from hashlib import blake2b
from typing import Final

from hubqueue.broker.message import Message
from hubqueue.errors import ProtocolError

_OVERHEAD: Final = 400  # bytes that one held message costs beside its payload
_ID_BYTES: Final = 2
_DIGEST_BYTES: Final = 8
ENTRY_BYTES: Final = _ID_BYTES + _DIGEST_BYTES  # of one packet id in the file


class Stage(IntEnum):
    """How far a message has come; STORED: its jobs are committed, SYNCED: and on the disk."""

    HELD = 0
    STORED = 1
    SYNCED = 2
    LEAVING = 3  # out of the file, its acknowledgement goes out as soon as that is committed


class Delivery:
    """One message on its way into the store, or one that an earlier process stored (message None).

    mid: the packet id on the present connection; 0: none. id: the packet id that the session has for it. copy: the same
    message comes through another subscription as well, which counts for it. kept: it made jobs, so its id has to stand
    in the file.
    """

    __slots__ = ("_digest", "copy", "id", "kept", "message", "mid", "size", "stage")

    def __init__(self, id: int, message: Message | None, digest: bytes | None = None) -> None:
        self.message = message
        self.mid = self.id = id
        self.size = 0 if message is None else len(message.payload) + _OVERHEAD
        self.stage = Stage.HELD
        self.kept = False
        self.copy = False
        self._digest = digest

    @property
    def digest(self) -> bytes:
        if self._digest is None:
            assert self.message is not None
            self._digest = digest(self.message)
        return self._digest


class Inflight:
    """Messages received and not acknowledged, and what they hold in memory. Units: held_bytes not yet synced."""

    def __init__(self) -> None:
        self.held_bytes = 0
        self.held_qos0 = 0
        self._present: dict[int, Delivery] = {}
        self._former: dict[int, Delivery] = {}

    def __len__(self) -> int:
        """Messages that the broker waits to hear about."""
        return len(self._present)

    def recall(self, entries: bytes) -> None:
        """What an earlier process stored and did not acknowledge, as `entries` gave it. The file was synced since."""
        for at in range(0, len(entries), ENTRY_BYTES):
            id = int.from_bytes(entries[at : at + _ID_BYTES], "big")
            delivery = Delivery(id, None, entries[at + _ID_BYTES : at + ENTRY_BYTES])
            delivery.mid, delivery.stage, delivery.kept = 0, Stage.SYNCED, True
            self._former[id] = delivery

    def entries(self) -> bytes:
        """What has to stand in the file: ids of messages whose jobs are there, and that were not acknowledged."""
        every = (*self._former.values(), *self._present.values())
        return b"".join(
            [
                each.id.to_bytes(_ID_BYTES, "big") + each.digest
                for each in every
                if each.kept and (each.stage is Stage.STORED or each.stage is Stage.SYNCED)
            ]
        )

    def begin(self, session_present: bool) -> None:
        """A new connection: no packet id of the old one counts any more. Without a session nothing comes again."""
        known = {**self._former, **self._present}
        for delivery in known.values():
            delivery.mid = 0
            if delivery.stage is Stage.LEAVING:  # its acknowledgement had nowhere to go
                delivery.stage = Stage.SYNCED
        self._former = known if session_present else {}
        self._present = {}

    def take(self, message: Message) -> Delivery | None:
        """The message to be stored; None where it came again and is held or stored already.

        Errors: ProtocolError when the broker uses a packet id for two messages at once.
        """
        if message.mid:
            held = self._former.pop(message.mid, None) if message.redelivered else None
            if not message.redelivered:
                self._former.clear()  # brokers send again first: what has not come by now was acknowledged
            if message.mid in self._present:
                if message.redelivered and self._present[message.mid].digest == digest(message):
                    return None  # sent again on the same connection, as old brokers do
                raise ProtocolError(
                    f"the broker used packet id {message.mid} for two messages at once",
                    hint="nothing is lost: the connection is made anew; a newer version of the broker may not do this",
                )
            if held is not None and held.digest == digest(message):
                held.mid = message.mid
                self._present[message.mid] = held
                return None
        delivery = Delivery(message.mid, message)
        if message.mid:
            self._present[message.mid] = delivery
        else:
            self.held_qos0 += 1
        self.held_bytes += delivery.size
        return delivery

    def comes_again(self, delivery: Delivery) -> bool:
        """Whether the broker will send it once more if it is not acknowledged."""
        return self._present.get(delivery.mid) is delivery or self._former.get(delivery.id) is delivery

    def store(self, deliveries: Iterable[Delivery]) -> None:
        """Their jobs are in the open transaction."""
        for delivery in deliveries:
            delivery.stage = Stage.STORED

    def unstore(self, deliveries: Iterable[Delivery]) -> None:
        """It was not committed."""
        for delivery in deliveries:
            delivery.stage = Stage.HELD

    def sync(self, deliveries: Iterable[Delivery]) -> None:
        """All their jobs are on the disk, or there are none."""
        for delivery in deliveries:
            if delivery.stage is Stage.SYNCED:
                continue
            delivery.stage = Stage.SYNCED
            self.held_bytes -= delivery.size
            if delivery.message is not None and not delivery.message.mid:
                self.held_qos0 -= 1

    @property
    def ready(self) -> bool:
        """Whether an acknowledgement could go out."""
        return bool(self._present) and next(iter(self._present.values())).stage is Stage.SYNCED

    def leave(self) -> list[Delivery]:
        """Those that may be acknowledged, oldest first: from now on they are not to stand in the file."""
        leaving = []
        for delivery in self._present.values():
            if delivery.stage is Stage.SYNCED:
                delivery.stage = Stage.LEAVING
                leaving.append(delivery)
            elif delivery.stage is not Stage.LEAVING:
                break
        return leaving

    def stay(self, deliveries: Iterable[Delivery]) -> None:
        """That was not committed: they stand in the file as before."""
        for delivery in deliveries:
            if delivery.stage is Stage.LEAVING:
                delivery.stage = Stage.SYNCED

    def forget(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Those of them whose packet ids are alive: to be acknowledged now, and known no more."""
        alive = [each for each in deliveries if each.stage is Stage.LEAVING and self._present.get(each.mid) is each]
        for delivery in alive:
            del self._present[delivery.mid]
        return alive


def digest(message: Message) -> bytes:
    """Of what a message says. A topic holds no NUL, so no two messages are written alike."""
    head = f"{message.topic}\0{message.missing}\0".encode(errors="surrogatepass")
    return blake2b(head + message.payload, digest_size=_DIGEST_BYTES).digest()
