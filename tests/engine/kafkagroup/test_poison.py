"""Records over which real sinks hang up, fall silent or answer nonsense hold up no others, and no outage burns one."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from aiohttp import web
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from hubqueue.kafkagroup import patience
from support.fleet_member import member
from support.http_server import serving
from support.mock_kafka import MockKafka
from support.mosquitto import Mosquitto
from support.mqtt import client
from support.postgres import Postgres
from support.waiting import until

ODD = 7
HTTP = {"backoff": "5ms", "backoff_cap": "20ms", "write_timeout": "300ms"}


@pytest.fixture(scope="module")
def brokers() -> Iterator[MockKafka]:
    with MockKafka(join_ms=100) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_RETRY_S", 0.02)
    monkeypatch.setattr(patience, "MAX_RETRY_S", 0.05)
    monkeypatch.setattr(patience, "READ_S", 0.02)
    monkeypatch.setattr("hubqueue.kafkagroup.member.COMMIT_S", 0.1)
    monkeypatch.setattr("hubqueue.kafkagroup.member.READ_S", 0.05)


class Receiver:
    """An HTTP server that keeps what it is sent, single jobs or a batch of envelopes, and breaks over those in `odd`.

    copies: how often it took each number. asked: requests with jobs. well: it answers those that have none.
    """

    def __init__(self, how: str, *odd: int) -> None:
        self.how = how
        self.odd = set(odd)
        self.copies: Counter[int] = Counter()
        self.asked = 0
        self.url = ""

    async def post(self, request: web.Request) -> web.Response:
        content = await request.json()
        numbers = [each["data"]["n"] for each in content] if isinstance(content, list) else [content["n"]]
        self.asked += 1
        if not self.odd.isdisjoint(numbers):
            return await self._break(request)
        self.copies.update(numbers)
        return web.Response(status=204)

    async def _break(self, request: web.Request) -> web.Response:
        if self.how == "hangs up":
            assert request.transport is not None
            request.transport.abort()
        elif self.how == "is silent":
            await asyncio.Event().wait()
        return web.Response(status=int(self.how) if self.how.isdigit() else 500, text="division by zero")


@asynccontextmanager
async def receiver(how: str, *odd: int) -> AsyncIterator[Receiver]:
    made = Receiver(how, *odd)
    async with serving(made.post) as address:
        made.url = f"{address}/"
        yield made


def pipeline(folder: Path, *sinks: dict[str, Any], steps: Any = ()) -> Path:
    file = folder / "p.yaml"
    to = [{"forward": sink} for sink in sinks]
    file.write_text(yaml.safe_dump({"name": "p", "steps": list(steps), "to": to}))
    return file


def http(there: Receiver, *, batch: bool = False, **keys: Any) -> dict[str, Any]:
    section = {"batch": True, "body": "envelope"} if batch else {}
    return {"to": there.url, **HTTP, **keys, "http": {**section, "server_errors": "job"}}


async def send(url: str, topic: str, *values: Any) -> None:
    async with AIOKafkaProducer(bootstrap_servers=url, acks="all") as producer:
        for value in values:
            await producer.send(topic, msgspec.json.encode(value), key=b"k", partition=0)
        await producer.flush()


async def committed(url: str, group: str, topic: str) -> int:
    admin = AIOKafkaAdminClient(bootstrap_servers=url)
    await admin.start()
    try:
        partition = TopicPartition(topic, 0)
        return int((await admin.list_consumer_group_offsets(group, partitions=[partition]))[partition].offset)
    finally:
        await admin.close()


def topic() -> str:
    return f"t-{uuid.uuid4().hex}"


def numbers(first: int, end: int) -> list[dict[str, int]]:
    return [{"n": n} for n in range(first, end)]


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize(
    ("how", "why"),
    [("hangs up", "unreachable: "), ("is silent", "timeout: "), ("500", "division by zero"), ("418", "HTTP 418")],
)
async def test_a_record_that_breaks_its_sink_is_a_dead_letter_and_all_others_pass(
    tmp_path: Path, brokers: MockKafka, how: str, why: str, batch: bool
) -> None:
    name, dead = topic(), topic()
    await send(brokers.url, name, *numbers(0, 30))
    async with receiver(how, ODD) as there:
        file = pipeline(tmp_path, http(there, batch=batch))
        async with member(file, brokers.url, name, group=name, dead_letters=dead) as figures:
            await until(lambda: len(there.copies) == 29)
            for n in range(30, 60):  # a stream that shows that the link is well
                await send(brokers.url, name, {"n": n})
                await until(lambda: n in there.copies)  # noqa: B023
                if figures.dead:
                    break
            await until(lambda: figures.dead == 1 and figures.written == len(there.copies) == figures.read - 1)
            await until(lambda: not sum(figures.held.values()))  # committed up to the end
            assert (figures.aside, figures.rebalances, figures.sink_up) == (0, 1, True)
        assert set(there.copies.values()) == {1}
    (letter,) = await brokers.records(dead)
    headers = {key: value.decode() for key, value in letter.headers}
    assert msgspec.json.decode(letter.value) == {"n": ODD}
    assert headers["hubqueue-from"] == f"{name}:0:{ODD}"
    assert headers["hubqueue-reason"].startswith(there.url)
    assert why in headers["hubqueue-reason"]
    assert headers["hubqueue-reason"].endswith("that happened 8 times while the link was well otherwise")
    assert await committed(brokers.url, name, name) == figures.read


async def test_poison_for_one_sink_is_written_once_to_the_others(tmp_path: Path, brokers: MockKafka) -> None:
    name, dead = topic(), topic()
    await send(brokers.url, name, *numbers(0, 30))
    async with receiver("hangs up", ODD) as odd, receiver("hangs up", 20) as other, receiver("hangs up") as well:
        file = pipeline(tmp_path, http(odd, batch=True), http(other), http(well, batch=True))
        async with member(file, brokers.url, name, group=name, dead_letters=dead) as figures:
            await until(lambda: figures.dead == 2)
            await until(lambda: not sum(figures.held.values()))
        for there in (odd, other, well):
            assert there.copies == Counter({n: 1 for n in range(30) if n not in there.odd})
        assert well.asked == 1
        assert figures.written == 28
        letters = [msgspec.json.decode(each.value)["n"] for each in await brokers.records(dead)]
        reasons = {dict(each.headers)["hubqueue-reason"].decode() for each in await brokers.records(dead)}
        assert sorted(letters) == [ODD, 20]
        assert sorted(why.partition(": ")[0] for why in reasons) == sorted([odd.url, other.url])


async def test_one_sink_that_is_away_gets_all_of_it_later_and_the_other_nothing_twice(
    tmp_path: Path, brokers: MockKafka
) -> None:
    name = topic()
    async with receiver("503") as away, receiver("hangs up", ODD) as odd:
        away.odd = set(range(1000))
        await send(brokers.url, name, *numbers(0, 30))
        file = pipeline(tmp_path, http(away) | {"http": {}}, http(odd))
        async with member(file, brokers.url, name, group=name) as figures:
            await until(lambda: away.asked >= 10 and len(odd.copies) == 29)
            assert not figures.sink_up
            assert figures.rebalances == 1
            away.odd = set()
            await until(lambda: figures.dead == 1 and len(away.copies) == 30)
            await until(lambda: not sum(figures.held.values()))
        assert set(away.copies.values()) == set(odd.copies.values()) == {1}
        assert figures.dead == 1


@pytest.mark.parametrize("how", ["hangs up", "is silent", "418"])
async def test_p5_a_sink_that_breaks_over_everything_burns_no_record(
    tmp_path: Path, brokers: MockKafka, how: str
) -> None:
    """It accepts connections and answers what has no jobs in it, which looks like poison at first."""
    name = topic()
    await send(brokers.url, name, *numbers(0, 50))
    async with receiver(how) as there:
        there.odd = set(range(50))
        keys = http(there, write_timeout="50ms")
        async with member(pipeline(tmp_path, keys), brokers.url, name, group=name) as figures:
            await until(lambda: there.asked >= 80)
            assert (figures.dead, figures.written, figures.rebalances) == (0, 0, 1)
            there.odd = set()
            await until(lambda: figures.written == 50)
        assert figures.dead == 0
        assert len(there.copies) == 50


async def test_what_is_set_aside_is_read_again_by_whoever_comes_next(tmp_path: Path, brokers: MockKafka) -> None:
    """It is not committed while nobody knows what becomes of it; the records behind it go on all the same."""
    name = topic()
    await send(brokers.url, name, *numbers(0, 20))
    async with receiver("hangs up", ODD) as there:
        file = pipeline(tmp_path, http(there, backoff="100ms", backoff_cap="1h"))  # not refused before this is over
        async with member(file, brokers.url, name, group=name) as figures:
            await until(lambda: figures.aside == 1 and len(there.copies) == 19)
            await send(brokers.url, name, *numbers(20, 40))
            await until(lambda: len(there.copies) == 39)
            await until(lambda: sum(figures.held.values()) > 0)
            assert figures.sink_up
        offset = await committed(brokers.url, name, name)
        assert offset <= ODD
        there.odd = set()
        async with member(file, brokers.url, name, group=name) as figures:
            await until(lambda: there.copies[ODD] == 1 and figures.written == figures.read == 40 - max(0, offset))
        assert await committed(brokers.url, name, name) == 40
        assert figures.dead == 0


async def test_a_topic_that_the_broker_does_not_allow_holds_up_no_others(tmp_path: Path, brokers: MockKafka) -> None:
    name, dead = topic(), topic()
    rights = tmp_path / "acl"
    rights.write_text("topic write site/good/#\ntopic read #\n")
    values = [{"kind": "bad" if n == 3 else "good", "n": n} for n in range(20)]
    async with (
        Mosquitto(tmp_path, lines=(f"acl_file {rights}",)) as broker,
        client(broker.port, "listener") as listener,
    ):
        await listener.subscribe("#", qos=1)
        keys = {"topic": "site/{{ data.kind }}/x", "protocol": "5"}
        sink = {"to": f"mqtt://127.0.0.1:{broker.port}", "backoff": "5ms", "backoff_cap": "20ms", "mqtt": keys}
        await send(brokers.url, name, *values)
        async with member(pipeline(tmp_path, sink), brokers.url, name, group=name, dead_letters=dead) as figures:
            await until(lambda: figures.written == 19)
            await until(lambda: figures.dead == 1 and not sum(figures.held.values()))
        came = [msgspec.json.decode((await anext(listener.messages)).payload)["n"] for _ in range(19)]
    assert came == [n for n in range(20) if n != 3]
    (letter,) = await brokers.records(dead)
    assert b"refuses site/bad/x: Not authorized" in dict(letter.headers)["hubqueue-reason"]


async def test_a_row_over_which_the_database_ends_its_backend_holds_up_no_others(
    tmp_path: Path, brokers: MockKafka
) -> None:
    name, dead = topic(), topic()
    async with Postgres(tmp_path / "db") as server:
        await server.execute(
            "CREATE TABLE rows (id text, time timestamptz, n int, PRIMARY KEY (id, time))",
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.n = 7 THEN "
            "PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(60); END IF; RETURN NEW; END $$",
            "CREATE TRIGGER t BEFORE INSERT ON rows FOR EACH ROW EXECUTE FUNCTION f()",
        )
        keys = {"table": "rows", "columns": {"n": "data.n"}, "create": False, "password": "owner's password"}
        sink = {"to": server.url(), "backoff": "5ms", "backoff_cap": "20ms", "postgres": keys}
        await send(brokers.url, name, *numbers(0, 20))
        async with member(pipeline(tmp_path, sink), brokers.url, name, group=name, dead_letters=dead) as figures:
            await until(lambda: figures.written == 19)
            await until(lambda: figures.dead == 1 and not sum(figures.held.values()))
        rows = sorted(n for (n,) in await server.query("SELECT n FROM rows"))
    assert rows == [n for n in range(20) if n != ODD]
    (letter,) = await brokers.records(dead)
    assert b"connection was closed" in dict(letter.headers)["hubqueue-reason"]
