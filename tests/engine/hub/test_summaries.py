"""Summaries of queues for crowds: nothing is lost on the way to a slow one, and nobody holds the loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hubqueue.client.local import LocalHub
from hubqueue.hub import summaries
from hubqueue.hub.summaries import MAX_QUEUES, SLICE, Summaries
from hubqueue.hub.verbs.enqueue import enqueue
from hubqueue.model.job import NewJob
from hubqueue.model.verbs import Event
from hubqueue.store.tx import Tx
from support.turns import Turns
from support.waiting import until


class Listener:
    """Remembers the newest count of each queue. takes: whether there is room for more."""

    def __init__(self, turns: Turns | None = None) -> None:
        self.takes = True
        self.turns = turns
        self.most = 0  # queues in one message
        self.waiting: dict[str, int] = {}
        self.gone: set[str] = set()
        self.told = 0

    def __call__(self, told: Summaries | Event) -> bool:
        assert isinstance(told, Summaries)
        if self.turns is not None:
            self.turns.note()
        self.most = max(self.most, len(told.queues))
        if self.takes:
            self.told += 1
            self.waiting |= {state.queue: state.waiting for state in told.queues}
            self.gone |= set(told.gone)
        return self.takes


@pytest.fixture(autouse=True)
def _quick_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summaries, "EVERY_S", 0.05)


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[LocalHub]:
    async with await LocalHub.open(tmp_path / "hub.db") as hub:
        yield hub


def names(count: int) -> list[str]:
    return [f"q{number}" for number in range(count)]


async def add_to(hub: LocalHub, queues: list[str]) -> None:
    def verb(tx: Tx) -> None:
        for queue in queues:
            enqueue(tx, queue, [NewJob(name="a")])

    await hub.run(verb)


async def test_a_change_that_a_slow_listener_did_not_take_is_told_later(hub: LocalHub) -> None:
    await add_to(hub, ["a", "b"])
    slow, quick = Listener(), Listener()
    for queue, listener in (("a", slow), (None, quick)):
        hub.summaries.subscribe(queue, listener)
    await until(lambda: slow.waiting == {"a": 1} and quick.waiting == {"a": 1, "b": 1})
    slow.takes = False
    await add_to(hub, ["a"])
    await until(lambda: quick.waiting["a"] == 2)
    slow.takes = True
    await until(lambda: slow.waiting == {"a": 2})


async def test_that_a_queue_is_gone_reaches_a_slow_listener_too(hub: LocalHub) -> None:
    await add_to(hub, ["a"])
    slow, quick = Listener(), Listener()
    for listener in (slow, quick):
        hub.summaries.subscribe(None, listener)
    await until(lambda: bool(slow.waiting) and bool(quick.waiting))
    slow.takes = False
    await hub.obliterate("a")
    await until(lambda: quick.gone == {"a"})
    slow.takes = True
    await until(lambda: slow.gone == {"a"})


async def test_who_listens_no_more_is_told_nothing_more(hub: LocalHub) -> None:
    await add_to(hub, ["a"])
    left, there = Listener(), Listener()
    hub.summaries.subscribe("a", there)
    hub.summaries.subscribe("a", left)()
    await until(lambda: there.told > 0)
    assert left.told == 0


async def test_a_fleet_that_comes_back_to_its_queues_is_told_each_once_and_holds_nobody_up(hub: LocalHub) -> None:
    queues = names(1500)
    await add_to(hub, queues)
    with Turns() as turns:
        listeners = {queue: Listener(turns) for queue in queues}
        for queue, listener in listeners.items():
            hub.summaries.subscribe(queue, listener)
        await until(lambda: all(listener.told for listener in listeners.values()))
    assert all(listener.waiting == {queue: 1} for queue, listener in listeners.items())
    assert all(listener.told == 1 for listener in listeners.values())
    assert turns.most <= SLICE


async def test_many_queues_come_in_parts_and_complete(hub: LocalHub) -> None:
    queues = names(3 * MAX_QUEUES + 1)
    await add_to(hub, queues)
    listener = Listener()
    hub.summaries.subscribe(None, listener)
    await until(lambda: len(listener.waiting) == len(queues))
    assert (listener.told, listener.most) == (4, MAX_QUEUES)
