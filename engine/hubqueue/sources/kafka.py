"""Kafka into queues: a member of a consumer group whose records become jobs. Offsets are committed after the sync.

Rules:
- How far a partition was read is stored in the transaction that makes the jobs: what comes again after a crash, or
  after another member had the partition for a while, is known here and makes no second job.
- The offset is committed only after that transaction is on the disk, so a power cut of the hub loses nothing.
- A full queue holds back only the partition whose records want to go there: it is paused and the others go on.
- A partition that was taken from us is forgotten at once; nothing more is stored or committed for it.
- Records that the brokers deleted before they were read are an error in the log, and counted.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

import msgspec

from hubqueue.errors import HubqueueError, LinkDown
from hubqueue.hub.hub import Hub
from hubqueue.ingest.tasks import watched
from hubqueue.model.backoff import ExponentialBackoff
from hubqueue.model.outcome import Blob
from hubqueue.sources.consumer import Consumer
from hubqueue.sources.entry import Entry
from hubqueue.sources.mark import Mark
from hubqueue.sources.message import Message
from hubqueue.sources.partition import DOUBTS, Committed, Known, OutOfRange, Partition, Short, message_of
from hubqueue.sources.settings import KafkaSource, routing_of
from hubqueue.sources.status import Status

log = logging.getLogger(__name__)

READ_S: Final = 0.5
COMMIT_S: Final = 1.0  # between commits: what is read again because of it is known here
FIRST_RETRY_S, MAX_RETRY_S = 1.0, 30.0
LEAVE_S: Final = 10.0
NOTHING: Final = Mark(0, 0)


class _Reading:
    """A partition that is ours: what of it is held, and how far it is stored. Units: offsets of the next record.

    stored: in the job file. told: committed to Kafka; unsaid: it was not, it is only where we began.
    """

    def __init__(self, entry: Entry, stored: int) -> None:
        self.entry = entry
        self.held: list[Message] = []
        self.stored = stored
        self.told = stored
        self.unsaid = False
        self.retry_at_s = 0.0


class KafkaFeed:
    """One source. `start` until `close`. Errors: Invalid at construction."""

    def __init__(self, hub: Hub, source: KafkaSource) -> None:
        self.status = Status(source.name, "kafka", f"{source.brokers.url}/{','.join(source.topics)}")
        self._hub = hub
        self._source = source
        self._routing = routing_of(source)
        self._marks = f"{source.brokers.url} {source.group}"  # elsewhere a group and topic of this name are others
        self._doubts = 0  # how often in a row it could not be told whether a topic was made anew
        self._readings: dict[Partition, _Reading] = {}
        self._one = asyncio.Lock()  # storing and committing, against losing partitions in the middle of it
        self._consumer: Consumer | None = None
        self._broken: LinkDown | None = None  # what kept us from taking up partitions
        self._task: asyncio.Task[None] | None = None
        source.brokers.options()

    def start(self) -> None:
        """Connect, and go on connecting, in a task of its own."""
        self._task = watched(self._run(), f"source-{self._source.name}")

    async def close(self) -> None:
        """Commit what is stored and leave the group; what is held comes again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        backoff = ExponentialBackoff(FIRST_RETRY_S, MAX_RETRY_S)
        while True:
            source = self._source
            consumer = Consumer(
                source.brokers,
                source.topics,
                source.group,
                session_s=source.session_s,
                given=self._given,
                taken=self._taken,
                instance=source.instance,
            )
            self._consumer, self._broken = consumer, None
            try:
                await consumer.open()
                backoff.reset()
                await self._read(consumer)
            except LinkDown as error:
                self._turn(up=False, error=error.message)
            finally:
                try:
                    async with asyncio.timeout(LEAVE_S):
                        await self._taken(set(self._readings))
                except TimeoutError:
                    log.warning("offsets are committed by the next member source=%s", source.name)
                await consumer.close()
                self._consumer = None
                self._readings.clear()
            await asyncio.sleep(backoff.next_s())

    async def _read(self, consumer: Consumer) -> None:
        loop = asyncio.get_running_loop()
        commit_at_s = loop.time() + COMMIT_S
        while True:
            try:
                records = await consumer.read(wait_s=READ_S, most=max(1, self._limit()))
            except OutOfRange as error:
                await self._pass_over(consumer, error)
                continue
            if self._broken is not None:
                raise self._broken
            for partition, found in records.items():
                reading = self._readings.get(partition)
                if reading is not None:
                    reading.held += [message_of(record) for record in found]
            async with self._one:
                for partition, reading in list(self._readings.items()):
                    if reading.held and reading.retry_at_s <= loop.time():
                        await self._store(consumer, partition, reading)
            if loop.time() >= commit_at_s:
                commit_at_s = loop.time() + COMMIT_S
                async with self._one:
                    await self._commit(consumer)
                self._look(consumer)

    def _limit(self) -> int:
        """Records to ask for: a partition whose queue takes few must not slow the others down."""
        return max((reading.entry.limit for reading in self._readings.values()), default=1)

    async def _store(self, consumer: Consumer, partition: Partition, reading: _Reading) -> None:
        """Store what is held of a partition; what a full queue does not take stays, and the partition pauses."""
        while reading.held:
            batch = self._fresh(reading, reading.held[: reading.entry.limit])
            retry_s = None
            if batch:
                retry_s = await self._put(partition, reading, batch)
            if retry_s is not None:
                if retry_s == 0:
                    continue  # at once, with fewer
                reading.retry_at_s = asyncio.get_running_loop().time() + retry_s
                consumer.pause(partition)
                return
        consumer.resume(partition)

    async def _put(self, partition: Partition, reading: _Reading, batch: list[Message]) -> float | None:
        mark = Mark.of(batch[-1])
        blob = Blob(self._marks, str(partition), msgspec.msgpack.encode(mark))
        retry_s = await reading.entry.put(batch, [blob])
        if retry_s is None:
            reading.stored = mark.next
            del reading.held[: len(batch)]
        return retry_s

    def _fresh(self, reading: _Reading, batch: list[Message]) -> list[Message]:
        """Without what is stored already; that is taken from what is held, too."""
        known = sum(1 for message in batch if message.offset is not None and message.offset < reading.stored)
        self.status.counts.repeated += known
        del reading.held[:known]
        return batch[known:]

    async def _commit(self, consumer: Consumer) -> None:
        """Tell Kafka how far the jobs are on the disk."""
        behind = {
            each: reading.stored
            for each, reading in self._readings.items()
            if reading.stored != reading.told or reading.unsaid
        }
        if not behind:
            return
        try:
            await self._hub.sync()
        except HubqueueError:  # logged by the store; until it has repaired itself nothing is committed
            return
        if await consumer.commit({each: Committed(offset) for each, offset in behind.items()}):
            for each, offset in behind.items():
                reading = self._readings.get(each)
                if reading is not None:
                    self.status.counts.acknowledged += offset - reading.told
                    reading.told, reading.unsaid = offset, False

    async def _given(self, partitions: set[Partition]) -> None:
        """These are ours now: go on where the group, or we ourselves, have stopped."""
        consumer = self._consumer
        if consumer is None:
            return
        try:
            async with self._one:
                known = await consumer.known(partitions)
                self._readings.clear()
                for each in partitions:
                    reading = await self._begin(consumer, each, known[each])
                    consumer.seek(each, reading.stored)  # whatever was read before this is read again
                    self._readings[each] = reading
        except LinkDown as error:
            self._broken = error
            return
        except HubqueueError as error:  # the hub's own file: without it there is no telling where to go on
            self._broken = LinkDown(f"where the partitions stand cannot be read: {error.message}")
            return
        self._doubts = 0
        self.status.rebalances += 1
        self._turn(up=True)
        log.info("source was given partitions source=%s count=%d", self._source.name, len(partitions))

    async def _begin(self, consumer: Consumer, partition: Partition, known: Known) -> _Reading:
        blob = await self._hub.blob(self._marks, str(partition))
        mark = NOTHING if blob is None else msgspec.msgpack.decode(blob, type=Mark)
        committed = 0 if known.committed is None else known.committed.offset
        if await self._is_anew(consumer, partition, mark, known):
            log.warning(
                "a topic was made anew and is read as such source=%s partition=%s", self._source.name, partition
            )
            begin = known.begin
        else:
            begin = known.first(self._source.start, mark.next)
            read_to = max(mark.next, committed)
            if 0 < read_to < known.begin:
                self._lost(partition, read_to, known.begin - read_to)
        reading = _Reading(Entry(self._hub, self.status, self._routing), begin)
        reading.unsaid = known.committed is None or committed != begin
        return reading

    async def _is_anew(self, consumer: Consumer, partition: Partition, mark: Mark, known: Known) -> bool:
        """Whether the topic is another one than the one that was read. Errors: LinkDown while that cannot be told.

        An end that is before what was read does not say so: brokers are behind for a moment. The last record that was
        stored does. It is asked for, too, where nothing is committed any more: brokers forget that with the topic.
        """
        if not known.is_short(mark.next) and (known.committed is not None or mark.next <= known.begin):
            return False
        if mark.next > known.begin:
            try:
                record = await consumer.record(partition, mark.next - 1)
            except OutOfRange:
                return True
            if record is not None:
                return not mark.fits(message_of(record))
        if self._doubts < DOUBTS:
            self._doubts += 1
            raise Short(partition, known)
        return True

    async def _pass_over(self, consumer: Consumer, error: OutOfRange) -> None:
        """The brokers have deleted what was to be read next. Errors: OutOfRange where a topic was made anew."""
        async with self._one:
            for partition, known in (await consumer.known(error.partitions)).items():
                if partition not in self._readings:
                    continue  # what the library tried before it was told where to begin
                position = await consumer.position(partition)
                if position is None:
                    continue
                if position > known.end:
                    raise error
                if position < known.begin:
                    self._lost(partition, position, known.begin - position)
                    consumer.seek(partition, known.begin)

    def _lost(self, partition: Partition, offset: int, count: int) -> None:
        self.status.counts.deleted += count
        log.error(
            "the brokers have deleted records before they were read; keep them for longer (retention.ms,"
            " retention.bytes) source=%s partition=%s offset=%d count=%d",
            self._source.name,
            partition,
            offset,
            count,
        )

    async def _taken(self, partitions: set[Partition]) -> None:
        """These are somebody else's now; a last commit saves it from reading again what is stored here."""
        consumer = self._consumer
        async with self._one:
            if consumer is not None and self._readings:
                try:
                    await self._commit(consumer)
                except LinkDown as error:
                    log.info("last commit failed source=%s: %s", self._source.name, error)
            for each in partitions:
                self._readings.pop(each, None)

    def _look(self, consumer: Consumer) -> None:
        """Keep the status up to date."""
        lags = [consumer.behind(each, reading.stored) for each, reading in self._readings.items()]
        known = [lag for lag in lags if lag is not None]
        self.status.lag = sum(known) if known or not lags else None
        refusals = [reading.entry.refusal for reading in self._readings.values() if reading.entry.refusal]
        self.status.held = refusals[0] if refusals else None
        if consumer.quiet():
            raise LinkDown(f"Kafka at {self._source.brokers.url}: no broker answers")

    def _turn(self, *, up: bool, error: str | None = None) -> None:
        def tell(text: str | None) -> None:
            if up:
                log.info("source connected source=%s url=%s", self._source.name, self.status.url)
            else:
                log.warning("source is down, trying again source=%s: %s", self._source.name, text)

        self.status.turn(up=up, error=error, tell=tell)
