"""Poison that the other side itself speaks of, with real servers: an error, a missing right, a value that cannot be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from hubqueue.forward.deliver import deliver
from hubqueue.forward.forwarder import Forwarder
from hubqueue.forward.sink import Sink
from hubqueue.forward.sinks.postgres.trouble import meaning
from hubqueue.forward.verdict import Down, Reason, Rejected, verdict
from hubqueue.hub.hub import Hub
from hubqueue.model.job import Job, NewJob
from hubqueue.model.state import State
from support.answering import Answer, Answering, Asked, answering
from support.mosquitto import Mosquitto
from support.mqtt import client
from support.onward import forwarder_of
from support.postgres import Postgres
from support.postgres_sink import batch, parcel, sink_of
from support.waiting import until

QUEUE = "readings"
QUICK = {"backoff": "5ms", "backoff_cap": "20ms"}


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with await Hub.open(tmp_path / "hub.db") as hub:
        yield hub


@pytest.fixture
async def there() -> AsyncIterator[Answering]:
    async with answering() as found:
        yield found


async def add(hub: Hub, *data: Any) -> list[str]:
    return await hub.enqueue(QUEUE, [NewJob(data=msgspec.msgpack.encode(each)) for each in data])


def to(hub: Hub, keys: dict[str, Any], cap: int = 4) -> Forwarder:
    return forwarder_of(hub, QUEUE, {**QUICK, **keys}, unknown_cap=cap)


async def ended(hub: Hub, completed: int, failed: int = 0) -> list[Job]:
    """Wait until so many jobs have ended; those that are dead."""

    async def over() -> bool:
        counts = await hub.counts(QUEUE)
        return (counts.completed, counts.failed) == (completed, failed)

    await until(over)
    return (await hub.list_jobs(QUEUE, (State.FAILED,))).jobs


def errs_over_7(asked: Asked) -> Answer:
    """A receiver with a defect that one record meets; it answers everything else."""
    odd = asked.method == "POST" and (asked.json == 7 or (isinstance(asked.json, list) and 7 in asked.json))
    return Answer(500, b"division by zero") if odd else Answer()


@pytest.mark.parametrize("in_batches", [False, True])
async def test_a_record_that_is_always_answered_5xx_is_given_up_where_that_is_asked_for(
    hub: Hub, there: Answering, in_batches: bool
) -> None:
    there.tell = errs_over_7
    ids = await add(hub, *range(20))
    keys = {"to": there.url, "http": {"batch": in_batches, "server_errors": "job"}}
    async with to(hub, keys):
        (dead,) = await ended(hub, 19, 1)
    assert dead.id == ids[7]
    assert "HTTP 500: division by zero" in str(dead.history.error)
    alone = [asked for asked in there.asked if asked.method == "POST" and asked.json in (7, [7])]
    assert len(alone) <= 6


async def test_by_default_only_the_record_that_is_answered_5xx_waits_and_no_job_is_refused(
    hub: Hub, there: Answering
) -> None:
    there.tell = errs_over_7
    await add(hub, *range(20))
    async with to(hub, {"to": there.url, "http": {"batch": True}}) as forwarder:
        await ended(hub, 19)
        status = await forwarder.status()
        assert (status.alert, status.in_flight, status.rejected) == (True, 1, 0)
        assert "division by zero" in str(status.error)
        there.tell = lambda asked: Answer()  # the receiver is repaired
        await ended(hub, 20)
        assert not (await forwarder.status()).alert


@pytest.mark.parametrize("server_errors", ["link", "job"])
@pytest.mark.parametrize("in_batches", [False, True])
async def test_p5_a_server_that_errs_over_everything_is_waited_for(
    hub: Hub, there: Answering, server_errors: str, in_batches: bool
) -> None:
    there.tell = lambda asked: Answer(500, b"no database")
    await add(hub, *range(10))
    keys = {"to": there.url, "http": {"batch": in_batches, "server_errors": server_errors}}
    async with to(hub, keys) as forwarder:
        await until(lambda: len(there.asked) >= 100)
        assert (await forwarder.status()).rejected == 0
        there.tell = lambda asked: Answer()
        await ended(hub, 10)


async def test_a_topic_without_a_right_is_that_jobs_trouble_while_others_are_published(
    hub: Hub, tmp_path: Path
) -> None:
    rights = tmp_path / "acl"
    rights.write_text("topic write site/good/#\ntopic read #\n")
    async with (
        Mosquitto(tmp_path, lines=(f"acl_file {rights}",)) as broker,
        client(broker.port, "listener") as listener,
    ):
        await listener.subscribe("#", qos=1)
        await add(hub, {"kind": "bad", "n": 0}, *({"kind": "good", "n": n} for n in range(1, 10)))
        keys = {"to": f"mqtt://127.0.0.1:{broker.port}", "mqtt": {"topic": "site/{{ data.kind }}/x", "protocol": "5"}}
        async with to(hub, keys):
            (dead,) = await ended(hub, 9, 1)
        numbers = [msgspec.json.decode((await anext(listener.messages)).payload)["n"] for _ in range(9)]
    assert "refuses site/bad/x: Not authorized" in str(dead.history.error)
    assert numbers == list(range(1, 10))


async def test_p5_a_broker_that_allows_nothing_burns_no_job(hub: Hub, tmp_path: Path) -> None:
    rights = tmp_path / "acl"
    rights.write_text("topic read #\n")
    async with Mosquitto(tmp_path, lines=(f"acl_file {rights}",)) as broker:
        await add(hub, *range(10))
        keys = {"to": f"mqtt://127.0.0.1:{broker.port}", "mqtt": {"topic": "site/x", "protocol": "5"}}
        async with to(hub, keys) as forwarder:

            async def tried() -> bool:
                return (await forwarder.status()).losses >= 30

            await until(tried)
            status = await forwarder.status()
            assert (status.rejected, status.waiting + status.in_flight) == (0, 10)


ROWS = (
    "id text, time timestamptz, device varchar(5), n numeric(4,2), small smallint, span interval, "
    "PRIMARY KEY (id, time)"
)
COLUMNS = {name: f"data.{name}" for name in ("device", "n", "small", "span")}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"device": "too long"}, "column device: value too long for type character varying(5) (SQLSTATE 22001)"),
        ({"n": 123}, "column n: numeric field overflow: A field with precision 4, scale 2"),
        ({"n": "1e200000"}, "column n: number is beyond"),
        ({"small": 40_000}, "column small: beyond 16 bits"),
        ({"small": "many"}, "column small:"),
        ({"span": 5}, "column span: the value does not fit its type"),
        ({"device": "a\0b"}, "column device: PostgreSQL has no text with a NUL"),
    ],
)
async def test_a_row_that_cannot_be_says_its_column_and_not_its_value(
    server: Postgres, table: str, sinks: list[Sink], data: dict[str, Any], reason: str
) -> None:
    await server.execute(f"CREATE TABLE {table} ({ROWS})")
    sinks.append(sink := sink_of(server, table=table, columns=COLUMNS, create=False))
    await sink.connect()
    found = await deliver(sink, batch(parcel(1, {}), parcel(2, data), parcel(3, {})))
    assert isinstance(found, list)
    first, odd, last = found
    assert (first, last) == (None, None)
    assert isinstance(odd, Rejected)
    assert odd.reason.startswith(reason), odd.reason
    for word in ("Error", "asyncpg", "object", "NoneType", "too long for", "many"):
        assert word not in odd.reason or word in reason


async def test_a_trigger_that_fails_over_one_row_is_that_rows(hub: Hub, server: Postgres, table: str) -> None:
    """With a class of errors that is otherwise a mistake in the table, and with the end of the backend."""
    body = (
        "IF NEW.device = 'col' THEN EXECUTE 'SELECT nothing_like_it'; END IF; "
        "IF NEW.device = 'die' THEN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(60); END IF; "
        "RETURN NEW;"
    )
    await server.execute(
        f"CREATE TABLE {table} ({ROWS})",
        f"CREATE FUNCTION f_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$",
        f"CREATE TRIGGER t BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION f_{table}()",
    )
    await add(hub, *({"device": device} for device in ("a", "col", "b", "c", "die", "d", "e", "f")))
    postgres = {"table": table, "columns": COLUMNS, "create": False, "password": "owner's password"}
    async with to(hub, {"to": server.url(), "postgres": postgres}):
        first, second = await ended(hub, 6, 2)
    assert "nothing_like_it" in str(first.history.error)
    assert "closed" in str(second.history.error)
    assert sorted(device for (device,) in await server.query(f"SELECT device FROM {table}")) == list("abcdef")


def test_a_connection_that_is_lost_is_told_without_the_words_of_a_driver() -> None:
    for error in (
        asyncpg.InterfaceError("cannot switch to state 15; another operation (2) is in progress"),
        asyncpg.InternalClientError("got result for unknown protocol state 3"),
    ):
        assert verdict(meaning(error)) == Down(Reason.UNREACHABLE, "the connection to PostgreSQL was lost")
