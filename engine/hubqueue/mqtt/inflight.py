"""What came from the broker and is not acknowledged yet. Pure; the lane owns one.

Rules:
- A message is acknowledged on the connection that delivered it, or not at all: a packet id means nothing on another.
- Acknowledgements go out in the order of receipt (MQTT 5.0, section 4.6).
- After a reconnect the broker sends again what was not acknowledged. A message that we still hold is recognized by
  its packet id and content: it is not taken twice, and its acknowledgement goes to the new connection.
"""

from __future__ import annotations

from typing import Final

from hubqueue.broker.message import Message

_OVERHEAD: Final = 400  # bytes that one held message costs beside its payload


class Delivery:
    """One message on its way into the store. `mid` is the packet id on the present connection; 0: none."""

    __slots__ = ("message", "mid", "size", "stored")

    def __init__(self, message: Message) -> None:
        self.message = message
        self.mid = message.mid
        self.size = len(message.payload) + _OVERHEAD
        self.stored = False


class Inflight:
    """Messages received and not acknowledged, and what they hold in memory. Units: held_bytes not yet stored."""

    def __init__(self) -> None:
        self.held_bytes = 0
        self.held_qos0 = 0
        self._present: dict[int, Delivery] = {}
        self._former: dict[int, Delivery] = {}

    def __len__(self) -> int:
        """Messages that the broker waits to hear about."""
        return len(self._present)

    def begin(self, session_present: bool) -> None:
        """A new connection: no packet id of the old one counts any more. Without a session nothing comes again."""
        for delivery in (*self._former.values(), *self._present.values()):
            delivery.mid = 0
        self._former = {**self._former, **self._present} if session_present else {}
        self._present = {}

    def take(self, message: Message) -> Delivery | None:
        """The message to be stored; None where it came again and is held already."""
        if message.mid:
            held = self._former.pop(message.mid, None) if message.redelivered else None
            if not message.redelivered:
                self._former.clear()  # brokers send again first: what has not come by now was acknowledged
            if held is not None and held.message.topic == message.topic and held.message.payload == message.payload:
                held.mid = message.mid
                self._present[message.mid] = held
                return None
        delivery = Delivery(message)
        if message.mid:
            self._present[message.mid] = delivery
        else:
            self.held_qos0 += 1
        self.held_bytes += delivery.size
        return delivery

    def store(self, delivery: Delivery) -> None:
        """All jobs of the message are committed and synced, or there are none."""
        if delivery.stored:
            return
        delivery.stored = True
        self.held_bytes -= delivery.size
        if not delivery.message.mid:
            self.held_qos0 -= 1

    def acknowledgeable(self) -> list[int]:
        """Packet ids to acknowledge now, oldest first; they are forgotten here."""
        mids = []
        for mid, delivery in self._present.items():
            if not delivery.stored:
                break
            mids.append(mid)
        for mid in mids:
            del self._present[mid]
        return mids
