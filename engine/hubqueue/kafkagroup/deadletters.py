"""Where refused records go: a topic of the same brokers, or the log and a count."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from hubqueue.errors import LinkDown
from hubqueue.pipeline.record import Record
from hubqueue.sources.message import Message
from hubqueue.sources.settings import KafkaBrokers
from hubqueue.wire.jsondata import plain

log = logging.getLogger(__name__)

WRITE_S: Final = 30.0
REQUEST_BYTES: Final = 32 * 1024 * 1024  # what is too large, the brokers say
CUT_BYTES: Final = 65_536  # of the payload of a letter that they say it of
_KEY_BYTES: Final = 1000  # of its key
_LOGGED: Final = 10  # of one batch; the count says how many there were


@dataclass(frozen=True, slots=True)
class Letter:
    """What was refused: a record as it came, or what became of one. origin: topic:partition:offset, or its id."""

    payload: bytes
    key: str | None
    origin: str
    reason: str


def of_message(message: Message, reason: str) -> Letter:
    return Letter(message.payload, message.key, f"{message.topic}:{message.partition}:{message.offset}", reason)


def of_record(record: Record, reason: str) -> Letter:
    """As JSON, with the marks of the HTTP API for what JSON cannot say."""
    return Letter(msgspec.json.encode(plain(record.data)), None, record.id, reason)


class DeadLetters:
    """topic None: they are logged and counted, no more."""

    def __init__(self, brokers: KafkaBrokers, topic: str | None) -> None:
        self._brokers = brokers
        self._topic = topic
        self._producer: Any = None

    async def write(self, letters: Sequence[Letter]) -> None:
        """Return when the brokers have them all. Errors: LinkDown."""
        for letter in letters[:_LOGGED]:
            log.warning("a record is refused record=%s: %s", letter.origin, letter.reason)
        if self._topic is None or not letters:
            return
        try:
            async with asyncio.timeout(WRITE_S):
                if self._producer is None:
                    producer = AIOKafkaProducer(**self._brokers.options(), acks="all", max_request_size=REQUEST_BYTES)
                    await producer.start()
                    self._producer = producer
                sent = [await self._send(letter) for letter in letters]
                for letter, answer in zip(letters, await asyncio.gather(*sent, return_exceptions=True), strict=True):
                    if isinstance(answer, MessageSizeTooLargeError):
                        await self._send_cut(letter)
                    elif isinstance(answer, BaseException):
                        raise answer
        except (KafkaError, OSError, TimeoutError) as error:
            await self.close()
            raise LinkDown(f"dead letters cannot be written to {self._topic}: {error}") from error

    async def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                async with asyncio.timeout(5):
                    await producer.stop()
            except (KafkaError, OSError, TimeoutError):
                pass

    async def _send(self, letter: Letter, **more: bytes) -> Any:
        """The future of its answer. more: headers beside those that each letter has."""
        headers = [
            ("hubqueue-reason", letter.reason.encode(errors="backslashreplace")[:2000]),
            ("hubqueue-from", letter.origin.encode(errors="backslashreplace")),
            *((f"hubqueue-{name}", value) for name, value in more.items()),
        ]
        key = None if letter.key is None else letter.key.encode()
        return await self._producer.send(self._topic, letter.payload, key=key, headers=headers)

    async def _send_cut(self, letter: Letter) -> None:
        """One that is too large for the topic must not hold up all others for ever."""
        size = len(letter.payload)
        log.error(
            "a refused record is larger than its topic takes (max.message.bytes), only its beginning is written"
            " topic=%s record=%s bytes=%d",
            self._topic,
            letter.origin,
            size,
        )
        key = None if letter.key is None else letter.key[:_KEY_BYTES]
        cut = replace(letter, payload=letter.payload[:CUT_BYTES], key=key)
        await (await self._send(cut, size=b"%d" % size))
