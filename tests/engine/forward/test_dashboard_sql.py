"""docs/fleet/timescale.sql: its queries give the same rows on PostgreSQL and on both editions of TimescaleDB."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

import pytest
import yaml

from hubqueue.forward.outbound import OutboundJob
from hubqueue.forward.sinks.maker import make_sink
from hubqueue.forward.sinks.postgres import ddl
from hubqueue.forward.sinks.postgres.ddl import Edition
from hubqueue.forward.sinks.postgres.destination import PostgresDestination
from hubqueue.model.payload import encode
from support import timescale_full
from support.onward import way_of
from support.postgres import PASSWORD, Postgres
from support.postgres_sink import batch

SQL: Final = (Path(__file__).parents[3] / "docs" / "fleet" / "timescale.sql").read_text(encoding="utf-8")
BEGIN: Final = datetime(2026, 11, 22, 8, tzinfo=UTC)
MINUTES: Final = 90


def queries() -> dict[str, str]:
    """The queries by their names, over the span of the readings."""
    parts = re.split(r"^-- query: (.*)$", SQL, flags=re.MULTILINE)[1:]
    span = {"$__timeFrom()": BEGIN, "$__timeTo()": BEGIN + timedelta(minutes=MINUTES)}
    found = dict(zip(parts[::2], parts[1::2], strict=True))
    for macro, at in span.items():
        found = {name: text.replace(macro, f"TIMESTAMPTZ '{at.isoformat()}'") for name, text in found.items()}
    return found


def destination(to: str) -> PostgresDestination:
    """The forwarder of the page, to another server."""
    lines = [line.removeprefix("--") for line in SQL.splitlines() if line.startswith("--   ")]
    (keys,) = yaml.safe_load("\n".join(lines))
    del keys["queue"], keys["postgres"]["password_file"]
    keys["postgres"]["password"] = PASSWORD
    return cast("PostgresDestination", way_of({**keys, "to": to}).destination)


def readings() -> Iterator[tuple[datetime, str, str, float]]:
    """One a minute of each device; d1 jumps once, and d2 falls silent."""
    for minute in range(MINUTES):
        for device in ("d1", "d2"):
            if device == "d1" or minute < 60:
                value = 90.0 if device == "d1" and minute == 30 else float(minute % 10)
                yield BEGIN + timedelta(minutes=minute, seconds=5), "farm", device, value


@pytest.fixture(scope="module")
def timescale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    server = Postgres(tmp_path_factory.mktemp("timescale"), timescale=True)
    asyncio.run(server.start())
    asyncio.run(server.execute("CREATE EXTENSION timescaledb"))
    yield server
    server.close()


async def rows_of(server: Postgres) -> dict[str, list[dict[str, Any]]]:
    sink = make_sink(destination(server.url()))
    await sink.connect()
    jobs = [
        OutboundJob(f"fwd:e:q:{n}", "r", encode({"at": at, "site": site, "device": device, "value": value}), 0)
        for n, (at, site, device, value) in enumerate(readings())
    ]
    assert await sink.write(batch(*jobs)) == [None] * len(jobs)
    await sink.close()
    return {name: [dict(row) for row in await server.query(text)] for name, text in queries().items()}


async def test_every_query_gives_the_same_with_timescale_and_without(server: Postgres, timescale: Postgres) -> None:
    plain, apache = await rows_of(server), await rows_of(timescale)
    assert plain == apache
    assert {name: len(rows) for name, rows in plain.items()} == {
        "mean of each device": 150,
        "range of each site by the hour": 2,
        "readings per minute": 90,
        "last value of each device": 2,
        "devices that have been silent for five minutes": 1,
        "minutes that are far from the mean of their hour": 1,
    }
    (hour, _) = plain["range of each site by the hour"]
    assert (hour["low"], hour["high"], hour["mean"]) == (0.0, 90.0, 630 / 120)
    (silent,) = plain["devices that have been silent for five minutes"]
    assert (silent["device"], silent["silent_since"]) == ("d2", BEGIN + timedelta(hours=1))
    (far,) = plain["minutes that are far from the mean of their hour"]
    assert (far["metric"], far["value"]) == ("farm/d1", 90.0)


@pytest.mark.slow
async def test_every_query_gives_the_same_from_continuous_aggregates(server: Postgres) -> None:
    table = destination("postgresql://hub@h/d").table
    values = ", ".join(
        f"('i{n}', '{at.isoformat()}', '{site}', '{device}', {value})"
        for n, (at, site, device, value) in enumerate(readings())
    )
    made = [text for each in table.aggregates for text in ddl.create_aggregate(table, each, Edition.FULL)]
    refresh = [f"CALL refresh_continuous_aggregate('{each.name}', NULL, NULL)" for each in table.aggregates]
    fill = f"INSERT INTO readings VALUES {values}"
    asked = list(queries().values())
    found = timescale_full.run([*ddl.create_table(table, Edition.FULL), *made, fill, *refresh, *asked])
    plain = await rows_of(server)
    assert [len(rows) for rows in found[-len(asked) :]] == [len(rows) for rows in plain.values()]
    (far,) = found[-1]
    assert (far["metric"], far["value"]) == ("farm/d1", 90)
