"""The PostgreSQL sink against a real server: tables made or found, rows taken and refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hubqueue.forward.deliver import deliver
from hubqueue.forward.outbound import OutboundJob
from hubqueue.forward.sink import Sink
from hubqueue.forward.verdict import Rejected
from support.postgres import Postgres
from support.postgres_sink import COLUMNS, batch, parcel, sink_of


async def test_without_columns_the_whole_job_is_kept_as_json(server: Postgres, table: str, sinks: list[Sink]) -> None:
    sinks.append(sink := sink_of(server, table=table))
    await sink.connect()
    odd = {"text": "a\0b", "nan": float("nan"), "huge": 2**63, "bytes": b"\x00\xff", "list": [1, None, True], "ä": "ö"}
    raw = OutboundJob("fwd:edge:readings:3", "raw", b"\xc1", 1_700_000_000_123)
    none = OutboundJob("fwd:edge:readings:4", "none", None, 1_700_000_000_123)
    assert await sink.write(batch(parcel(1), parcel(2, odd), raw, none)) == [None] * 4
    rows = await server.query(f"SELECT id, time, queue, name, data #>> '{{}}' AS data FROM {table} ORDER BY id")
    assert [row["id"] for row in rows] == [f"fwd:edge:readings:{n}" for n in (1, 2, 3, 4)]
    assert {row["queue"] for row in rows} == {"readings"}
    assert rows[2]["time"].timestamp() == 1_700_000_000.123
    assert rows[0]["data"] == '{"n": 1}'
    assert '"a\N{REPLACEMENT CHARACTER}b"' in rows[1]["data"]
    assert '"nan": "NaN"' in rows[1]["data"]
    assert f'"{2**63}"' in rows[1]["data"]
    assert "$bytes" in rows[2]["data"]
    assert rows[3]["data"] is None


async def test_a_batch_that_is_sent_again_changes_nothing(server: Postgres, table: str, sinks: list[Sink]) -> None:
    sinks.append(sink := sink_of(server, table=table, columns=COLUMNS))
    await sink.connect()
    jobs = [parcel(n) for n in range(100)]
    for _ in range(3):
        assert await sink.write(batch(*jobs)) == [None] * 100
    assert await sink.write(batch(jobs[0], jobs[0], parcel(100))) == [None] * 3
    assert [n for (n,) in await server.query(f"SELECT n FROM {table} ORDER BY ctid")] == list(range(101))


async def test_the_newest_value_wins_where_it_is_asked_for(server: Postgres, table: str, sinks: list[Sink]) -> None:
    sink = sink_of(server, table=table, columns=COLUMNS, key=["device"], on_conflict="update")
    sinks.append(sink)
    await sink.connect()
    first = [parcel(n, {"n": n, "device": device}) for n, device in enumerate("abab")]
    assert await sink.write(batch(*first)) == [None] * 4
    assert await sink.write(batch(parcel(9, {"n": 9, "device": "b"}))) == [None]
    rows = await server.query(f"SELECT device, n FROM {table} ORDER BY device")
    assert [tuple(row) for row in rows] == [("a", 2), ("b", 9)]


async def test_names_may_hold_anything_that_postgres_allows(server: Postgres, table: str, sinks: list[Sink]) -> None:
    await server.execute(f'CREATE SCHEMA "odd ""{table}"')
    columns = {'a"b; DROP TABLE x': {"from": "data.n", "type": "integer"}, "select": "data.device", "Größe": "name"}
    sink = sink_of(server, schema=f'odd "{table}', table="Tisch'; --", columns=columns, by=["select"])
    sinks.append(sink)
    await sink.connect()
    assert await sink.write(batch(parcel(1, {"n": 5, "device": "d"}))) == [None]
    (row,) = await server.query(f'SELECT "a""b; DROP TABLE x" AS n, "Größe" AS name FROM "odd ""{table}"."Tisch\'; --"')
    assert tuple(row) == (5, "reading")


@pytest.mark.parametrize(
    "rule",
    [
        "ALTER TABLE {} ADD CHECK (n <> 13)",
        "ALTER TABLE {} ADD UNIQUE (device)",
        "CREATE FUNCTION no_{0}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.n = 13 THEN RAISE EXCEPTION "
        "'not today'; END IF; RETURN NEW; END $$; CREATE TRIGGER no BEFORE INSERT ON {0} FOR EACH ROW "
        "EXECUTE FUNCTION no_{0}()",
        "CREATE UNIQUE INDEX ON {} ((CASE WHEN n = 13 THEN 1 / (n - 13) END))",
    ],
    ids=["check", "unique", "trigger", "division by zero"],
)
async def test_a_row_that_the_server_refuses_is_found_in_its_batch(
    server: Postgres, table: str, sinks: list[Sink], rule: str
) -> None:
    sinks.append(sink := sink_of(server, table=table, columns=COLUMNS))
    await sink.connect()
    await server.execute(rule.format(table))
    jobs = [parcel(n, {"n": n, "device": "d12" if n == 13 else f"d{n}"}) for n in range(40)]
    results = await deliver(sink, batch(*jobs))
    assert isinstance(results, list)
    assert [n for n, result in enumerate(results) if result is not None] == [13]
    refused = results[13]
    assert refused is not None
    assert refused.code == "invalid"
    assert "SQLSTATE" in refused.reason
    assert "d12" not in refused.reason  # no data in what is logged
    assert len(await server.query(f"SELECT 1 FROM {table}")) == 39


async def test_a_value_that_fits_no_column_is_refused_before_it_is_sent(
    server: Postgres, table: str, sinks: list[Sink]
) -> None:
    columns = {
        "i": {"from": "data.i", "type": "smallint"},
        "x": {"from": "data.x", "type": "real"},
        "s": "data.s",
        "must": {"from": "data.must", "type": "boolean", "required": True},
    }
    sinks.append(sink := sink_of(server, table=table, columns=columns, time="data.t"))
    await sink.connect()
    good: dict[str, Any] = {"i": 1, "x": 2.5, "s": "t", "must": True, "t": 1_700_000_000}
    bad: list[dict[str, Any]] = [
        {"i": 32768},
        {"i": 1.5},
        {"x": 1e39},
        {"s": "a\0"},
        {"must": "x"},
        {"must": None},
        {"t": "noon"},
    ]
    bad += [{"t": 1e30}, {"t": None}, {"i": "many"}]
    results = await sink.write(batch(parcel(0, good), *(parcel(n, {**good, **odd}) for n, odd in enumerate(bad, 1))))
    assert results[0] is None
    assert [type(result) for result in results[1:]] == [Rejected] * len(bad)
    columns_named = [result.reason.split()[1] for result in results[1:] if result is not None]
    assert columns_named == ["i:", "i:", "x:", "s:", "must:", "must:", "time:", "time:", "time:", "i:"]
    assert len(await server.query(f"SELECT 1 FROM {table}")) == 1


async def test_a_table_that_is_there_is_filled_by_its_own_types(
    server: Postgres, table: str, sinks: list[Sink]
) -> None:
    await server.execute(
        f"CREATE TYPE mood_{table} AS ENUM ('on', 'off')",
        f"CREATE TABLE {table} (ts timestamp, device varchar(4), mood mood_{table}, amount numeric(6, 2), "
        "raw bytea, day date, tags jsonb, key uuid, PRIMARY KEY (device, ts))",
    )
    columns = {
        "ts": "data.ts",
        "device": "data.device",
        "mood": "data.mood",
        "amount": "data.amount",
        "raw": "data.raw",
        "day": "data.ts",
        "tags": "data.tags",
        "key": "data.key",
    }
    sinks.append(sink := sink_of(server, table=table, columns=columns, key=["device", "ts"], create=False))
    await sink.connect()
    good = {
        "ts": "2026-11-22T10:00:00+01:00",
        "device": "d1",
        "mood": "on",
        "amount": "12.34",
        "raw": b"\x00\x01",
        "tags": ["a"],
        "key": "6f1d0b52-0b5c-4bd0-9d0c-6a7c0e7f5f1a",
    }
    results = await deliver(
        sink,
        batch(
            parcel(1, good),
            parcel(2, {**good, "device": "too long"}),
            parcel(3, {**good, "device": "d3", "mood": "perhaps"}),
            parcel(4, {**good, "device": "d4", "mood": 7}),
            parcel(5, {**good, "device": "d5", "amount": 1e9}),
            parcel(6, {**good, "device": "d6", "key": "none"}),
            parcel(7, {**good, "device": "d7"}),
        ),
    )
    assert isinstance(results, list)
    assert [result is None for result in results] == [True, False, False, False, False, False, True]
    assert all("perhaps" not in result.reason for result in results if result)
    (row, _) = await server.query(f"SELECT * FROM {table} ORDER BY device")
    assert (row["ts"].isoformat(), row["mood"], str(row["amount"])) == ("2026-11-22T09:00:00", "on", "12.34")
    assert (row["raw"], row["day"].isoformat(), row["tags"]) == (b"\x00\x01", "2026-11-22", '["a"]')


async def test_a_column_that_is_asked_for_later_is_added(server: Postgres, table: str, sinks: list[Sink]) -> None:
    sinks.append(first := sink_of(server, table=table, columns=COLUMNS))
    await first.connect()
    await first.write(batch(parcel(1)))
    more = {**COLUMNS, "value": {"from": "data.value", "type": "real"}}
    sinks.append(second := sink_of(server, table=table, columns=more))
    await second.connect()
    assert await second.write(batch(parcel(2, {"n": 2, "value": 0.5}))) == [None]
    rows = await server.query(f"SELECT n, value FROM {table} ORDER BY n")
    assert [tuple(row) for row in rows] == [(1, None), (2, 0.5)]


async def test_several_that_make_the_same_table_do_not_meet(server: Postgres, table: str, sinks: list[Sink]) -> None:
    sinks += [sink_of(server, table=table, columns=COLUMNS) for _ in range(8)]
    await asyncio.gather(*(sink.connect() for sink in sinks))
    await asyncio.gather(*(sink.write(batch(parcel(n))) for n, sink in enumerate(sinks)))
    assert len(await server.query(f"SELECT 1 FROM {table}")) == 8


async def test_batches_side_by_side_have_a_connection_each(server: Postgres, table: str, sinks: list[Sink]) -> None:
    sinks.append(sink := sink_of(server, table=table, columns=COLUMNS))
    await sink.connect()
    writes = (sink.write(batch(*(parcel(n * 50 + i) for i in range(50)))) for n in range(6))
    assert await asyncio.gather(*writes) == [[None] * 50] * 6
    assert len(await server.query(f"SELECT 1 FROM {table}")) == 300
