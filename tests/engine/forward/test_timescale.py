"""Hypertables, aggregates and policies: what is made where, with PostgreSQL, TimescaleDB's Apache edition and the full.

The full one has no server here (support/timescale_full.py): the SQL of the sink is run there without the sink.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Final, cast

import pytest

from hubqueue.forward.outbound import OutboundJob
from hubqueue.forward.sink import Sink
from hubqueue.forward.sinks.maker import make_sink
from hubqueue.forward.sinks.postgres import ddl
from hubqueue.forward.sinks.postgres.ddl import Edition
from hubqueue.forward.sinks.postgres.destination import PostgresDestination
from hubqueue.forward.sinks.postgres.table import Table
from hubqueue.model.payload import encode
from support import timescale_full
from support.onward import way_of
from support.postgres import PASSWORD, Postgres
from support.postgres_sink import batch

AT_MS: Final = 1_700_000_000_000
HOUR_MS: Final = 3_600_000


@pytest.fixture(scope="module")
def timescale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    server = Postgres(tmp_path_factory.mktemp("timescale"), timescale=True)
    asyncio.run(_begin(server))
    yield server
    server.close()


async def _begin(server: Postgres) -> None:
    await server.start()
    await server.execute("CREATE EXTENSION timescaledb")


def destination(server: Postgres | None, table: str, **more: Any) -> PostgresDestination:
    section = {
        "table": table,
        "password": PASSWORD,
        "columns": {"device": "data.device", "value": {"from": "data.value", "type": "double precision"}},
        "by": ["device"],
        "chunk": "1h",
        "compress_after": "7d",
        "drop_after": "365d",
        "aggregates": {
            f"{table}_1m": {
                "every": "1m",
                "by": ["device"],
                "values": {"value": ["avg", "min", "max", "first", "last", "sum", "count"]},
            }
        },
        **more,
    }
    section = {key: value for key, value in section.items() if value is not None}
    to = "postgresql://hub@db.example/telemetry" if server is None else server.url()
    return cast("PostgresDestination", way_of({"to": to, "postgres": section}).destination)


def readings(count: int) -> list[OutboundJob]:
    """One each second, of two devices in turn."""
    return [
        OutboundJob(f"fwd:e:q:{n}", "r", encode({"device": f"d{n % 2}", "value": n}), AT_MS + n * 1000)
        for n in range(count)
    ]


async def test_aggregates_give_the_same_rows_with_timescale_and_without(
    server: Postgres, timescale: Postgres, sinks: list[Sink]
) -> None:
    found = []
    for one in (server, timescale):
        sinks.append(sink := make_sink(destination(one, "readings")))
        await sink.connect()
        assert await sink.write(batch(*readings(300))) == [None] * 300
        rows = await one.query("SELECT * FROM readings_1m ORDER BY bucket, device")
        found.append([dict(row) for row in rows])
    assert found[0] == found[1]
    assert len(found[0]) == 12  # 300 s from the middle of a minute: 6 buckets of 2 devices
    assert sum(row["rows"] for row in found[0]) == 300
    second = found[0][2]
    assert second["bucket"].second == 0
    assert (second["value_first"], second["value_last"]) == (second["value_min"], second["value_max"])
    assert second["value_avg"] == (second["value_min"] + second["value_max"]) / 2
    assert (second["value_count"], second["value_sum"]) == (30, second["value_avg"] * 30)


async def test_a_hypertable_is_cut_into_chunks_and_knows_what_it_has(timescale: Postgres, sinks: list[Sink]) -> None:
    sinks.append(sink := make_sink(destination(timescale, "pieces")))
    await sink.connect()
    jobs = [OutboundJob(f"fwd:e:q:{n}", "r", encode({"device": "d"}), AT_MS + n * HOUR_MS) for n in range(5)]
    for _ in range(2):
        assert await sink.write(batch(*jobs)) == [None] * 5
    chunks = await timescale.query("SELECT 1 FROM timescaledb_information.chunks WHERE hypertable_name = 'pieces'")
    assert len(chunks) == 5
    assert len(await timescale.query("SELECT 1 FROM pieces")) == 5


async def test_a_second_forwarder_finds_everything_made(timescale: Postgres, sinks: list[Sink]) -> None:
    for _ in range(2):
        sinks.append(sink := make_sink(destination(timescale, "shared")))
        await sink.connect()
    assert await sinks[0].write(batch(*readings(2))) == [None, None]
    assert await sinks[1].write(batch(*readings(4))) == [None] * 4
    assert len(await timescale.query("SELECT 1 FROM shared")) == 4


async def test_a_database_without_the_extension_gets_a_plain_table(timescale: Postgres, sinks: list[Sink]) -> None:
    await timescale.execute("CREATE DATABASE bare TEMPLATE template0")
    made = destination(timescale, "readings")
    bare = way_of(
        {"to": timescale.url("bare"), "postgres": {"table": "readings", "password": PASSWORD, "chunk": "1h"}}
    ).destination
    assert made.table.chunk_s == 3600
    sinks.append(sink := make_sink(bare))
    await sink.connect()
    assert await sink.write(batch(*readings(3))) == [None] * 3
    assert len(await timescale.query("SELECT 1 FROM readings", database="bare")) == 3


def table(**more: Any) -> Table:
    return destination(None, "readings", **more).table


@pytest.mark.slow
def test_the_full_edition_gets_compression_retention_and_continuous_aggregates() -> None:
    made = table()
    fill = "INSERT INTO {} SELECT 'i' || n, TIMESTAMPTZ '2026-11-22 10:00Z' + n * INTERVAL '1 s', 'd', n"
    rows = timescale_full.run(
        [
            *ddl.create_table(made, Edition.FULL),
            *ddl.create_aggregate(made, made.aggregates[0], Edition.FULL),
            fill.format("readings") + " FROM generate_series(0, 599) AS n",
            "CALL refresh_continuous_aggregate('readings_1m', NULL, NULL)",
            "SELECT compress_chunk(chunk) FROM show_chunks('readings') AS chunk",
            "BEGIN",
            ddl.stage(made),
            f"INSERT INTO {ddl.STAGE} SELECT 0, * FROM readings LIMIT 10",  # sent again, into compressed chunks
            ddl.upsert(made),
            "COMMIT",
            "SELECT count(*)::int AS rows FROM readings",
            "SELECT count(*)::int AS buckets, sum(rows)::int AS rows, max(value_last) AS last FROM readings_1m",
            "SELECT proc_name AS name FROM timescaledb_information.jobs WHERE job_id >= 1000 ORDER BY name",
        ]
    )
    assert rows[-3:-1] == [[{"rows": 600}], [{"buckets": 10, "rows": 600, "last": 599}]]
    policies = ["policy_compression", "policy_refresh_continuous_aggregate", "policy_retention"]
    assert [row["name"] for row in rows[-1]] == policies


@pytest.mark.parametrize("edition", [Edition.PLAIN, Edition.APACHE])
def test_no_other_edition_is_asked_for_what_it_has_not(edition: Edition) -> None:
    made = table()
    statements = [*ddl.create_table(made, edition), *ddl.create_aggregate(made, made.aggregates[0], edition)]
    assert not any(word in line for line in statements for word in ("policy", "compress", "continuous"))
    assert any("create_hypertable" in line for line in statements) is (edition is Edition.APACHE)


@pytest.mark.parametrize("edition", list(Edition))
def test_a_table_without_time_in_its_key_is_plain_everywhere(edition: Edition) -> None:
    made = table(key=["device"], aggregates={}, compress_after=None, drop_after=None)
    statements = list(ddl.create_table(made, edition))
    assert len(statements) == 1
    assert statements[0].endswith('PRIMARY KEY ("device"))')
