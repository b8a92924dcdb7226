"""One partition, read by members that die at any moment: the table ends as if nobody had."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from hubqueue.config.pipelines import read_pipeline
from hubqueue.errors import ConfigError, LinkDown
from hubqueue.kafkagroup import commitnote as cuts
from hubqueue.kafkagroup.commitnote import NOTE_BYTES, Commit, Note
from hubqueue.kafkagroup.debt import Owed
from hubqueue.kafkagroup.reading import Reading
from hubqueue.kafkagroup.suited import check
from hubqueue.model.decode import Payload
from hubqueue.pipeline.plan import Pipeline, StepPlan
from hubqueue.pipeline.record import Record
from hubqueue.pipeline.step import State
from hubqueue.sources.message import Message
from hubqueue.sources.partition import Partition
from support.waiting import soon

PIPELINE = """
name: tens
steps:
  - window: {every: 10s, by: [device], time: t, lateness: 2s, late: dead-letter, values: {n: [sum]}}
to: {forward: {to: "tls://hub.example", target: tens}}
"""
BEGIN_MS = 1_750_000_000_000
FAR_MS = BEGIN_MS + 10_000_000
DECODE = Payload("json").decoder()

Table = dict[str, tuple[int, int]]


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    file = tmp_path / "tens.yaml"
    file.write_text(PIPELINE)
    return read_pipeline(file)


def log_of(chance: random.Random, devices: int, seconds: int) -> list[Message]:
    """Devices whose clocks are wrong, that fall silent, that come back with what they kept, and that are late."""
    log: list[Message] = []
    kept: dict[int, list[int]] = {}
    for second in range(seconds):
        for device in range(devices):
            at_ms = BEGIN_MS + second * 1000 + {1: -45_000, 2: 70_000}.get(device, -chance.randrange(1500))
            times = [at_ms]
            if device == 3 and 20 <= second < 50:
                continue  # silent
            if device == 4 and 20 <= second < 55:
                kept.setdefault(device, []).append(at_ms)  # cut off
                continue
            if device in kept:
                times = [*kept.pop(device), at_ms]
            if device == 5 and chance.random() < 0.05:
                times = [at_ms - 30_000]  # hopelessly late
            for time_ms in times:
                value = b'{"device": "d%d", "n": %d, "t": %d}' % (device, second, time_ms)
                written_ms = BEGIN_MS + second * 1000
                log.append(Message("t", value, written_ms, f"d{device}", partition=0, offset=len(log)))
    return log


def begun(pipeline: Pipeline, cut: Commit) -> Reading:
    note = cuts.read(cuts.written(cut.note))  # as the brokers keep it
    return Reading(pipeline, Partition("t", 0), DECODE, Commit(cut.offset, note))


async def run(reading: Reading, messages: Sequence[Message]) -> None:
    reading.take(messages)
    await reading.run()


def write(reading: Reading, table: Table) -> None:
    """As a sink that replaces rows of the same id."""
    for record in reading.out:
        table[record.id] = (record.data["count"], record.data["n_sum"])
    reading.out = []


async def fall_silent(reading: Reading) -> None:
    """Nothing comes for long: the wall clock notes when the last was heard, and later closes everything."""
    await reading.close(FAR_MS)
    await reading.close(FAR_MS + 600_000)


async def undisturbed(pipeline: Pipeline, log: list[Message]) -> tuple[Table, set[str]]:
    table: Table = {}
    reading = begun(pipeline, Commit(0, Note()))
    await run(reading, log)
    await fall_silent(reading)
    write(reading, table)
    return table, {letter.origin for letter in reading.dead}


@pytest.mark.parametrize("seed", range(12))
async def test_the_table_is_the_same_however_often_members_die(pipeline: Pipeline, seed: int) -> None:
    chance = random.Random(seed)
    log = log_of(chance, devices=chance.choice([1, 6, 25]), seconds=120)
    expected, late = await undisturbed(pipeline, log)
    table: Table = {}
    refused: set[str] = set()
    committed = Commit(0, Note())
    furthest = 0
    for _ in range(25):
        reading = begun(pipeline, committed)
        assert committed.offset <= furthest
        while reading.position < len(log):
            end = reading.position + chance.randrange(1, 60)
            await run(reading, log[reading.position : end])
            furthest = max(furthest, reading.position)
            if chance.random() < 0.08:
                break  # killed before it wrote
            write(reading, table)
            refused |= {letter.origin for letter in reading.dead}
            reading.dead = []
            if chance.random() < 0.08:
                break  # killed after it wrote and before it committed
            if chance.random() < 0.5:
                cut = reading.cut()
                assert cut.offset >= committed.offset
                assert len(cuts.written(cut.note)) <= NOTE_BYTES + 200
                committed = cut
    reading = begun(pipeline, committed)
    await run(reading, log[reading.position :])
    await fall_silent(reading)
    write(reading, table)
    assert table == expected
    assert refused | {letter.origin for letter in reading.dead} >= late
    assert reading.cut().offset == len(log)


@pytest.mark.parametrize("seed", range(12))
async def test_a_window_that_a_sink_has_set_aside_is_made_again_if_its_member_dies(
    pipeline: Pipeline, seed: int
) -> None:
    """What comes after it is written meanwhile, and committed no further than where it would come out again."""
    chance = random.Random(seed)
    log = log_of(chance, devices=chance.choice([1, 6, 25]), seconds=120)
    expected, _ = await undisturbed(pipeline, log)
    table: Table = {}
    committed = Commit(0, Note())
    aside: list[Owed] = []

    def take(owed: Owed) -> None:
        owed.sinks = 1
        table[owed.record.id] = (owed.record.data["count"], owed.record.data["n_sum"])
        owed.settle()

    for _ in range(25):
        reading = begun(pipeline, committed)
        aside.clear()
        while reading.position < len(log):
            await run(reading, log[reading.position : reading.position + chance.randrange(1, 60)])
            for owed in reading.hand_over():
                if chance.random() < 0.2:
                    aside.append(owed)
                else:
                    take(owed)
            for owed in [each for each in aside if chance.random() < 0.3]:
                aside.remove(owed)
                take(owed)
            if chance.random() < 0.08:
                break  # killed
            if chance.random() < 0.5:
                cut = reading.settled_cut()
                assert cut.offset >= committed.offset
                committed = cut
    reading = begun(pipeline, committed)
    await run(reading, log[reading.position :])
    await fall_silent(reading)
    write(reading, table)
    assert table == expected


async def test_the_offset_follows_though_there_is_always_something_set_aside(pipeline: Pipeline) -> None:
    log = log_of(random.Random(5), devices=5, seconds=600)
    reading = begun(pipeline, Commit(0, Note()))
    aside: list[list[Owed]] = []
    lags: list[int] = []
    for at in range(0, len(log), 50):
        await run(reading, log[at : at + 50])
        aside.append(reading.hand_over())
        for owed in aside[-1]:
            owed.sinks = 1
        if len(aside) > 4:  # turns later it passes
            for owed in aside.pop(0):
                owed.settle()
        lags.append(reading.position - reading.settled_cut().offset)
        assert reading.debts or at < 100
    assert max(lags) < 1000
    assert len(reading.debts) <= 4


@pytest.mark.parametrize("back_ms", [10_000_000, 620_000, 0], ids=["long ago", "a backlog", "now"])
async def test_one_record_of_the_future_drops_nobody(pipeline: Pipeline, back_ms: int) -> None:
    """What it says of its time and what its producer says are nine minutes ahead, of itself and of now."""
    begin_ms = int(time.time() * 1000) - 600_000 - back_ms
    log: list[Message] = []
    for second in range(600):
        for device in ("wild", "tame"):
            at_ms = begin_ms + second * 1000 + (540_000 if (device, second) == ("wild", 30) else 0)
            value = b'{"device": "%s", "n": 1, "t": %d}' % (device.encode(), at_ms)
            log.append(Message("t", value, at_ms, device, partition=0, offset=len(log)))
    reading = begun(pipeline, Commit(0, Note()))
    await run(reading, log)
    far_ms = begin_ms + 10_000_000
    await reading.close(far_ms)
    await reading.close(far_ms + 600_000)
    counts = Counter[str]()
    for record in reading.out:
        counts[record.data["device"]] += record.data["count"]
    assert counts == {"wild": 600, "tame": 600}
    assert reading.dead == []


async def test_a_successor_reads_little_again(pipeline: Pipeline) -> None:
    """Two windows and what is allowed to be late, of all devices; not all that a silent one left behind."""
    log = log_of(random.Random(1), devices=25, seconds=300)
    reading = begun(pipeline, Commit(0, Note()))
    worst = 0
    while reading.position < len(log):
        await run(reading, log[reading.position : reading.position + 100])
        worst = max(worst, reading.position - reading.cut().offset)
    assert worst < 25 * 130  # device 2 is 70 s ahead: its windows begin so much earlier


async def test_more_stragglers_than_a_note_holds_hold_the_offset_back(pipeline: Pipeline) -> None:
    names = [f"a-device-with-a-rather-long-name-{number:04}" for number in range(300)]
    log = [
        Message("t", b'{"device": "%s", "n": 1, "t": %d}' % (name.encode(), at_ms), at_ms, name, partition=0, offset=n)
        for n, (at_ms, name) in enumerate((BEGIN_MS + back, name) for back in (0, -60_000) for name in names)
    ]
    reading = begun(pipeline, Commit(0, Note()))
    await run(reading, log)
    cut = reading.cut()
    assert cut.offset == 0
    assert len(cuts.written(cut.note)) <= NOTE_BYTES + 200


class LookUp:
    """A look-up in what windows give, which ends as the test says."""

    def __init__(self, ending: BaseException) -> None:
        self._ending = ending

    async def prepare(self, records: Sequence[Record]) -> None:
        raise self._ending

    async def aclose(self) -> None: ...

    def run(self, record: Record, state: State) -> Iterable[Record]:
        return (record,)


@pytest.mark.parametrize("ending", [LinkDown("away"), asyncio.CancelledError()])
async def test_a_window_whose_look_up_broke_off_is_read_again(pipeline: Pipeline, ending: BaseException) -> None:
    log = log_of(random.Random(1), devices=1, seconds=15)
    reading = begun(
        replace(pipeline, steps=(*pipeline.steps, StepPlan("look-up", partial(LookUp, ending)))), Commit(0, Note())
    )
    with pytest.raises(type(ending)):
        await run(reading, log)
    assert (reading.out, reading.dead) == ([], [])
    assert reading.cut().offset == 0
    with pytest.raises(type(ending)):
        await fall_silent(reading)
    assert reading.cut().offset == 0


class Waiting(LookUp):
    """Waits for an answer that does not come."""

    def __init__(self, asked: asyncio.Event) -> None:
        self._asked = asked

    async def prepare(self, records: Sequence[Record]) -> None:
        self._asked.set()
        await asyncio.Event().wait()


async def test_a_window_that_waits_for_its_look_up_is_not_committed_as_written(pipeline: Pipeline) -> None:
    """A rebalance may ask for the cut at any moment."""
    asked = asyncio.Event()
    steps = (*pipeline.steps, StepPlan("look-up", partial(Waiting, asked)))
    reading = begun(replace(pipeline, steps=steps), Commit(0, Note()))
    running = asyncio.create_task(run(reading, log_of(random.Random(1), devices=1, seconds=15)))
    await soon(asked.wait())
    assert reading.cut().offset == 0
    running.cancel()
    await asyncio.wait({running})
    assert reading.cut().offset == 0


async def test_without_windows_the_offset_is_where_it_is(tmp_path: Path) -> None:
    file = tmp_path / "plain.yaml"
    file.write_text(
        'name: plain\nsteps: [{filter: "data.n > 1"}]\nto: {forward: {to: "tls://hub.example", target: x}}\n'
    )
    reading = begun(read_pipeline(file), Commit(5, Note()))
    messages = [Message("t", b'{"n": %d}' % n, BEGIN_MS, "k", partition=0, offset=5 + n) for n in range(4)]
    await run(reading, [*messages, Message("t", b"{", BEGIN_MS, None, partition=0, offset=9)])
    assert [record.id for record in reading.out] == ["t:0:7", "t:0:8"]
    assert [(letter.origin, letter.payload) for letter in reading.dead] == [("t:0:9", b"{")]
    assert reading.cut() == Commit(10, Note())


@pytest.mark.parametrize(
    ("steps", "to", "words"),
    [
        ("[{batch: {count: 10, within: 1s}}]", "{forward: {to: 'tls://h.example', target: x}}", "batch"),
        ("[{window: {every: 1s}}, {window: {every: 1m}}]", "{forward: {to: 'tls://h.example', target: x}}", "second"),
        ("[]", "{queue: x}", "queues and channels"),
    ],
)
def test_what_a_group_cannot_do_is_refused(tmp_path: Path, steps: str, to: str, words: str) -> None:
    file = tmp_path / "odd.yaml"
    file.write_text(f"name: odd\nsteps: {steps}\nto: {to}\n")
    with pytest.raises(ConfigError, match=words):
        check(read_pipeline(file))
