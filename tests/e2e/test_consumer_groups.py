"""Beyond one machine: members of a consumer group are killed and frozen, the table holds each reading once."""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer

from support.member import MemberProcess
from support.postgres import Postgres
from support.tansu import Tansu
from support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

JOIN_S = 150.0  # groups of Tansu take up to 20 s to settle on a machine that has nothing else to do
SESSION = "6"

READINGS = """
name: readings
steps:
  - filter: data.n is number
to:
  forward:
    to: {to}
    backoff: 100ms
    postgres:
      sslmode: disable
      password: "owner's password"
      table: readings
      columns: {{device: {{from: data.device, type: text}}, n: {{from: data.n, type: bigint}}}}
"""

WINDOWS = """
name: tens
steps:
  - window: {{every: 10s, by: [device], time: t, lateness: 2s, values: {{n: [sum]}}}}
to:
  forward:
    to: {to}
    backoff: 100ms
    postgres:
      sslmode: disable
      password: "owner's password"
      table: tens
      on_conflict: update
      columns:
        device: {{from: data.device, type: text}}
        start_ms: {{from: data.start_ms, type: bigint}}
        count: {{from: data.count, type: bigint}}
        sum: {{from: data.n_sum, type: bigint}}
"""


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Postgres]:
    async with Postgres(tmp_path) as database:
        yield database


async def rows(database: Postgres, table: str, what: str = "count(*)") -> int:
    if not (await database.query("SELECT to_regclass($1) AS it", table))[0]["it"]:
        return 0
    return int((await database.query(f"SELECT {what} AS n FROM {table}"))[0]["n"])


async def test_members_take_over_and_each_reading_is_in_the_table_once(tmp_path: Path, database: Postgres) -> None:
    """Three members; one is killed, one sleeps for longer than its session and wakes up among the others."""
    file = tmp_path / "readings.yaml"
    file.write_text(READINGS.format(to=database.url()))
    async with Tansu(tmp_path) as broker:
        await broker.topic("readings", 6)
        source = f"kafka://{broker.url}/readings?group=table"
        with ExitStack() as stack:
            members = [
                stack.enter_context(MemberProcess(tmp_path, file, source, "--session", SESSION, name=f"member-{n}"))
                for n in range(3)
            ]
            sent = 0

            async def shared() -> bool:
                return [await each.metric("hubqueue_pipeline_partitions") for each in members] == [2, 2, 2]

            async with AIOKafkaProducer(bootstrap_servers=broker.url, acks="all") as producer:

                async def send(count: int) -> None:
                    nonlocal sent
                    for n in range(sent, sent + count):
                        device = f"d{n % 50}"
                        value = b'{"device": "%s", "n": %d}' % (device.encode(), n)
                        await producer.send("readings", value, key=device.encode())
                        if n % 100 == 0:
                            await producer.flush()
                            await asyncio.sleep(0.01)
                    await producer.flush()
                    sent += count

                async def arrived() -> bool:
                    return await rows(database, "readings") == sent

                await until(shared, JOIN_S)
                await send(1000)
                await until(arrived, JOIN_S)
                assert await members[0].status("/ready") == 200
                sending = asyncio.create_task(send(2000))
                members[0].end(signal.SIGKILL)
                await sending
                await until(arrived, JOIN_S)
                members[1].tell(signal.SIGSTOP)
                await send(2000)
                await until(arrived, JOIN_S)
                members[1].tell(signal.SIGCONT)
                await send(500)
                await until(arrived, JOIN_S)
                assert await rows(database, "readings", "count(DISTINCT n)") == sent

                async def told() -> bool:
                    return sum([await each.metric("hubqueue_pipeline_lag") for each in members[1:]]) == 0

                await until(told, JOIN_S)
            assert members[1].end(signal.SIGTERM) == 0


@pytest.fixture
def mock() -> Iterator[str]:
    """The brokers inside librdkafka: they keep the notes beside offsets, as Kafka does and Tansu does not."""
    producer = Producer({"bootstrap.servers": "x", "test.mock.num.brokers": 1, "log_level": 0})
    yield ",".join(f"{each.host}:{each.port}" for each in producer.list_topics(timeout=30).brokers.values())
    del producer


async def test_windows_are_whole_however_often_their_member_is_killed(
    tmp_path: Path, database: Postgres, mock: str
) -> None:
    """Every window equals what the input says; devices are late, ahead and silent; kills come at random moments."""
    file = tmp_path / "tens.yaml"
    file.write_text(WINDOWS.format(to=database.url()))
    chance = random.Random(7)
    begin_ms = 1_750_000_000_000
    expected: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
    log: list[tuple[int, bytes, bytes]] = []  # when it was written, device, value
    for second in range(300):
        for number in range(20):
            if number == 3 and 60 <= second < 200:
                continue  # silent, and back
            shift_ms = {1: -40_000, 2: 60_000}.get(number, chance.randrange(-1500, 0))  # clocks that are wrong
            at_ms = begin_ms + second * 1000 + shift_ms
            device = f"d{number}"
            window = expected[device, at_ms - at_ms % 10_000]
            window[0] += 1
            window[1] += second
            value = b'{"device": "%s", "n": %d, "t": %d}' % (device.encode(), second, at_ms)
            log.append((begin_ms + second * 1000, device.encode(), value))
    source = f"kafka://{mock}/readings?group=tens"
    member = MemberProcess(tmp_path, file, source, "--session", SESSION)

    async def read_since(before: int) -> bool:
        return await rows(database, "tens") > before

    async with AIOKafkaProducer(bootstrap_servers=mock, acks="all") as producer:
        cuts = [0, 1500, 2600, 4200, len(log)]
        try:
            for begin, end in itertools.pairwise(cuts):
                before = await rows(database, "tens")
                member.start()
                for at_ms, key, value in log[begin:end]:
                    await producer.send("readings", value, key=key, timestamp_ms=at_ms)
                await producer.flush()
                await until(lambda before=before: read_since(before), JOIN_S)  # type: ignore[misc]
                await asyncio.sleep(chance.random() * 1.5)  # a random moment, before or after a commit
                if end < len(log):
                    member.end(signal.SIGKILL)

            async def complete() -> bool:
                return await rows(database, "tens", "sum(count)") >= len(log)

            await until(complete, JOIN_S)
        finally:
            member.end()
    found = {
        (row["device"], row["start_ms"]): [row["count"], row["sum"]]
        for row in await database.query("SELECT device, start_ms, count, sum FROM tens")
    }
    assert found == dict(expected)
    assert await rows(database, "tens") == len(expected)


async def test_windows_are_refused_where_the_brokers_forget_notes(tmp_path: Path, database: Postgres) -> None:
    file = tmp_path / "tens.yaml"
    file.write_text(WINDOWS.format(to=database.url()))
    async with Tansu(tmp_path) as broker:
        await broker.topic("readings", 1)
        async with AIOKafkaProducer(bootstrap_servers=broker.url, acks="all") as producer:
            await producer.send_and_wait("readings", b'{"device": "a", "n": 1, "t": 1750000000000}', key=b"a")
        member = MemberProcess(tmp_path, file, f"kafka://{broker.url}/readings?group=tens", "--session", SESSION)
        member.start()
        await until(lambda: "do not keep what is noted" in member.log(), JOIN_S)
        assert member.wait() == 3
