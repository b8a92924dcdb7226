"""The PostgreSQL sink in trouble, with a real server: what each is called, and that nobody is refused for it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from hubqueue.forward.deliver import deliver
from hubqueue.forward.outbound import OutboundJob
from hubqueue.forward.sink import Sink
from hubqueue.forward.verdict import Down, Reason, Rejected, verdict
from support import certificates
from support.postgres import Postgres
from support.postgres_sink import COLUMNS, batch, parcel, sink_of, trouble
from support.waiting import soon, until


async def test_a_commit_is_synced_even_where_the_server_would_not(
    server: Postgres, table: str, sinks: list[Sink]
) -> None:
    await server.execute("ALTER ROLE postgres SET synchronous_commit = off")
    try:
        sinks.append(sink := sink_of(server, table=table))
        await sink.connect()
        record = f"CREATE FUNCTION how_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        record += "NEW.name = current_setting('synchronous_commit'); RETURN NEW; END $$"
        trigger = f"CREATE TRIGGER how BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION how_{table}()"
        await server.execute(record, trigger)
        await sink.write(batch(parcel(1)))
        assert [tuple(row) for row in await server.query(f"SELECT name FROM {table}")] == [("on",)]
    finally:
        await server.execute("ALTER ROLE postgres RESET synchronous_commit")


async def test_what_is_wrong_with_the_access_is_said(server: Postgres, table: str) -> None:
    await server.execute(
        f"CREATE ROLE r{table} LOGIN PASSWORD 'x'",
        f"CREATE TABLE {table} (id text, time timestamptz, queue text, name text, data jsonb)",
        f"CREATE TABLE {table}y (id text PRIMARY KEY)",
    )
    cases = [
        (sink_of(server, table=table, password="wrong"), Reason.AUTH, "28P01"),
        (sink_of(server, server.url(user="nobody"), table=table), Reason.AUTH, "28P01"),
        (sink_of(server, server.url(database="nowhere"), table=table), Reason.AUTH, "CREATE DATABASE"),
        (sink_of(server, server.url(user=f"r{table}"), table=f"{table}x", password="x"), Reason.AUTH, "42501"),
        (sink_of(server, table=f"{table}x", create=False), Reason.PROTOCOL, "'create'"),
        (sink_of(server, table=f"{table}y", create=False), Reason.PROTOCOL, "'columns'"),
        (sink_of(server, table=table, schema="nowhere"), Reason.PROTOCOL, "3F000"),
        (sink_of(server, table=table, sslmode="require"), Reason.TLS, "SSL"),
        (sink_of(server, "postgresql://postgres@127.0.0.1:1/postgres", table=table), Reason.UNREACHABLE, ""),
    ]
    for sink, reason, text in cases:
        down = await trouble(sink)
        assert (down.reason, text in down.error) == (reason, True), down
        assert down.alert is (reason is not Reason.UNREACHABLE)
        await sink.close()


async def test_a_user_who_may_not_write_refuses_no_job(server: Postgres, table: str, sinks: list[Sink]) -> None:
    columns = "id text, time timestamptz, queue text, name text, data jsonb, PRIMARY KEY (id, time)"
    await server.execute(f"CREATE ROLE r{table} LOGIN PASSWORD 'x'", f"CREATE TABLE {table} ({columns})")
    sink = sink_of(server, server.url(user=f"r{table}"), table=table, password="x", create=False)
    sinks.append(sink)
    await sink.connect()
    found = await deliver(sink, batch(parcel(1), parcel(2)))
    assert isinstance(found, Down)
    assert found.reason is Reason.AUTH
    assert "GRANT" in found.error
    await server.execute(f"GRANT INSERT, SELECT ON {table} TO r{table}")
    assert await sink.write(batch(parcel(1), parcel(2))) == [None, None]


async def test_a_table_without_the_key_is_the_links_trouble(server: Postgres, table: str, sinks: list[Sink]) -> None:
    await server.execute(f"CREATE TABLE {table} (id text, time timestamptz, n integer, device text)")
    sinks.append(sink := sink_of(server, table=table, columns=COLUMNS))
    await sink.connect()
    found = await deliver(sink, batch(parcel(1), parcel(2)))
    assert isinstance(found, Down)
    assert found.reason is Reason.PROTOCOL
    assert "unique index" in found.error


async def test_a_lock_that_somebody_holds_is_a_timeout(server: Postgres, table: str, sinks: list[Sink]) -> None:
    sinks.append(sink := sink_of(server, table=table, write_timeout="2s"))
    await sink.connect()
    holder = await server.connect()
    await holder.execute("BEGIN")
    await holder.execute(f"LOCK TABLE {table}")
    found = await deliver(sink, batch(parcel(1)))
    assert isinstance(found, Down)
    assert found.reason is Reason.TIMEOUT
    await holder.close()
    await sink.connect()
    assert await sink.write(batch(parcel(1))) == [None]


async def test_a_server_that_is_frozen_is_left_in_time(server: Postgres, table: str, sinks: list[Sink]) -> None:
    sinks.append(sink := sink_of(server, table=table, write_timeout="2s"))
    await sink.connect()
    await sink.write(batch(parcel(1)))
    server.freeze()
    try:
        found = await soon(deliver(sink, batch(parcel(2))))
    finally:
        server.thaw()
    assert isinstance(found, Down)
    assert found.reason is Reason.TIMEOUT
    await sink.connect()
    assert await sink.write(batch(parcel(2))) == [None]


async def test_a_session_that_is_ended_is_told_at_once(server: Postgres, table: str, sinks: list[Sink]) -> None:
    sinks.append(sink := sink_of(server, table=table))
    await sink.connect()
    lost = asyncio.ensure_future(sink.lost())
    await asyncio.sleep(0)
    await server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hubqueue'")
    await until(lost.done)
    found = verdict(lost.exception())  # type: ignore[arg-type]
    assert isinstance(found, Down)
    assert found.reason is Reason.UNREACHABLE


async def test_two_that_update_the_same_rows_do_not_block_each_other(
    server: Postgres, table: str, sinks: list[Sink]
) -> None:
    options: dict[str, Any] = {"table": table, "columns": COLUMNS, "key": ["device"], "on_conflict": "update"}
    sinks += [sink_of(server, **options), sink_of(server, **options)]
    await asyncio.gather(*(sink.connect() for sink in sinks))
    rows = [parcel(n, {"n": n, "device": f"d{n}"}) for n in range(200)]

    async def write(sink: Sink, *parcels: OutboundJob) -> list[list[Rejected | None]]:
        return [await sink.write(batch(*parcels)) for _ in range(3)]

    results = await asyncio.gather(write(sinks[0], *rows), write(sinks[1], *reversed(rows)))
    assert all(result == [None] * 200 for each in results for result in each)


@pytest.mark.parametrize(("times", "ends"), [(2, None), (3, Reason.STORE)])
async def test_a_transaction_that_met_another_is_tried_again(
    server: Postgres, table: str, sinks: list[Sink], times: int, ends: Reason | None
) -> None:
    sinks.append(sink := sink_of(server, table=table, columns=COLUMNS))
    await sink.connect()
    await server.execute(
        f"CREATE SEQUENCE met_{table}",  # counts on through rollbacks
        f"CREATE FUNCTION meet_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF nextval('met_{table}') <= {times} THEN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END IF; "
        "RETURN NEW; END $$",
        f"CREATE TRIGGER meet BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION meet_{table}()",
    )
    results = await deliver(sink, batch(parcel(1), parcel(2)))
    assert results == [None, None] if ends is None else isinstance(results, Down) and results.reason is ends


async def test_the_server_is_reached_over_tls(tmp_path: Path, sinks: list[Sink]) -> None:
    files = certificates.make(tmp_path / "tls")
    async with Postgres(tmp_path, tls=files, lines=("ssl_min_protocol_version = 'TLSv1.2'",)) as server:
        for options in ({"ca_file": str(files.ca)}, {"sslmode": "require"}, {}, {"sslmode": "disable"}):
            sinks.append(sink := sink_of(server, table="t", **options))
            await sink.connect()
            secure = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'hubqueue'"
            assert [ssl for (ssl,) in await server.query(secure)] == [options != {"sslmode": "disable"}]
            await sink.close()
            await until(lambda: _nobody(server))
        down = await trouble(sink_of(server, table="t", ca_file=str(files.other_ca)))
        assert (down.reason, down.alert) == (Reason.TLS, True)


async def _nobody(server: Postgres) -> bool:
    return not await server.query("SELECT 1 FROM pg_stat_activity WHERE application_name = 'hubqueue'")


async def test_an_idle_session_that_is_half_open_is_found(
    server: Postgres, table: str, sinks: list[Sink], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubqueue.forward.sinks.postgres.sink.PING_EVERY_S", 0.05)
    sinks.append(sink := sink_of(server, table=table, write_timeout="300ms"))
    await sink.connect()
    lost = asyncio.ensure_future(sink.lost())
    server.freeze()
    try:
        await until(lost.done)
    finally:
        server.thaw()
    found = verdict(lost.exception())  # type: ignore[arg-type]
    assert isinstance(found, Down)
    assert found.reason is Reason.TIMEOUT


async def test_a_session_that_was_given_up_does_not_end_the_next(
    server: Postgres, table: str, sinks: list[Sink]
) -> None:
    sinks.append(sink := sink_of(server, table=table, columns=COLUMNS))
    for n in range(3):
        await sink.connect()
        write = asyncio.ensure_future(sink.write(batch(*(parcel(n * 1000 + i) for i in range(1000)))))
        await asyncio.sleep(0)
        await sink.close()  # in mid-write
        with pytest.raises(Exception) as failure:
            await write
        assert isinstance(verdict(failure.value), Down)
    await sink.connect()
    lost = asyncio.ensure_future(sink.lost())
    assert await sink.write(batch(parcel(1))) == [None]
    assert not lost.done()
    lost.cancel()
