"""The sink that is a topic of Kafka.

A batch is delivered when every record of it is acknowledged by all replicas in sync. What is sent again after a lost
answer or a kill may be there twice, with the same `id` in its headers: an idempotent producer removes what it sent
twice itself, within one session.
Source: kafka.apache.org, "Producer Configs"; docs/forwarding.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec
from aiokafka import AIOKafkaProducer

from hubqueue.errors import LinkDown, TimedOut
from hubqueue.forward.content import own_fault
from hubqueue.forward.sink import Batch, Result
from hubqueue.forward.sinks.kafka.destination import KafkaDestination
from hubqueue.forward.sinks.kafka.records import Record, Records
from hubqueue.forward.sinks.kafka.session import end, is_reachable, knows_topic, lacks_topic, open_producer
from hubqueue.forward.sinks.kafka.trouble import is_of_record, meaning
from hubqueue.forward.verdict import Down, Reason, Rejected, SinkDown, verdict

PING_EVERY_S: Final = 3.0  # an idle producer does not notice that its brokers are gone
PING_S: Final = 10.0
TOPIC_S: Final = 2.0  # for a broker to make a topic that was asked for


class KafkaSink:
    """Writes as `to` says."""

    wants_floor = False

    def __init__(self, to: KafkaDestination) -> None:
        self._to = to
        self._records = Records(to.form)
        self._producer: AIOKafkaProducer | None = None

    @property
    def target(self) -> str:
        return f"{self._to.url}/{self._to.form.topic}"

    async def connect(self) -> None:
        await self.close()
        try:
            self._producer = await open_producer(self._to)
        except Exception as error:
            raise meaning(error) from error

    async def write(self, batch: Batch) -> list[Result]:
        results: list[Result] = [None] * len(batch.parcels)
        records: dict[int, Record] = {}
        for n, parcel in enumerate(batch.parcels):
            try:
                records[n] = self._records.of(batch.queue, parcel)
            except Exception as error:
                results[n] = own_fault(error)
        for n, missing in (await self._without_topic(records)).items():
            results[n] = missing
            del records[n]
        for n, refused in (await self._send(records)).items():
            results[n] = refused if isinstance(refused, Rejected) else await self._alone(records[n])
        return results

    async def lost(self) -> None:
        while True:
            await asyncio.sleep(PING_EVERY_S)
            async with asyncio.timeout(PING_S):
                reachable = await is_reachable(self._open())
            if not reachable:
                raise LinkDown(f"no broker of {self._to.url} answers")

    async def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await end(producer)

    async def _without_topic(self, records: dict[int, Record]) -> dict[int, Down]:
        """Those whose topic is not to be had, where the data names it: one such topic must not hold the others up."""
        if not self._records.names_topic:
            return {}
        producer, wait_s = self._open(), min(TOPIC_S, self._to.write_timeout_s / 2)
        missing: dict[str, Down] = {}
        for topic in {record.topic for record in records.values()}:
            error = None if knows_topic(producer, topic) else await lacks_topic(producer, topic, wait_s)
            if error is not None:
                found = verdict(meaning(error))
                assert isinstance(found, Down)
                missing[topic] = msgspec.structs.replace(found, error=f"topic {topic}: {found.error}", answered=True)
        return {n: missing[record.topic] for n, record in records.items() if record.topic in missing}

    async def _alone(self, record: Record) -> Rejected | None:
        """A record that was refused with others: is it the one? By a new session, since the refusal ended the last."""
        await self.connect()
        refused = (await self._send({0: record})).get(0)
        if refused is None or isinstance(refused, Rejected):
            return refused
        await self.connect()
        found = verdict(refused)
        assert isinstance(found, Rejected)  # is_of_record
        return found

    async def _send(self, records: dict[int, Record]) -> dict[int, Rejected | Exception]:
        """Send them in order and wait for all; those that are refused: for themselves, or by a whole request.

        Errors: as `Sink.write` raises them.
        """
        producer = self._open()
        refused: dict[int, Rejected | Exception] = {}
        try:
            async with asyncio.timeout(self._to.write_timeout_s):
                sent: dict[int, asyncio.Future[object]] = {}
                for n, record in records.items():
                    try:
                        sent[n] = await producer.send(
                            record.topic,
                            record.value,
                            record.key,
                            timestamp_ms=record.at_ms,
                            headers=record.headers,
                        )
                    except Exception as error:
                        found = verdict(meaning(error))
                        if not is_of_record(error) or not isinstance(found, Rejected):
                            raise
                        refused[n] = found
                outcomes = await asyncio.gather(*sent.values(), return_exceptions=True)
        except TimeoutError as error:
            raise await self._why_late(producer, [record.topic for record in records.values()]) from error
        except Exception as error:
            raise meaning(error) from error
        for n, outcome in zip(sent, outcomes, strict=True):
            if isinstance(outcome, Exception) and not is_of_record(outcome):
                raise meaning(outcome) from outcome
            if isinstance(outcome, Exception):
                refused[n] = meaning(outcome)
        return refused

    async def _why_late(self, producer: AIOKafkaProducer, topics: Sequence[str]) -> Exception:
        late = f"{self._to.url} did not acknowledge within {self._to.write_timeout_s:g} s"
        try:
            async with asyncio.timeout(PING_S):
                if not await is_reachable(producer):
                    return LinkDown(f"no broker of {self._to.url} answers")
        except TimeoutError:
            return TimedOut(late)
        unknown = next((topic for topic in topics if not knows_topic(producer, topic)), None)
        if unknown is None:
            return TimedOut(late)
        text = f"the topic {unknown} is not there: make it, or let the brokers make topics"
        return SinkDown(Down(Reason.PROTOCOL, text))

    def _open(self) -> AIOKafkaProducer:
        if self._producer is None:
            raise LinkDown(f"there is no connection to {self._to.url}")
        return self._producer
