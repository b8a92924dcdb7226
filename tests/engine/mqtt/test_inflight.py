"""What is acknowledged when, over reconnects."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hubqueue.broker.message import Message
from hubqueue.mqtt.inflight import Delivery, Inflight


def message(mid: int, *, again: bool = False, payload: bytes = b"1") -> Message:
    return Message("s", payload, qos=1 if mid else 0, redelivered=again, mid=mid)


def taken(inflight: Inflight, *mids: int) -> list[Delivery]:
    deliveries = [inflight.take(message(mid)) for mid in mids]
    return [delivery for delivery in deliveries if delivery is not None]


def test_acknowledgements_go_out_in_the_order_of_receipt() -> None:
    inflight = Inflight()
    first, second, third = taken(inflight, 1, 2, 3)
    inflight.store(second)
    assert inflight.acknowledgeable() == []
    inflight.store(first)
    assert inflight.acknowledgeable() == [1, 2]
    inflight.store(third)
    assert inflight.acknowledgeable() == [3]
    assert len(inflight) == 0


def test_a_message_of_an_ended_connection_is_not_acknowledged_on_the_next() -> None:
    inflight = Inflight()
    (old,) = taken(inflight, 1)
    inflight.begin(session_present=True)
    (new,) = taken(inflight, 1)
    inflight.store(old)
    assert inflight.acknowledgeable() == []
    inflight.store(new)
    assert inflight.acknowledgeable() == [1]


def test_a_message_that_comes_again_is_not_taken_twice() -> None:
    inflight = Inflight()
    (held,) = taken(inflight, 7)
    inflight.begin(session_present=True)
    assert inflight.take(message(7, again=True)) is None
    inflight.store(held)
    assert inflight.acknowledgeable() == [7]


def test_a_stored_message_that_comes_again_is_only_acknowledged() -> None:
    inflight = Inflight()
    (held,) = taken(inflight, 7)
    inflight.store(held)
    inflight.begin(session_present=True)
    inflight.begin(session_present=True)
    assert inflight.take(message(7, again=True)) is None
    assert inflight.acknowledgeable() == [7]


def test_another_message_under_the_same_packet_id_is_taken() -> None:
    inflight = Inflight()
    taken(inflight, 7)
    inflight.begin(session_present=True)
    assert inflight.take(message(7, again=True, payload=b"2")) is not None


def test_without_a_session_nothing_is_recognized() -> None:
    inflight = Inflight()
    taken(inflight, 7)
    inflight.begin(session_present=False)
    assert inflight.take(message(7, again=True)) is not None


def test_held_bytes_and_qos_0_are_counted_until_stored() -> None:
    inflight = Inflight()
    deliveries = taken(inflight, 0, 5)
    assert inflight.held_qos0 == 1
    assert inflight.held_bytes == sum(delivery.size for delivery in deliveries)
    for delivery in (*deliveries, *deliveries):
        inflight.store(delivery)
    assert (inflight.held_bytes, inflight.held_qos0) == (0, 0)


EVENTS = st.lists(st.tuples(st.sampled_from(["new", "again", "store", "cut", "lost"]), st.integers(1, 4)), max_size=40)


@given(EVENTS)
def test_only_stored_messages_of_the_present_connection_are_acknowledged(events: list[tuple[str, int]]) -> None:
    inflight, waiting, present = Inflight(), list[Delivery](), dict[int, Message]()
    stored: set[int] = set()
    for kind, mid in events:
        if kind in ("cut", "lost"):
            inflight.begin(session_present=kind == "cut")
            present.clear()
        elif kind == "store" and waiting:
            delivery = waiting.pop(0)
            inflight.store(delivery)
            stored.add(id(delivery.message))
        elif kind in ("new", "again") and mid not in present:
            received = message(mid, again=kind == "again")
            present[mid] = received
            delivery_or_none = inflight.take(received)
            if delivery_or_none is not None:
                waiting.append(delivery_or_none)
        for acknowledged in inflight.acknowledgeable():
            assert present.pop(acknowledged) is not None
        assert inflight.held_bytes == sum(delivery.size for delivery in waiting)
