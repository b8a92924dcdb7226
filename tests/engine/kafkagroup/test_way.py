"""Sinks that break over some records: those are found and refused, all others pass, and nothing is committed too early.

The sinks are these tests' own, so that they break exactly as told; test_poison has real ones.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from hubqueue.forward.settings import ForwardSettings
from hubqueue.forward.sink import Batch
from hubqueue.forward.suspects import MAX_ASIDE
from hubqueue.forward.verdict import Rejected
from hubqueue.kafkagroup.commitnote import Commit, Note
from hubqueue.kafkagroup.debt import Debt, Owed
from hubqueue.kafkagroup.reading import Reading
from hubqueue.kafkagroup.writer import Writer
from hubqueue.model.decode import Payload
from hubqueue.pipeline.plan import Pipeline, ToForward
from hubqueue.pipeline.record import Record
from hubqueue.sources.message import Message
from hubqueue.sources.partition import Partition
from support.breaking import BREAKS, Breaking
from support.torture import sized
from support.waiting import until

CAP = 5
NOWHERE = Commit(0, Note())
DECODE = Payload("json").decoder()


@dataclass(frozen=True)
class At:
    """A destination that is there already."""

    there: Breaking


def pipeline_to(*sinks: Breaking, **keys: int) -> Pipeline:
    tuning = structs.replace(ForwardSettings(backoff_s=0.001, backoff_cap_s=0.01, unknown_cap=CAP), **keys)
    return Pipeline(
        "p", None, (), tuple(ToForward("p", cast("Any", At(sink)), settings=tuning) for sink in sinks), Path()
    )


def owed(*numbers: int) -> list[Owed]:
    debt = Debt(NOWHERE, len(numbers))
    return [Owed(Record(number, "default", 0, f"t:0:{number}"), debt) for number in numbers]


class Run:
    """A writer, and the letters that were written of what it lost: number and reason."""

    def __init__(self, *sinks: Breaking, **keys: int) -> None:
        self.writer = Writer(pipeline_to(*sinks, **keys), make=lambda to: cast("At", to).there)
        self.letters: list[tuple[int, str]] = []

    def bury(self) -> None:
        for each, why in self.writer.lost:
            self.letters.append((each.record.data, why))
            each.settle()
        self.writer.lost = []

    async def through(self, records: list[Owed]) -> None:
        self.writer.owe(records)

        async def settled() -> bool:
            await self.writer.push(more=False)
            self.bury()
            return not records[0].debt.left

        await until(settled)


@settings(max_examples=25)
@given(
    count=st.integers(2, 14),
    poison=st.sets(st.integers(0, 13), max_size=6),
    how=st.sampled_from(sorted(BREAKS)),
    one_by_one=st.booleans(),
    batch=st.sampled_from([1, 2, 5, 100]),
)
async def test_good_records_pass_in_order_and_poison_is_refused_alone(
    count: int, poison: set[int], how: str, one_by_one: bool, batch: int
) -> None:
    poison = {number for number in poison if number < count - 1}  # the last is good, and shows that the link is well
    sink = Breaking(poison, how, one_by_one=one_by_one)
    run = Run(sink, batch=batch)
    await run.through(owed(*range(count)))
    good = [number for number in range(count) if number not in poison]
    assert sink.taken == good
    assert sorted(number for number, _ in run.letters) == sorted(poison)
    assert (run.writer.written, run.writer.aside) == (len(good), 0)
    for number, why in run.letters:
        assert why.startswith("test://there: ")
        assert "times while the link was well otherwise" in why
        assert one_by_one or f"p:t:0:{number} alone under way" in why
        assert sum(tried == [number] for tried in sink.tries) <= 3 * CAP


@pytest.mark.parametrize("how", BREAKS)
async def test_poison_of_one_sink_is_none_of_the_others(how: str) -> None:
    """Each has what it takes once; what another breaks over is not written again to those that have it."""
    sinks = Breaking({3}, how), Breaking({3, 5}, how), Breaking((), how)
    for place, sink in enumerate(sinks):
        sink.target = f"test://{place}"
    run = Run(*sinks)
    await run.through(owed(*range(10)))
    for sink in sinks:
        assert sink.taken == [number for number in range(10) if number not in sink.poison]
    assert sorted((number, why[:8]) for number, why in run.letters) == [
        (3, "test://0"), (3, "test://1"), (5, "test://1"),
    ]  # fmt: skip
    assert run.writer.written == 8


@pytest.mark.parametrize("how", BREAKS)
async def test_an_outage_is_told_and_burns_no_record(how: str) -> None:
    away, well = Breaking((), how), Breaking((), how)
    away.closed = True
    run = Run(away, well, batch=10)
    records = owed(*range(20))
    run.writer.owe(records)
    told = 0
    while len(away.tries) < 150:
        told += len(await run.writer.push(more=False))
    assert told > 2
    assert run.writer.lost == []
    assert well.taken == list(range(20))  # once, however often the other is tried
    away.closed = False
    await run.through(owed(20, 21, 22))

    async def settled() -> bool:
        await run.writer.push(more=False)
        return not records[0].debt.left

    await until(settled)
    assert run.letters == []
    assert sorted(away.taken) == list(range(23))
    assert well.taken == list(range(23))


async def test_the_only_record_is_not_refused_for_silence_until_another_passes() -> None:
    """A disk that hangs there looks the same."""
    sink = Breaking({0}, "is silent")
    run = Run(sink)
    run.writer.owe(owed(0))

    async def tried() -> bool:
        await run.writer.push(more=False)
        return sink.tries.count([0]) > 4 * CAP

    await until(tried)
    assert run.writer.lost == []
    await run.through(owed(1, 2))
    await until(lambda: _refused(run, 0))


async def _refused(run: Run, number: int) -> bool:
    await run.writer.push(more=False)
    return [each.record.data for each, _ in run.writer.lost] == [number]


async def test_a_push_ends_though_much_that_is_set_aside_is_due() -> None:
    """A silent sink costs its time limit each: what is not even read yet must not wait for all of them."""
    sink = Breaking({0, 1, 2, 3}, "is silent")
    run = Run(sink)
    run.writer._ways[0]._judge.suspects._cap = 1_000_000
    run.writer.owe(owed(*range(10)))

    async def aside() -> bool:
        await run.writer.push(more=False)
        return run.writer.aside == 4 and len(sink.taken) == 6

    await until(aside)
    write = sink.write
    skipped_s = 0.0

    async def slow(batch: Batch) -> Any:
        nonlocal skipped_s
        if batch.parcels[0].id in odd:
            skipped_s += 20
        return await write(batch)

    odd = {f"p:t:0:{number}" for number in range(4)}
    sink.write = slow  # type: ignore[method-assign]

    def mono_s() -> float:
        return time.monotonic() + skipped_s

    one = run.writer._ways[0]
    one._mono_s = one._judge._mono_s = mono_s  # type: ignore[misc]
    before = len(sink.tries)

    async def one_was_due() -> bool:
        await run.writer.push(more=False)
        return len(sink.tries) > before

    await until(one_was_due)
    assert len(sink.tries) == before + 1
    for number in range(10, 20):  # now it is the others' turn, for as long as that took
        await run.through(owed(number))
    assert sink.tries[before + 1 :] == [[number] for number in range(10, 20)]
    skipped_s += 21
    await until(one_was_due)
    await run.through(owed(20))
    assert len(sink.tries) == before + 13


async def test_more_than_can_be_set_aside_are_told_as_an_outage() -> None:
    """Not tried again and again without a pause."""
    odd = set(range(MAX_ASIDE + 50))
    sink = Breaking(odd, "answers with its own trouble")
    run = Run(sink)
    run.writer._ways[0]._judge.suspects._cap = 1_000_000
    run.writer.owe(owed(*range(MAX_ASIDE + 60)))
    for _ in range(50):
        if await run.writer.push(more=False):
            break
    else:
        raise AssertionError("nothing was told")
    assert run.writer.aside <= MAX_ASIDE


async def test_what_comes_out_again_takes_the_place_of_the_earlier_one() -> None:
    """A window that is written again while the first is set aside: the sink has the later one, both are settled."""
    sink = Breaking({1}, "hangs up")
    run = Run(sink)
    run.writer._ways[0]._judge.suspects._cap = 1_000_000
    first, second = owed(1, 2), owed(3)
    run.writer.owe(first)

    async def aside() -> bool:
        await run.writer.push(more=False)
        return run.writer.aside == 1

    await until(aside)
    assert first[0].debt.left == 1
    second[0].record = Record(3, "default", 0, "t:0:1")
    await run.through(second)
    assert first[0].debt.left == 0
    assert sink.taken == [2, 3]


class Going(Breaking):
    """Also one that is away at times: nobody answers there."""

    gone = False

    async def connect(self) -> None:
        if self.gone:
            raise ConnectionRefusedError("refused")

    async def write(self, batch: Batch) -> list[Rejected | None]:
        if self.gone:
            raise ConnectionResetError("reset by peer")
        return await super().write(batch)


class Home:
    """One partition read by members that come and go, with two sinks that break and are away. `commit` checks."""

    def __init__(self, chance: random.Random, count: int) -> None:
        self.chance = chance
        self.log = [Message("t", b"%d" % n, 0, "k", partition=0, offset=n) for n in range(count)]
        self.sinks = [self._sink(place, count) for place in range(2)]
        self.letters: list[tuple[int, str]] = []
        self.committed = NOWHERE
        self.more = self.paused = False
        self.begin()

    def _sink(self, place: int, count: int) -> Going:
        poison = {n for n in range(count - 1) if self.chance.random() < 0.05}
        made = Going(poison, self.chance.choice(sorted(BREAKS)), one_by_one=self.chance.random() < 0.5)
        made.target = f"test://{place}"
        return made

    def begin(self) -> None:
        """A member that knows nothing."""
        self.run = Run(*self.sinks, batch=self.chance.choice([1, 7, 100]))
        self.run.letters = self.letters
        self.given()

    def given(self) -> None:
        self.reading = Reading(pipeline_to(*self.sinks), Partition("t", 0), DECODE, self.committed)

    def rebalance(self) -> None:
        self.run.writer.forget(set(self.reading.debts))
        self.given()

    async def turn(self, most: int) -> None:
        reading, writer = self.reading, self.run.writer
        if not self.paused:
            records = self.log[reading.position : reading.position + self.chance.randrange(most)]
            self.more = bool(records)
            reading.take(records)
            await reading.run()
        writer.owe(reading.hand_over())
        pushing = asyncio.create_task(writer.push(more=self.more))
        if self.chance.random() < 0.2:  # the group is shared out anew in the middle of it
            await asyncio.wait({pushing}, timeout=0.001)
            pushing.cancel()
        await asyncio.wait({pushing})
        self.paused = pushing.cancelled() or pushing.result() != []
        if self.chance.random() < 0.8:  # the topic of dead letters takes them
            self.run.bury()

    def commit(self) -> None:
        self.committed = self.reading.settled_cut()
        for sink in self.sinks:
            refused = {n for n, why in self.letters if why.startswith(sink.target)}
            assert set(range(self.committed.offset)) <= set(sink.taken) | refused


@pytest.mark.parametrize("seed", range(sized(ci=20, full=500)))
async def test_nothing_is_committed_that_a_sink_neither_has_nor_refused(seed: int) -> None:
    chance = random.Random(seed)
    home = Home(chance, 200)
    while home.reading.position < 180:
        await home.turn(20)
        if chance.random() < 0.5:
            home.commit()
        if home.paused or chance.random() < 0.2:
            sink = chance.choice(home.sinks)
            sink.gone = not home.paused
        if chance.random() < 0.1:
            home.rebalance()
        if chance.random() < 0.05:
            home.begin()
    for sink in home.sinks:
        sink.gone = False

    async def finished() -> bool:
        await home.turn(50)
        home.commit()
        return home.committed.offset == len(home.log)

    await until(finished)
    for sink in home.sinks:
        assert {n for n, why in home.letters if why.startswith(sink.target)} == sink.poison
        assert set(sink.taken) == set(range(200)) - sink.poison
