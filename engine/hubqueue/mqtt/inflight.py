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
from struct import Struct
from typing import Final
from zlib import crc32

from hubqueue.errors import ProtocolError
from hubqueue.mqtt.subscriptions import Through
from hubqueue.mqttclient.message import Message

_OVERHEAD: Final = 400  # bytes that one held message costs beside its payload
_ENTRY: Final = Struct(">HII")  # of one packet id in the file: the id, a checksum and the length of what was said
ENTRY_BYTES: Final = _ENTRY.size


class Stage:
    """How far a message has come; STORED: its jobs are committed, SYNCED: and on the disk.

    Plain ints: every message passes all of them, and members of an Enum are slow to look up on Python 3.11.
    """

    HELD = 0
    STORED = 1
    SYNCED = 2
    LEAVING = 3  # out of the file, its acknowledgement goes out as soon as that is committed


class Delivery:
    """One message on its way into the store, or one that an earlier process stored (message None).

    mid: the packet id on the present connection; 0: none. id: the packet id that the session has for it. copy: the same
    message comes through another subscription as well, which counts for it. through: which subscriptions it came
    through. kept: it made jobs, so its id has to stand in the file. entry: what stands there.
    """

    __slots__ = ("copy", "entry", "id", "kept", "message", "mid", "size", "stage", "through")

    def __init__(self, id: int, message: Message | None, entry: bytes) -> None:
        self.message = message
        self.mid = self.id = id
        self.size = 0 if message is None else len(message.payload) + _OVERHEAD
        self.stage = Stage.HELD
        self.kept = False
        self.copy = False
        self.through: Through = None
        self.entry = entry


class Inflight:
    """Messages received and not acknowledged, and what they hold in memory. Units: held_bytes not yet synced."""

    def __init__(self) -> None:
        self.held_bytes = 0
        self.held_qos0 = 0
        self._present: dict[int, Delivery] = {}
        self._former: dict[int, Delivery] = {}
        self._entries: dict[int, bytes] = {}  # by packet id, what has to stand in the file

    def __len__(self) -> int:
        """Messages that the broker waits to hear about."""
        return len(self._present)

    def recall(self, entries: bytes) -> None:
        """What an earlier process stored and did not acknowledge, as `entries` gave it. The file was synced since."""
        for at in range(0, len(entries), ENTRY_BYTES):
            entry = entries[at : at + ENTRY_BYTES]
            id, _, _ = _ENTRY.unpack(entry)
            delivery = Delivery(id, None, entry)
            delivery.mid, delivery.stage, delivery.kept = 0, Stage.SYNCED, True
            self._former[id] = delivery
            self._entries[id] = entry

    def entries(self) -> bytes:
        """What has to stand in the file: ids of messages whose jobs are there, and that were not acknowledged."""
        return b"".join(self._entries.values())

    def begin(self, session_present: bool) -> None:
        """A new connection: no packet id of the old one counts any more. Without a session nothing comes again."""
        known = {**self._former, **self._present}
        for delivery in known.values():
            delivery.mid = 0
        self._former, self._present = known, {}
        self.stay(known.values())  # their acknowledgements had nowhere to go
        if not session_present:
            self._forget_former()

    def take(self, message: Message) -> Delivery | None:
        """The message to be stored; None where it came again and is held or stored already.

        Errors: ProtocolError when the broker uses a packet id for two messages at once.
        """
        entry = entry_of(message) if message.mid else b""
        if message.mid:
            held = self._former.pop(message.mid, None) if message.redelivered else None
            if self._former and not message.redelivered:
                self._forget_former()  # brokers send again first: what has not come by now was acknowledged
            if message.mid in self._present:
                if message.redelivered and self._present[message.mid].entry == entry:
                    return None  # sent again on the same connection, as old brokers do
                raise ProtocolError(
                    f"the broker used packet id {message.mid} for two messages at once",
                    hint="nothing is lost: the connection is made anew; a newer version of the broker may not do this",
                )
            if held is not None:
                if held.entry == entry:
                    held.mid = message.mid
                    self._present[message.mid] = held
                    return None
                self._entries.pop(message.mid, None)
        delivery = Delivery(message.mid, message, entry)
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
            if delivery.kept and self.comes_again(delivery):
                self._entries[delivery.id] = delivery.entry

    def unstore(self, deliveries: Iterable[Delivery]) -> None:
        """It was not committed."""
        for delivery in deliveries:
            delivery.stage = Stage.HELD
            self._entries.pop(delivery.id, None)

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
                self._entries.pop(delivery.id, None)
                leaving.append(delivery)
            elif delivery.stage is not Stage.LEAVING:
                break
        return leaving

    def stay(self, deliveries: Iterable[Delivery]) -> None:
        """That was not committed: they stand in the file as before."""
        for delivery in deliveries:
            if delivery.stage is Stage.LEAVING:
                delivery.stage = Stage.SYNCED
                if delivery.kept and self.comes_again(delivery):
                    self._entries[delivery.id] = delivery.entry

    def forget(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Those of them whose packet ids are alive: to be acknowledged now, and known no more."""
        alive = [each for each in deliveries if each.stage is Stage.LEAVING and self._present.get(each.mid) is each]
        for delivery in alive:
            del self._present[delivery.mid]
        return alive

    def _forget_former(self) -> None:
        for id in self._former:
            self._entries.pop(id, None)
        self._former.clear()


def entry_of(message: Message) -> bytes:
    """Its packet id, and a digest of what it says: to be sure, since that id is as a rule of the same message."""
    said = crc32(message.payload, crc32(message.topic.encode()))
    return _ENTRY.pack(message.mid, said, len(message.payload) + message.missing)
