"""A member of a Kafka consumer group, and what went wrong with it in words of ours. The home of aiokafka's consumer.

Offsets are committed by hand and only while the partition is ours: a commit of an earlier membership is refused by
the brokers, and that refusal is no failure here. Records of transactions are read once these are committed, those of
aborted ones never. Where to read is said by the caller alone; what is no longer there is an OutOfRange, never skipped.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    KafkaConnectionError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from aiokafka.structs import ConsumerRecord, OffsetAndMetadata

from hubqueue.errors import LinkDown
from hubqueue.sources.partition import Committed, Known, OutOfRange, Partition
from hubqueue.sources.settings import KafkaBrokers

log = logging.getLogger(__name__)

FETCH_BYTES: Final = 8_388_608  # of one answer of a broker; what is read ahead is bounded by it
PARTITION_BYTES: Final = 524_288  # of one partition in it; a larger record comes all the same, alone
QUIET_S: Final = 20.0  # a broker answers a fetch within half a second, records or not
POLL_S: Final = 300.0  # a member that has not asked for records for so long leaves its group
REQUEST_MS: Final = 20_000
ANSWER_S: Final = 20.0  # aiokafka itself would ask for ever

_NOT_OURS: Final = (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)


Told = Callable[[set[Partition]], Awaitable[None]]
Records = Mapping[Partition, list[ConsumerRecord]]


class Consumer:
    """Opened by `open`; `read` again and again; `close`. Errors: LinkDown."""

    def __init__(
        self,
        brokers: KafkaBrokers,
        topics: tuple[str, ...],
        group: str,
        *,
        session_s: float,
        given: Told,
        taken: Told,
        instance: str | None = None,
        poll_s: float = POLL_S,
    ) -> None:
        """given, taken: told of partitions that are ours from now on, and of those that were until now.

        Whoever is told may still commit for what was taken, unless the group has long done without us.
        instance: a name that outlives the process: who comes back with it in time finds its partitions unmoved.
        """
        self._brokers = brokers
        self._group = group
        self._topics = topics
        self._session_s = session_s
        self._listener = _Listener(given, taken)
        self._options: dict[str, Any] = {
            **brokers.options(),
            "group_id": group,
            "enable_auto_commit": False,
            "group_instance_id": instance,
            "isolation_level": "read_committed",
            "auto_offset_reset": "none",  # whoever is given a partition says where it begins
            "session_timeout_ms": round(session_s * 1000),
            "heartbeat_interval_ms": max(100, round(session_s * 1000 / 5)),
            "rebalance_timeout_ms": max(30_000, round(session_s * 3000)),
            "max_poll_interval_ms": round(poll_s * 1000),
            "fetch_max_bytes": FETCH_BYTES,
            "max_partition_fetch_bytes": PARTITION_BYTES,
            "request_timeout_ms": max(REQUEST_MS, round(session_s * 1000) + 5000),
            "client_id": "hubqueue",
        }
        self._consumer: AIOKafkaConsumer | None = None
        self._admin: AIOKafkaAdminClient | None = None
        self._held = False
        self._heard_ms: int | None = None  # what aiokafka says of the last answer, by the wall clock
        self._heard_s = time.monotonic()  # when that changed, or there was nothing to be heard

    async def open(self) -> None:
        """Connect and join the group; the listener hears of partitions from then on."""
        self._consumer = AIOKafkaConsumer(**self._options)
        self._consumer.subscribe(self._topics, listener=self._listener)
        try:
            await self._consumer.start()
            missing = [topic for topic in self._topics if not self._consumer.partitions_for_topic(topic)]
            if missing:
                log.warning("there is no such topic yet topics=%s brokers=%s", ",".join(missing), self._brokers.url)
        except (KafkaError, OSError, ssl.SSLError, TimeoutError) as error:
            raise self._down(error) from error

    async def read(self, *, wait_s: float, most: int) -> Records:
        """Records of the partitions that are not paused, at most so many; none when nothing came in that time.

        Errors: also OutOfRange.
        """
        try:
            found = await self._open().getmany(timeout_ms=round(wait_s * 1000), max_records=most)
        except OffsetOutOfRangeError as error:
            raise OutOfRange({Partition(*each) for each in error.args[0]}) from error
        except NoOffsetForPartitionError:  # a partition that we were given has not been looked up yet
            return {}
        except (KafkaError, OSError) as error:
            raise self._down(error) from error
        return {Partition(*key): records for key, records in found.items()}

    def quiet(self) -> bool:
        """Whether the brokers have stopped answering: no partition that we read has heard anything for QUIET_S.

        Asked again and again: nothing is heard while nothing is read, and that is no silence.
        """
        consumer = self._open()
        reading = consumer.assignment() - consumer.paused()
        heard = [at for partition in reading if (at := consumer.last_poll_timestamp(partition)) is not None]
        latest = max(heard, default=None)
        if latest is None or latest != self._heard_ms:
            self._heard_ms, self._heard_s = latest, time.monotonic()
        return time.monotonic() - self._heard_s > QUIET_S

    def hold(self) -> None:
        """Pause every partition, also one that is given meanwhile, until `release`. `read` keeps us in the group."""
        self._held = True
        consumer = self._open()
        consumer.pause(*consumer.assignment())

    def release(self) -> None:
        """Read again what was held."""
        self._held = False
        self._heard_ms = None
        consumer = self._open()
        consumer.resume(*consumer.assignment())

    async def position(self, partition: Partition) -> int | None:
        """The offset that is read next: past the marks of transactions, too. None: it is no longer ours."""
        try:
            return int(await self._open().position(TopicPartition(*partition)))
        except (IllegalStateError, KafkaError):
            return None

    async def commit(self, read: Mapping[Partition, Committed]) -> bool:
        """Say how far partitions were read. False: they are no longer ours. Errors: LinkDown."""
        offsets = {TopicPartition(*key): OffsetAndMetadata(each.offset, each.note) for key, each in read.items()}
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._open().commit(offsets)
        except _NOT_OURS:
            return False
        except (KafkaError, OSError, TimeoutError) as error:
            raise self._down(error) from error
        return True

    async def known(self, partitions: Iterable[Partition]) -> dict[Partition, Known]:
        """What the brokers know of these partitions, asked now. Errors: LinkDown."""
        asked = [TopicPartition(*each) for each in partitions]
        if not asked:
            return {}
        try:
            async with asyncio.timeout(ANSWER_S):
                begins = await self._open().beginning_offsets(asked)
                ends = await self._open().end_offsets(asked)
                said = await (await self._asker()).list_consumer_group_offsets(self._group, partitions=asked)
        except (KafkaError, OSError, TimeoutError) as error:
            raise self._down(error) from error
        return {
            Partition(*key): Known(
                begins[key],
                ends[key],
                Committed(said[key].offset, said[key].metadata or "")
                if key in said and said[key].offset >= 0
                else None,
            )
            for key in asked
        }

    async def record(self, partition: Partition, offset: int) -> ConsumerRecord | None:
        """The first record from this offset on, over a connection of its own; None: none comes in a third of a session.

        No longer, since the group waits for whoever asks before it reads. Errors: LinkDown, OutOfRange.
        """
        key = TopicPartition(*partition)
        options = {"isolation_level": "read_committed", "auto_offset_reset": "none", "enable_auto_commit": False}
        reader = AIOKafkaConsumer(**self._brokers.options(), **options)
        try:
            async with asyncio.timeout(ANSWER_S):
                await reader.start()
            reader.assign([key])
            reader.seek(key, offset)
            found = await reader.getmany(timeout_ms=round(self._session_s * 1000 / 3), max_records=1)
        except OffsetOutOfRangeError as error:
            raise OutOfRange({partition}) from error
        except (KafkaError, OSError, TimeoutError) as error:
            raise self._down(error) from error
        finally:
            await reader.stop()
        return found[key][0] if found else None

    async def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The offset that the next record of each will have, asked now. Errors: LinkDown."""
        try:
            async with asyncio.timeout(ANSWER_S):
                ends = await self._open().end_offsets([TopicPartition(*each) for each in partitions])
        except (KafkaError, OSError, TimeoutError) as error:
            raise self._down(error) from error
        return {Partition(*key): end for key, end in ends.items()}

    def seek(self, partition: Partition, offset: int) -> None:
        self._open().seek(TopicPartition(*partition), offset)
        if self._held:
            self.pause(partition)

    def pause(self, partition: Partition) -> None:
        """Read no more of it. Nothing happens if it is no longer ours."""
        try:
            self._open().pause(TopicPartition(*partition))
        except IllegalStateError:
            pass

    def resume(self, partition: Partition) -> None:
        try:
            self._open().resume(TopicPartition(*partition))
        except IllegalStateError:
            pass

    def behind(self, partition: Partition, next_offset: int) -> int | None:
        """How many records of it wait, as far as the last answer of its broker said."""
        try:
            highwater = self._open().highwater(TopicPartition(*partition))
        except (IllegalStateError, AssertionError):
            return None
        return None if highwater is None else max(0, highwater - next_offset)

    def count_partitions(self, topic: str) -> int:
        return len(self._open().partitions_for_topic(topic) or ())

    async def close(self) -> None:
        """Leave the group; the others get its partitions at once."""
        consumer, self._consumer = self._consumer, None
        admin, self._admin = self._admin, None
        for each in (consumer, admin):
            if each is None:
                continue
            try:
                async with asyncio.timeout(10):
                    await (each.stop() if isinstance(each, AIOKafkaConsumer) else each.close())
            except (KafkaError, OSError, TimeoutError) as error:
                log.info("the goodbye to Kafka was not heard brokers=%s: %s", self._brokers.url, error)

    async def _asker(self) -> AIOKafkaAdminClient:
        """The notes of commits are told to administrators only."""
        if self._admin is None:
            admin = AIOKafkaAdminClient(**self._brokers.options())
            await admin.start()
            self._admin = admin
        return self._admin

    def _open(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise LinkDown(f"there is no connection to {self._brokers.url}")
        return self._consumer

    def _down(self, error: Exception) -> LinkDown:
        return LinkDown(f"Kafka at {self._brokers.url}: {explained(error)}")


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka wants this class; it waits for what these return."""

    def __init__(self, given: Told, taken: Told) -> None:
        self._given = given
        self._taken = taken

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        await self._taken({Partition(*each) for each in revoked})

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        await self._given({Partition(*each) for each in assigned})


def explained(error: Exception) -> str:
    """An error of the library as people read it."""
    if isinstance(error, KafkaConnectionError):
        return "no broker can be reached"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
