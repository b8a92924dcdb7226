"""One member of the consumer group that runs a pipeline: read, run, write to the sinks, and only then commit.

Rules:
- An offset is committed after every sink has, or never takes, what came of the records before it (docs/fleet.md says
  why that and the ids make each reading stand in the table once). What a sink has set aside holds the offset back.
- What a member has not committed its successor reads again; a partition that was taken from us is forgotten at once.
- A window is closed by the wall clock only at the end of the log, and after a commit has shown that the partition is
  still ours: a member that slept for a minute must not write what it believes to be over.
- While a sink or a look-up is down nothing more is read; the member stays in its group (fleet/patience.py).
- Records that the brokers deleted before they were read are an error in the log, counted, and marked in the windows.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Final

from hubqueue.errors import ConfigError, HubqueueError, LinkDown
from hubqueue.kafkagroup import commitnote as cuts
from hubqueue.kafkagroup.commitnote import Commit
from hubqueue.kafkagroup.metrics import MemberMetrics
from hubqueue.kafkagroup.outlet import Outlet
from hubqueue.kafkagroup.patience import Patience, Trouble
from hubqueue.kafkagroup.reading import Reading
from hubqueue.kafkagroup.source import From
from hubqueue.kafkagroup.suited import Unfit, check, check_partitions
from hubqueue.model.backoff import ExponentialBackoff
from hubqueue.pipeline.plan import Pipeline
from hubqueue.sources.consumer import Consumer
from hubqueue.sources.partition import Committed, Known, OutOfRange, Partition, message_of

log = logging.getLogger(__name__)

READ_S: Final = 0.5
COMMIT_S: Final = 1.0
MOST: Final = 2000  # records of one turn
FIRST_RETRY_S, MAX_RETRY_S = 0.5, 30.0
LEAVE_S: Final = 20.0
LOOK_S: Final = 5.0  # between looks at the lag while nothing is read


class Member:
    """`run` until it is cancelled. Errors: ConfigError for a pipeline that cannot be run so."""

    def __init__(self, pipeline: Pipeline, source: From, figures: MemberMetrics) -> None:
        check(pipeline)
        self._pipeline = pipeline
        self._source = source
        self._figures = figures
        self._outlet = Outlet(pipeline, source, figures)
        self._decode = source.payload.decoder()
        self._readings: dict[Partition, Reading] = {}
        self._one = asyncio.Lock()  # writing and committing, against losing partitions in the middle of it
        self._consumer: Consumer | None = None
        self._patience: Patience | None = None
        self._looked_s = 0.0
        self._broken: LinkDown | None = None
        self._more = False  # the last read brought something
        self._noted = False  # the brokers keep the notes beside offsets

    async def run(self) -> None:
        """Work, and go on after every trouble. Errors: ConfigError."""
        backoff = ExponentialBackoff(FIRST_RETRY_S, MAX_RETRY_S)
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
            await self._outlet.close()

    async def _membership(self, backoff: ExponentialBackoff) -> None:
        source = self._source
        consumer = Consumer(
            source.brokers,
            source.topics,
            source.group,
            session_s=source.session_s,
            given=self._given,
            taken=self._taken,
            instance=source.instance,
            poll_s=source.poll_s,
        )
        self._consumer, self._broken = consumer, None
        self._patience = Patience(consumer, partial(self._while_waiting, consumer))
        try:
            await consumer.open()
            backoff.reset()
            await self._work(consumer, self._patience)
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

    async def _work(self, consumer: Consumer, patience: Patience) -> None:
        loop = asyncio.get_running_loop()
        commit_at_s = loop.time() + COMMIT_S
        while True:
            try:
                records = await consumer.read(wait_s=READ_S, most=MOST)
            except OutOfRange as error:
                await self._pass_over(consumer, error)
                continue
            self._see()
            self._more = bool(records)
            for partition, found in records.items():
                reading = self._readings.get(partition)
                if reading is not None:
                    reading.take([message_of(record) for record in found])
                    self._figures.read += len(found)
            await patience.through(partial(self._run, consumer))
            for partition, reading in list(self._readings.items()):
                position = await consumer.position(partition)
                if position is not None and self._readings.get(partition) is reading:
                    reading.reach(position)
            if loop.time() >= commit_at_s:
                await self._close_silent(consumer, patience)
                async with self._one:
                    await self._commit(consumer, self._readings)
                commit_at_s = loop.time() + COMMIT_S
                self._look(consumer)

    def _see(self) -> None:
        """The loop has come round. Errors: LinkDown for what a rebalance met."""
        self._figures.turned_s = time.monotonic()
        if self._broken is not None:
            raise self._broken

    async def _while_waiting(self, consumer: Consumer) -> None:
        """Nothing is read, so the lag has to be asked for. Errors: LinkDown when it is Kafka that is away."""
        self._see()
        if time.monotonic() < self._looked_s + LOOK_S:
            return
        self._looked_s = time.monotonic()
        ends = await consumer.ends(self._readings)
        for partition, end in ends.items():
            reading = self._readings.get(partition)
            if reading is not None:
                self._figures.lag[partition] = max(0, end - reading.position)

    async def _run(self, consumer: Consumer) -> Trouble | None:
        """What was read is run, and what came out is in the sinks."""
        for partition, reading in list(self._readings.items()):
            try:
                if reading.held:
                    await reading.run()
            except LinkDown as error:
                return await self._look_up_away(consumer, partition, reading, error)
        return await self._write()

    async def _look_up_away(
        self, consumer: Consumer, partition: Partition, reading: Reading, error: LinkDown
    ) -> Trouble:
        """A reading that is torn is begun anew where its last cut was."""
        if reading.torn and self._readings.get(partition) is reading:
            again = Reading(self._pipeline, partition, self._decode, reading.cut())
            again.debts = reading.debts
            self._readings[partition] = again
            consumer.seek(partition, again.position)
            await reading.aclose()
        return Trouble(f"a look-up gives no answer: {error.message}")

    async def _write(self) -> Trouble | None:
        async with self._one:
            return await self._outlet.write(list(self._readings.values()), more=self._more)

    async def _close_silent(self, consumer: Consumer, patience: Patience) -> None:
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
            ours = {partition: self._readings[partition] for partition in ended}
        await patience.through(partial(self._close, consumer, ours, now_ms))

    async def _close(self, consumer: Consumer, ours: Mapping[Partition, Reading], now_ms: int) -> Trouble | None:
        for partition, reading in ours.items():
            if self._readings.get(partition) is not reading:
                continue  # it was taken from us meanwhile
            try:
                await reading.close(now_ms)
            except LinkDown as error:
                return await self._look_up_away(consumer, partition, reading, error)
        return await self._write()

    async def _pass_over(self, consumer: Consumer, error: OutOfRange) -> None:
        """The brokers have deleted what was to be read next. Errors: LinkDown where a topic was made anew."""
        async with self._one:
            for partition, known in (await consumer.known(error.partitions)).items():
                reading = self._readings.get(partition)
                if reading is None:
                    continue  # what the library tried before it was told where to begin
                if reading.position > known.end:
                    raise LinkDown(f"{partition} ends before offset {reading.position}, it was made anew") from error
                if reading.position < known.begin:
                    self._lost(reading, known.begin)
                    consumer.seek(partition, reading.position)

    def _lost(self, reading: Reading, begin: int) -> None:
        count = begin - reading.position
        self._figures.deleted += count
        log.error(
            "the brokers have deleted records before they were read, windows that lack some are marked partial;"
            " keep them for longer (retention.ms, retention.bytes) partition=%s offset=%d count=%d",
            reading.partition,
            reading.position,
            count,
        )
        reading.gap(begin)

    async def _commit(self, consumer: Consumer, partitions: Iterable[Partition]) -> bool:
        """Say how far we are; whether the partitions are ours. Nothing may wait to be written."""
        ready = {each: self._readings[each] for each in partitions if each in self._readings}
        if any(reading.out or reading.dead for reading in ready.values()) or not ready:
            return False
        found = {partition: _committed(reading, reading.settled_cut()) for partition, reading in ready.items()}
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
                    check_partitions(self._pipeline, each, consumer.count_partitions(each.topic), self._source)
                    reading = self._begin(each, known[each], await self._stopped(consumer, each, known[each]))
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

    async def _stopped(self, consumer: Consumer, partition: Partition, known: Known) -> Committed | None:
        """Where the group stopped, perhaps before what is there still; None, too, where the topic was made anew since.

        An end that is before it does not say so: some brokers tell one too early, always. A record there says the same
        of the end. Errors: LinkDown.
        """
        committed = known.committed
        if committed is None or committed.offset <= known.end:
            return committed
        try:
            return committed if await consumer.record(partition, committed.offset - 1) is not None else None
        except OutOfRange:
            return None

    def _begin(self, partition: Partition, known: Known, committed: Committed | None) -> Reading:
        if committed is None:
            return Reading(self._pipeline, partition, self._decode, Commit(known.begin, cuts.Note()))
        reading = Reading(self._pipeline, partition, self._decode, Commit(committed.offset, cuts.read(committed.note)))
        if committed.offset < known.begin:
            self._lost(reading, known.begin)
        return reading

    async def _taken(self, partitions: set[Partition]) -> None:
        consumer = self._consumer
        if self._patience is not None:
            await self._patience.let_go()
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
                self._outlet.forget(reading)
                await reading.aclose()
        self._figures.partitions = len(self._readings)

    def _look(self, consumer: Consumer) -> None:
        for partition, reading in self._readings.items():
            lag = consumer.behind(partition, reading.position)
            if lag is not None:
                self._figures.lag[partition] = lag
        if consumer.quiet():
            raise LinkDown(f"Kafka at {self._source.brokers.url}: no broker answers")


def _committed(reading: Reading, cut: Commit) -> Committed:
    return Committed(cut.offset, cuts.written(cut.note) if reading.windowed else "")
