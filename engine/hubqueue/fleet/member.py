"""One member of the consumer group that runs a pipeline: read, run, write to the sinks, and only then commit.

Rules:
- An offset is committed after every sink has written what came of the records before it (docs/fleet.md says why that
  and the ids make each reading stand in the table once).
- What a member has not committed its successor reads again; a partition that was taken from us is forgotten at once.
- A window is closed by the wall clock only at the end of the log, and after a commit has shown that the partition is
  still ours: a member that slept for a minute must not write what it believes to be over.
- While a sink is down nothing more is read; the member stays in its group.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from hubqueue.client.backoff import Backoff
from hubqueue.errors import ConfigError, HubqueueError, LinkDown
from hubqueue.fleet import cut as cuts
from hubqueue.fleet.cut import Cut
from hubqueue.fleet.deadletters import DeadLetters, Letter, of_record
from hubqueue.fleet.figures import Figures
from hubqueue.fleet.reading import Reading
from hubqueue.fleet.writer import Writer
from hubqueue.forward.verdict import Down
from hubqueue.model.decode import Payload
from hubqueue.pipeline.plan import Pipeline
from hubqueue.pipeline.step import Timed
from hubqueue.pipeline.window import Window
from hubqueue.sources.consumer import Committed, Consumer, Known, Partition, message_of
from hubqueue.sources.settings import KafkaBrokers

log = logging.getLogger(__name__)

READ_S: Final = 0.5
COMMIT_S: Final = 1.0
MOST: Final = 2000  # records of one turn
FIRST_RETRY_S, MAX_RETRY_S = 0.5, 30.0
LEAVE_S: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class From:
    """What a member reads. Units: session_s seconds after which the group gives up a silent member."""

    brokers: KafkaBrokers
    topics: tuple[str, ...]
    group: str
    payload: Payload = field(default_factory=Payload)
    session_s: float = 10.0
    dead_letters: str | None = None


class Member:
    """`run` until it is cancelled. Errors: ConfigError for a pipeline that cannot be run so."""

    def __init__(self, pipeline: Pipeline, source: From, figures: Figures) -> None:
        check(pipeline)
        self._pipeline = pipeline
        self._source = source
        self._figures = figures
        self._writer = Writer(pipeline)
        self._dead = DeadLetters(source.brokers, source.dead_letters)
        self._decode = source.payload.decoder()
        self._readings: dict[Partition, Reading] = {}
        self._one = asyncio.Lock()  # writing and committing, against losing partitions in the middle of it
        self._consumer: Consumer | None = None
        self._broken: LinkDown | None = None
        self._noted = False  # the brokers keep the notes beside offsets
        self._warned = False

    async def run(self) -> None:
        """Work, and go on after every trouble. Errors: ConfigError."""
        backoff = Backoff(FIRST_RETRY_S, MAX_RETRY_S)
        try:
            while True:
                try:
                    await self._membership(backoff)
                except Unfit as error:
                    raise error.error from error
                except LinkDown as error:
                    log.warning("trying again: %s", error)
                self._figures.turned_s = time.monotonic()
                await asyncio.sleep(backoff.next_s())
        finally:
            await self._writer.close()
            await self._dead.close()

    async def _membership(self, backoff: Backoff) -> None:
        source = self._source
        consumer = Consumer(
            source.brokers,
            source.topics,
            source.group,
            session_s=source.session_s,
            given=self._given,
            taken=self._taken,
        )
        self._consumer, self._broken = consumer, None
        try:
            await consumer.open()
            backoff.reset()
            await self._work(consumer)
        finally:
            self._figures.member = False
            try:
                async with asyncio.timeout(LEAVE_S):
                    await self._taken(set(self._readings))
            except TimeoutError:
                log.warning("left without a last commit, the next member reads some records again")
            await consumer.close()
            await self._forget(set(self._readings))
            self._consumer = None

    async def _work(self, consumer: Consumer) -> None:
        loop = asyncio.get_running_loop()
        commit_at_s = loop.time() + COMMIT_S
        while True:
            records = await consumer.read(wait_s=READ_S, most=MOST)
            self._figures.turned_s = time.monotonic()
            if self._broken is not None:
                raise self._broken
            for partition, found in records.items():
                reading = self._readings.get(partition)
                if reading is not None:
                    await reading.run([message_of(record) for record in found])
                    self._figures.read += len(found)
            await self._flush()
            if loop.time() >= commit_at_s:
                await self._close_silent(consumer)
                async with self._one:
                    await self._commit(consumer, self._readings)
                commit_at_s = loop.time() + COMMIT_S
                self._look(consumer)

    async def _flush(self) -> None:
        """Everything that came out is in the sinks, however long that takes."""
        backoff = Backoff(FIRST_RETRY_S, MAX_RETRY_S)
        while True:
            async with self._one:
                readings = list(self._readings.values())
                down = await self._write(readings)
            if down is None:
                self._figures.sink_up = True
                return
            if self._figures.sink_up:
                log.warning("a sink takes nothing, it is tried again: %s", down.error)
            self._figures.sink_up = False
            self._figures.sink_failures += 1
            self._figures.turned_s = time.monotonic()
            await asyncio.sleep(max(backoff.next_s(), down.retry_after_s or 0))

    async def _write(self, readings: list[Reading]) -> Down | None:
        out = [record for reading in readings for record in reading.out]
        dead: list[Letter] = [letter for reading in readings for letter in reading.dead]
        if out:
            lost = await self._writer.write(out)
            if isinstance(lost, Down):
                return lost
            dead += [of_record(record, reason) for record, reason in lost]
        if dead:
            await self._dead.write(dead)
        self._figures.written += len(out)
        self._figures.dead += len(dead)
        for reading in readings:
            reading.out, reading.dead = [], []
            self._figures.unkeyed += reading.unkeyed if reading.windowed else 0
            if reading.windowed and reading.unkeyed and not self._warned:
                self._warned = True
                log.warning("records have no key: windows need all records of a group in one partition")
            reading.unkeyed = 0
        return None

    async def _close_silent(self, consumer: Consumer) -> None:
        """At the end of the log the wall clock closes windows, if the partitions are still ours."""
        now_ms = int(time.time() * 1000)
        due = {partition for partition, reading in self._readings.items() if reading.due(now_ms)}
        if not due:
            return
        ends = await consumer.ends(due)
        ended = {each for each in due if each in self._readings and self._readings[each].position >= ends[each]}
        async with self._one:
            ended &= self._readings.keys()
            if not ended or not await self._commit(consumer, ended):
                return
            for partition in ended:
                await self._readings[partition].close(now_ms)
        await self._flush()

    async def _commit(self, consumer: Consumer, partitions: Iterable[Partition]) -> bool:
        """Say how far we are; whether the partitions are ours. Nothing may wait to be written."""
        ready = {each: self._readings[each] for each in partitions if each in self._readings}
        if any(reading.out or reading.dead for reading in ready.values()) or not ready:
            return False
        found = {partition: _committed(reading, reading.cut()) for partition, reading in ready.items()}
        if not await consumer.commit(found):
            self._figures.refused_commits += 1
            return False
        self._figures.commits += 1
        for partition, each in found.items():
            self._figures.held[partition] = ready[partition].position - each.offset
        if not self._noted and any(each.note for each in found.values()):
            await self._check_noted(consumer, found)
        return True

    async def _check_noted(self, consumer: Consumer, said: dict[Partition, Committed]) -> None:
        """Errors: ConfigError where the brokers forget the notes: windows could be written twice, one time partly."""
        known = await consumer.known(said)
        for partition, each in said.items():
            kept = known[partition].committed
            if kept is not None and kept.offset == each.offset and kept.note != each.note:
                raise ConfigError(
                    "these brokers do not keep what is noted beside an offset, so windows cannot be taken over",
                    hint="run windows on a hub (pipelines.md), or use brokers that keep the metadata of commits",
                )
        self._noted = True

    async def _given(self, partitions: set[Partition]) -> None:
        consumer = self._consumer
        if consumer is None:
            return
        try:
            async with self._one:
                known = await consumer.known(partitions)
                await self._forget(set(self._readings))
                for each in partitions:
                    self._check_partitions(consumer, each)
                    reading = self._begin(each, known[each])
                    consumer.seek(each, reading.position)
                    self._readings[each] = reading
        except LinkDown as error:
            self._broken = error
            return
        except ConfigError as error:
            self._broken = Unfit(error)
            return
        except HubqueueError as error:  # a table of the pipeline, perhaps, that somebody is writing
            self._broken = LinkDown(error.message)
            return
        self._figures.member, self._figures.partitions = True, len(self._readings)
        self._figures.rebalances += 1
        log.info("partitions of this member: %s", ", ".join(sorted(map(str, partitions))) or "none")

    def _begin(self, partition: Partition, known: Known) -> Reading:
        offset = known.first("earliest")
        committed = known.committed
        note = cuts.read(committed.note) if committed is not None and committed.offset == offset else cuts.Note()
        return Reading(self._pipeline, partition, self._decode, Cut(offset, note))

    def _check_partitions(self, consumer: Consumer, partition: Partition) -> None:
        whole = [step for plan in self._pipeline.steps if isinstance(step := plan.make(), Window) and not step.grouped]
        if whole and (consumer.count_partitions(partition.topic) > 1 or len(self._source.topics) > 1):
            raise ConfigError(
                f"a window without 'by' needs all records in one partition, and {partition.topic} has more",
                hint="group it by what the records are keyed by, or use a topic with one partition",
            )

    async def _taken(self, partitions: set[Partition]) -> None:
        consumer = self._consumer
        async with self._one:
            if consumer is not None:
                try:
                    await self._commit(consumer, partitions)
                except LinkDown as error:
                    log.info("last commit failed: %s", error)
            await self._forget(partitions)

    async def _forget(self, partitions: set[Partition]) -> None:
        for each in partitions:
            reading = self._readings.pop(each, None)
            self._figures.lag.pop(each, None)
            self._figures.held.pop(each, None)
            if reading is not None:
                await reading.aclose()
        self._figures.partitions = len(self._readings)

    def _look(self, consumer: Consumer) -> None:
        for partition, reading in self._readings.items():
            lag = consumer.behind(partition, reading.position)
            if lag is not None:
                self._figures.lag[partition] = lag
        if consumer.quiet():
            raise LinkDown(f"Kafka at {self._source.brokers.url}: no broker answers")


class Unfit(LinkDown):
    """Carries a ConfigError out of a callback of the consumer."""

    def __init__(self, error: ConfigError) -> None:
        super().__init__(error.message)
        self.error = error


def check(pipeline: Pipeline) -> None:
    """Errors: ConfigError for what the members of a group cannot do."""
    timed = [plan.name for plan in pipeline.steps if isinstance(plan.make(), Timed)]
    odd = [plan.name for plan in pipeline.steps if isinstance(step := plan.make(), Timed) and not _is_window(step)]
    if odd:
        raise ConfigError(
            f"pipeline {pipeline.name}: {odd[0]} cannot be run from Kafka", hint="sinks batch by themselves"
        )
    if len(timed) > 1:
        hint = "write the first to a topic, and run the second from there with a pipeline of its own"
        raise ConfigError(f"pipeline {pipeline.name}: a second window ({timed[1]}) cannot be run from Kafka", hint=hint)
    Writer(pipeline)


def _is_window(step: object) -> bool:
    return isinstance(step, Window)


def _committed(reading: Reading, cut: Cut) -> Committed:
    return Committed(cut.offset, cuts.written(cut.note) if reading.windowed else "")
