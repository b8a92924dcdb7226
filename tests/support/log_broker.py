"""A Kafka broker whose one partition is a log that the test writes: with transactions, markers and a beginning.

Tansu has no transactions, and what librdkafka's mock makes of them aiokafka cannot read. The wire is real (aiokafka's
own structures read the requests and write the answers), the log has batches of format 2 as Kafka stores them; a group
has one member. Source: the Kafka protocol guide, and "Record Batch" in the documentation of Kafka.
"""

from __future__ import annotations

import asyncio
import importlib
import struct
from dataclasses import dataclass, field
from inspect import isclass
from io import BytesIO
from types import SimpleNamespace
from typing import Any, Final, Self

from aiokafka.protocol.api import RequestHeader_v1, RequestStruct
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

TOPIC: Final = "t"
NO_PRODUCER: Final = -1
OUT_OF_RANGE: Final = 1

_VERSIONS: Final = {1: 4, 2: 2, 3: 1, 8: 2, 9: 2, 10: 0, 11: 5, 12: 0, 13: 0, 14: 3, 18: 0}  # of each kind of request
_CONTROL: Final = 0x20
_ATTRIBUTES: Final = 21  # where they stand in a batch; all from there on is in the checksum before it
_CRC: Final = 17


def _known() -> dict[int, type[RequestStruct]]:
    found: dict[int, type[RequestStruct]] = {}
    for name in ("metadata", "coordination", "group", "offset", "commit", "fetch", "admin"):
        for each in vars(importlib.import_module(f"aiokafka.protocol.{name}")).values():
            if not isclass(each) or not issubclass(each, RequestStruct) or each is RequestStruct:
                continue
            if _VERSIONS.get(each.API_KEY) == each.API_VERSION:
                found[each.API_KEY] = each
    return found


_REQUESTS: Final = _known()


def _read(kind: Any, data: BytesIO) -> Any:
    """Its fields by name; the classes themselves are for writing."""
    return SimpleNamespace(**dict(zip(kind.SCHEMA.names, kind.SCHEMA.decode(data), strict=True)))


@dataclass
class Batch:
    """Units: offsets of the log."""

    first: int
    end: int
    data: bytes


@dataclass
class LogBroker:
    """`async with LogBroker() as broker`. open: the transactions that are under way, by producer: first offset.

    behind: by how much the end that it tells is before its real one. joined: the instance that each JoinGroup named.
    left: LeaveGroup requests. isolation: what each fetch asked for.
    """

    begin: int = 0
    end: int = 0
    behind: int = 0
    batches: list[Batch] = field(default_factory=list)
    open: dict[int, int] = field(default_factory=dict)
    aborted: list[tuple[int, int]] = field(default_factory=list)
    committed: tuple[int, str] = (-1, "")
    joined: list[str | None] = field(default_factory=list)
    left: int = 0
    isolation: set[int] = field(default_factory=set)
    port: int = 0
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def stable(self) -> int:
        return min(self.open.values(), default=self.end)

    def put(self, *values: bytes, at_ms: int, producer: int = NO_PRODUCER) -> None:
        """Records; of a producer those of its transaction."""
        if producer != NO_PRODUCER:
            self.open.setdefault(producer, self.end)
        self._append([(b"k", value) for value in values], at_ms, producer)

    def finish(self, producer: int, *, commit: bool, at_ms: int) -> None:
        """The marker at the end of a transaction."""
        first = self.open.pop(producer)
        if not commit:
            self.aborted.append((producer, first))
        self._append([(struct.pack(">hh", 0, commit), struct.pack(">hi", 0, 0))], at_ms, producer, control=True)

    def delete(self, before: int) -> None:
        """As retention does."""
        self.begin = before
        self.batches = [batch for batch in self.batches if batch.end > before]

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _append(self, records: list[tuple[bytes, bytes]], at_ms: int, producer: int, *, control: bool = False) -> None:
        ours = producer != NO_PRODUCER
        builder = DefaultRecordBatchBuilder(2, 0, int(ours), producer, 0 if ours else -1, 0 if ours else -1, 1_000_000)
        for number, (key, value) in enumerate(records):
            builder.append(number, at_ms, key, value, [])
        data = bytearray(builder.build())
        struct.pack_into(">q", data, 0, self.end)
        if control:
            struct.pack_into(">h", data, _ATTRIBUTES, struct.unpack_from(">h", data, _ATTRIBUTES)[0] | _CONTROL)
            struct.pack_into(">I", data, _CRC, calc_crc32c(bytes(data[_ATTRIBUTES:])))
        self.batches.append(Batch(self.end, self.end + len(records), bytes(data)))
        self.end += len(records)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while True:
                size = struct.unpack(">i", await reader.readexactly(4))[0]
                data = BytesIO(await reader.readexactly(size))
                header = _read(RequestHeader_v1, data)
                kind = _REQUESTS[header.api_key]
                answer: Any = kind.RESPONSE_TYPE(*await self._answer(header.api_key, _read(kind, data)))
                body = struct.pack(">i", header.correlation_id) + answer.encode()
                writer.write(struct.pack(">i", len(body)) + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, key: int, asked: Any) -> tuple[Any, ...]:
        match key:
            case 18:
                return 0, [(kind, version, version) for kind, version in _VERSIONS.items()]
            case 3:
                return [(1, "127.0.0.1", self.port, None)], 1, [(0, TOPIC, False, [(0, 0, 1, [1], [1])])]
            case 10:
                return 0, 1, "127.0.0.1", self.port
            case 11:
                self.joined.append(asked.group_instance_id)
                name, metadata = asked.group_protocols[0]
                return 0, 0, len(self.joined), name, "m", "m", [("m", asked.group_instance_id, metadata)]
            case 14:
                return 0, 0, asked.group_assignment[0][1]
            case 13:
                self.left += 1
                return (0,)
            case 12:
                return (0,)
            case 2:
                latest = self.stable if asked.isolation_level else self.end
                (topic, [(partition, when)]) = asked.topics[0]
                return 0, [(topic, [(partition, 0, -1, self.begin if when == -2 else latest - self.behind)])]
            case 8:
                (_, offset, note) = asked.topics[0][1][0]
                self.committed = (offset, note or "")
                return ([(TOPIC, [(0, 0)])],)
            case 9:
                return [(TOPIC, [(0, *self.committed, 0)])], 0
            case _:
                return await self._fetch(asked)

    async def _fetch(self, asked: Any) -> tuple[Any, ...]:
        self.isolation.add(asked.isolation_level)
        offset = asked.topics[0][1][0][1]
        if not self.begin <= offset <= self.end:
            return 0, [(TOPIC, [(0, OUT_OF_RANGE, -1, -1, [], b"")])]
        last = self.stable if asked.isolation_level else self.end
        found = b"".join(batch.data for batch in self.batches if batch.end > offset and batch.end <= last)
        if not found:
            await asyncio.sleep(0.02)
        aborted = [each for each in self.aborted if asked.isolation_level]
        return 0, [(TOPIC, [(0, 0, self.end, self.stable, aborted, found)])]
