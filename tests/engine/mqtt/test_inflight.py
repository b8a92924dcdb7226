"""What is acknowledged when, and what is known when it comes again, over reconnects and restarts of the hub."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubqueue.errors import ProtocolError
from hubqueue.mqtt.inflight import ENTRY_BYTES, Delivery, Inflight
from hubqueue.mqttclient.message import Message
from support.calls import Calls


def message(mid: int, *, again: bool = False, payload: bytes = b"1", topic: str = "s") -> Message:
    return Message(topic, payload, qos=1 if mid else 0, redelivered=again, mid=mid)


def taken(inflight: Inflight, *mids: int) -> list[Delivery]:
    deliveries = [inflight.take(message(mid)) for mid in mids]
    return [delivery for delivery in deliveries if delivery is not None]


def stored(inflight: Inflight, *deliveries: Delivery) -> None:
    """Their jobs are in the file and on the disk."""
    for delivery in deliveries:
        delivery.kept = bool(delivery.message is not None and delivery.message.mid)
    inflight.store(deliveries)
    inflight.sync(deliveries)


def acknowledged(inflight: Inflight) -> list[int]:
    """All that may leave, leaves."""
    mids = [each.mid for each in inflight.leave()]
    leaving = [each for each in inflight._present.values() if each.mid in mids]
    assert [each.mid for each in inflight.forget(leaving)] == mids
    return mids


def after_a_restart(inflight: Inflight, *, session_present: bool = True) -> Inflight:
    """The next process, with what the file had."""
    fresh = Inflight()
    fresh.recall(inflight.entries())
    fresh.begin(session_present)
    return fresh


def test_acknowledgements_go_out_in_the_order_of_receipt() -> None:
    inflight = Inflight()
    first, second, third = taken(inflight, 1, 2, 3)
    stored(inflight, second)
    assert not inflight.ready
    assert acknowledged(inflight) == []
    stored(inflight, first)
    assert acknowledged(inflight) == [1, 2]
    stored(inflight, third)
    assert acknowledged(inflight) == [3]
    assert len(inflight) == 0


def test_nothing_is_acknowledged_before_it_is_on_the_disk() -> None:
    inflight = Inflight()
    (delivery,) = taken(inflight, 1)
    inflight.store([delivery])
    assert acknowledged(inflight) == []
    inflight.sync([delivery])
    assert acknowledged(inflight) == [1]


def test_a_message_of_an_ended_connection_is_not_acknowledged_on_the_next() -> None:
    inflight = Inflight()
    (old,) = taken(inflight, 1)
    inflight.begin(session_present=True)
    (new,) = taken(inflight, 1)
    stored(inflight, old)
    assert acknowledged(inflight) == []
    stored(inflight, new)
    assert acknowledged(inflight) == [1]


def test_an_acknowledgement_that_had_no_connection_goes_out_on_the_next() -> None:
    inflight = Inflight()
    (delivery,) = taken(inflight, 1)
    stored(inflight, delivery)
    leaving = inflight.leave()
    inflight.begin(session_present=True)  # between the commit and the write
    assert inflight.forget(leaving) == []
    assert len(inflight.entries()) == ENTRY_BYTES
    assert inflight.take(message(1, again=True)) is None
    assert acknowledged(inflight) == [1]


def test_a_message_that_comes_again_is_not_taken_twice() -> None:
    inflight = Inflight()
    (held,) = taken(inflight, 7)
    inflight.begin(session_present=True)
    assert inflight.take(message(7, again=True)) is None
    stored(inflight, held)
    assert acknowledged(inflight) == [7]


def test_a_stored_message_that_comes_again_is_only_acknowledged() -> None:
    inflight = Inflight()
    (held,) = taken(inflight, 7)
    stored(inflight, held)
    inflight.begin(session_present=True)
    inflight.begin(session_present=True)
    assert inflight.take(message(7, again=True)) is None
    assert acknowledged(inflight) == [7]


@pytest.mark.parametrize(
    "other",
    [
        message(7, again=True, payload=b"2"),
        message(7, again=True, topic="t"),
        message(7, again=True, topic="s\0", payload=b""),
        message(7),  # not marked as sent before: an id that is used anew
        message(8, again=True),
    ],
)
def test_in_doubt_a_message_is_taken(other: Message) -> None:
    for restarted in (False, True):
        inflight = Inflight()
        stored(inflight, *taken(inflight, 7))
        if restarted:
            inflight = after_a_restart(inflight)
        else:
            inflight.begin(session_present=True)
        assert inflight.take(other) is not None


def test_without_a_session_nothing_is_recognized() -> None:
    inflight = Inflight()
    stored(inflight, *taken(inflight, 7))
    assert after_a_restart(inflight, session_present=False).take(message(7, again=True)) is not None
    inflight.begin(session_present=False)
    assert inflight.take(message(7, again=True)) is not None


def test_after_a_restart_what_was_stored_is_known_and_acknowledged() -> None:
    inflight = Inflight()
    stored(inflight, *taken(inflight, 3, 4, 5))
    fresh = after_a_restart(inflight)
    assert [fresh.take(message(mid, again=True)) for mid in (3, 4, 5)] == [None, None, None]
    assert acknowledged(fresh) == [3, 4, 5]
    assert fresh.entries() == b""


def test_what_was_not_stored_is_not_known_after_a_restart() -> None:
    inflight = Inflight()
    first, _ = taken(inflight, 3, 4)
    stored(inflight, first)
    fresh = after_a_restart(inflight)
    assert fresh.take(message(3, again=True)) is None
    assert fresh.take(message(4, again=True)) is not None


def test_an_id_whose_acknowledgement_may_have_left_is_not_in_the_file() -> None:
    """The broker may use it for a new message with the same content, which must not be taken for the old one."""
    inflight = Inflight()
    stored(inflight, *taken(inflight, 7))
    inflight.leave()
    assert inflight.entries() == b""
    assert after_a_restart(inflight).take(message(7, again=True)) is not None


def test_what_a_failed_transaction_did_is_taken_back() -> None:
    inflight = Inflight()
    first, second = taken(inflight, 1, 2)
    stored(inflight, first)
    before = inflight.entries()
    leaving = inflight.leave()
    second.kept = True
    inflight.store([second])
    inflight.unstore([second])
    inflight.stay(leaving)
    assert inflight.entries() == before
    assert acknowledged(inflight) == [1]


def test_a_broker_that_uses_an_id_twice_at_once_is_told_off() -> None:
    inflight = Inflight()
    taken(inflight, 7)
    with pytest.raises(ProtocolError, match="packet id 7 for two messages"):
        inflight.take(message(7, payload=b"2"))
    with pytest.raises(ProtocolError):
        inflight.take(message(7))  # equal messages may be two events
    assert len(inflight) == 1


def test_a_broker_that_sends_again_on_the_same_connection_makes_no_second_job() -> None:
    inflight = Inflight()
    taken(inflight, 7)
    assert inflight.take(message(7, again=True)) is None
    assert len(inflight) == 1


def test_held_bytes_and_qos_0_are_counted_until_stored() -> None:
    inflight = Inflight()
    deliveries = taken(inflight, 0, 5)
    assert inflight.held_qos0 == 1
    assert inflight.held_bytes == sum(delivery.size for delivery in deliveries)
    for delivery in (*deliveries, *deliveries):
        inflight.sync([delivery])
    assert (inflight.held_bytes, inflight.held_qos0) == (0, 0)


def test_only_what_the_broker_still_has_comes_again() -> None:
    inflight = Inflight()
    plain, first, second = taken(inflight, 0, 1, 2)
    assert [inflight.comes_again(each) for each in (plain, first, second)] == [False, True, True]
    inflight.begin(session_present=True)
    assert inflight.comes_again(first)
    inflight.begin(session_present=False)
    assert not inflight.comes_again(first)


class Model:
    """A broker with one session, that uses the lowest free packet id, and a device that always says the same.

    What it was told of last may not have arrived: `cut` decides how many of the acknowledgements that are under way do.
    """

    def __init__(self) -> None:
        self.open: dict[int, int] = {}  # packet id to the message's number, in the order of sending
        self.under_way: list[int] = []
        self.acknowledged: set[int] = set()
        self.sent = 0

    def send(self) -> tuple[int, int]:
        mid = next(id for id in range(1, 100) if id not in self.open)
        self.open[mid] = self.sent
        self.sent += 1
        return mid, self.open[mid]

    def hear(self, count: int) -> None:
        for mid in self.under_way[:count]:
            self.acknowledged.add(self.open.pop(mid))
        del self.under_way[:count]


KINDS = ["send", "unread", "store", "sync", "leave", "hear", "cut", "kill"]
WHOLE = st.sampled_from([("settle", 9), ("settle", 0)])
STEPS = st.lists(st.one_of(st.tuples(st.sampled_from(KINDS), st.integers(0, 3)), WHOLE), max_size=30)
IN_ORDER = {"settle": ["store", "sync", "leave", "hear"]}


@given(STEPS)
@settings(max_examples=400)
def test_no_message_is_lost_though_ids_and_contents_are_used_again(steps: list[tuple[str, int]]) -> None:
    """Every message that the broker was told to forget is a job, and so is every one that it still has in the end.

    A second job is made only of a message whose acknowledgement was under way when the connection ended.
    """
    broker, inflight = Model(), Inflight()
    file: bytes = b""  # what is committed
    jobs: list[int] = []
    doubtful: set[int] = set()
    held: list[tuple[Delivery, int]] = []
    unsynced: list[Delivery] = []

    def receive(mid: int, number: int, *, again: bool) -> None:
        delivery = inflight.take(message(mid, again=again))
        if delivery is not None:
            held.append((delivery, number))

    def reconnect(count: int, *, kill: bool) -> None:
        nonlocal inflight
        broker.hear(count)
        doubtful.update(broker.open[mid] for mid in broker.under_way)
        broker.under_way.clear()
        if kill:
            inflight = Inflight()
            inflight.recall(file)
            held.clear()
            unsynced.clear()
        inflight.begin(session_present=True)
        for mid, number in list(broker.open.items()):
            receive(mid, number, again=True)

    whole = [*steps, ("kill", 0), ("settle", 99)]
    for kind, count in [(part, count) for step, count in whole for part in IN_ORDER.get(step, [step])]:
        if kind == "send" and len(broker.open) < 9:
            receive(*broker.send(), again=False)
        elif kind == "unread" and len(broker.open) < 9:
            broker.send()
            reconnect(count, kill=count % 2 == 0)  # it was lost on the way to us
        elif kind == "store":
            batch = [delivery for delivery, _ in held]
            for delivery in batch:
                delivery.kept = True
            inflight.store(batch)
            jobs += [number for _, number in held]
            unsynced += batch
            held.clear()
            file = inflight.entries()
        elif kind == "sync":
            inflight.sync(unsynced)
            unsynced.clear()
        elif kind == "leave":
            leaving = inflight.leave()
            file = inflight.entries()
            broker.under_way += [each.mid for each in inflight.forget(leaving)]
        elif kind == "hear":
            broker.hear(count)
        elif kind in ("cut", "kill"):
            reconnect(count, kill=kind == "kill")
    assert set(jobs) == set(range(broker.sent))
    assert broker.acknowledged == set(range(broker.sent))
    twice = {number for number in jobs if jobs.count(number) > 1}
    assert twice <= doubtful


def test_a_message_pays_few_calls_on_its_way_through() -> None:
    inflight = Inflight()
    messages = [message(mid) for mid in range(1, 101)]
    with Calls() as calls:
        deliveries = [inflight.take(each) for each in messages]
        came = [each for each in deliveries if each is not None]
        for each in came:
            each.kept = True
        inflight.store(came)
        inflight.sync(came)
        inflight.forget(inflight.leave())
    assert len(inflight) == 0
    assert calls.total < 4.5 * len(messages)
