"""Records that the brokers deleted before they were read: windows that lack some say so, all others are whole."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import pytest

from hubqueue.config.pipelines import read_pipeline
from hubqueue.kafkagroup import commitnote as cuts
from hubqueue.kafkagroup.commitnote import Commit, Note
from hubqueue.kafkagroup.member import Member
from hubqueue.kafkagroup.metrics import MemberMetrics
from hubqueue.kafkagroup.reading import Reading
from hubqueue.kafkagroup.source import From
from hubqueue.model.decode import Payload
from hubqueue.pipeline.plan import Pipeline
from hubqueue.sources.message import Message
from hubqueue.sources.partition import Committed, Known, Partition
from hubqueue.sources.settings import KafkaBrokers

PIPELINE = """
name: tens
steps:
  - window: {every: 10s, by: [device], time: t, lateness: 2s, values: {n: [sum]}}
to: {forward: {to: "tls://hub.example", target: tens}}
"""
BEGIN_MS = 1_750_000_000_000
FAR_MS = BEGIN_MS + 10_000_000
DECODE = Payload("json").decoder()
PLACE = Partition("t", 0)

Row = tuple[int, int, bool]  # count, sum, partial
Table = dict[tuple[str, int], Row]


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    file = tmp_path / "tens.yaml"
    file.write_text(PIPELINE)
    return read_pipeline(file)


def log_of(chance: random.Random, devices: int, seconds: int) -> list[Message]:
    """Clocks that are right, behind (1) and ahead (2); readings out of order by as much as is waited for."""
    log: list[Message] = []
    for second in range(seconds):
        for device in range(devices):
            told_ms = BEGIN_MS + second * 1000 + {1: -25_000, 2: 15_000}.get(device, -chance.randrange(1500))
            value = b'{"device": "d%d", "n": %d, "t": %d}' % (device, second, told_ms)
            log.append(Message("t", value, BEGIN_MS + second * 1000, f"d{device}", partition=0, offset=len(log)))
    return log


def begun(pipeline: Pipeline, cut: Commit) -> Reading:
    return Reading(pipeline, PLACE, DECODE, Commit(cut.offset, cuts.read(cuts.written(cut.note))))


async def run(reading: Reading, messages: list[Message]) -> None:
    reading.take(messages)
    await reading.run()


def write(reading: Reading, table: Table) -> None:
    for record in reading.out:
        data = record.data
        partial = data.get("partial", False)
        assert partial in (False, True)
        table[data["device"], data["start_ms"]] = (data["count"], data["n_sum"], partial)
    reading.out = []


async def finished(reading: Reading, table: Table) -> None:
    await reading.close(FAR_MS)
    await reading.close(FAR_MS + 600_000)
    write(reading, table)


async def whole(pipeline: Pipeline, log: list[Message]) -> Table:
    table: Table = {}
    reading = begun(pipeline, Commit(0, Note()))
    await run(reading, log)
    await finished(reading, table)
    return table


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("how", ["while nobody reads", "while a member waits"])
async def test_a_window_that_lacks_records_says_so(pipeline: Pipeline, seed: int, how: str) -> None:
    chance = random.Random(seed)
    log = log_of(chance, devices=chance.choice([1, 4, 15]), seconds=150)
    expected = await whole(pipeline, log)
    table: Table = {}
    reading, committed = begun(pipeline, Commit(0, Note())), Commit(0, Note())
    gap_at = chance.randrange(len(log) // 4, len(log) // 2)
    while reading.position < gap_at:
        await run(reading, log[reading.position : min(gap_at, reading.position + chance.randrange(1, 40))])
        write(reading, table)
        committed = reading.cut()
    if how == "while nobody reads":
        reading = begun(pipeline, committed)
        begin = committed.offset + chance.randrange(1, len(log) // 4)
    else:
        begin = reading.position + chance.randrange(1, len(log) // 4)
    lost = {(f"d{n}", start) for n, start in _windows(log[committed.offset : begin])}  # if its member dies, also
    reading.gap(begin)
    left_ms = log[begin].at_ms
    assert left_ms is not None
    committed = reading.cut()
    assert committed.offset == begin
    while reading.position < len(log):  # and members die afterwards, too
        if chance.random() < 0.1:
            reading = begun(pipeline, committed)
        await run(reading, log[reading.position : reading.position + chance.randrange(1, 40)])
        write(reading, table)
        if chance.random() < 0.7:
            after = reading.cut()
            assert after.offset >= committed.offset
            committed = after
    await finished(reading, table)
    for window, (count, total, partial) in table.items():
        if not partial:
            assert (count, total) == expected[window][:2], window
        device, start_ms = window
        assert not partial or start_ms <= left_ms + (15_000 if device == "d2" else 0)
    assert table.keys() <= expected.keys()
    assert expected.keys() - table.keys() <= lost, "only what is lost altogether is not there"
    assert any(partial for _, _, partial in table.values())
    newer = [row for (_, start_ms), row in table.items() if start_ms > left_ms + 15_000]
    assert newer
    assert not any(partial for _, _, partial in newer)


def _windows(messages: Iterable[Message]) -> set[tuple[int, int]]:
    found = set()
    for message in messages:
        data = DECODE(message.payload)
        found.add((int(data["device"][1:]), data["t"] - data["t"] % 10_000))
    return found


async def test_the_mark_goes_when_no_window_can_lack_anything(pipeline: Pipeline) -> None:
    log = log_of(random.Random(1), devices=1, seconds=120)
    reading = begun(pipeline, Commit(0, Note()))
    await run(reading, log[:30])
    reading.cut()
    reading.gap(50)
    await run(reading, log[50:55])
    assert reading.cut().note.lacks == BEGIN_MS + 50_000
    await run(reading, log[55:])
    assert reading.cut().note.lacks == 0


class Shortened:
    """What a member asks its consumer: the log begins at 40, and 25 is committed."""

    def __init__(self, note: str = "") -> None:
        self.sought: list[int] = []
        self._note = note

    async def known(self, partitions: Iterable[Partition]) -> dict[Partition, Known]:
        return {each: Known(40, 100, Committed(25, self._note)) for each in partitions}

    def seek(self, partition: Partition, offset: int) -> None:
        self.sought.append(offset)

    def count_partitions(self, topic: str) -> int:
        return 1


async def test_a_gap_is_an_error_and_counted_and_what_is_written_stays(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    figures = MemberMetrics("tens")
    member = Member(pipeline, From(brokers=KafkaBrokers(("b:9092",)), topics=("t",), group="g"), figures)
    note = Note(position=60, begins=BEGIN_MS + 20_000)
    consumer: Any = Shortened(cuts.written(note))
    member._consumer = cast("Any", consumer)
    await member._given({PLACE})
    assert figures.deleted == 15
    (line,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert line.getMessage().endswith("partition=t:0 offset=25 count=15")
    assert consumer.sought == [40]
    reading = member._readings[PLACE]
    cut = reading.cut()
    assert (cut.offset, cut.note.position, cut.note.begins) == (40, 60, BEGIN_MS + 20_000)
    old = b'{"device": "d", "n": 1, "t": %d}' % (BEGIN_MS + 5000)
    await run(reading, [Message("t", old, BEGIN_MS + 5000, "d", partition=0, offset=40)])
    await finished(reading, table := {})
    assert table == {}, "its window was written whole, before"
