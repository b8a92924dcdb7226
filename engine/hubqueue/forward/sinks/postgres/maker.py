"""Makes a table that is not there, with what belongs to it. What is there stays as it is, but for columns it lacks."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from hubqueue.forward.sinks.postgres import ddl
from hubqueue.forward.sinks.postgres.ddl import Edition
from hubqueue.forward.sinks.postgres.table import Table, quoted

if TYPE_CHECKING:
    import asyncpg

log = logging.getLogger(__name__)

MAKERS: Final = 0x68756271  # "hubq": the advisory lock of those who make tables, or two hubs would at once

LOOK: Final = """
SELECT (SELECT current_setting('timescaledb.license', true) FROM pg_extension WHERE extname = 'timescaledb'),
       to_regclass($1) IS NOT NULL,
       ARRAY(SELECT attname::text FROM pg_attribute
              WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped),
       ARRAY(SELECT view FROM unnest($2::text[]) AS view WHERE to_regclass(view) IS NULL)
"""


async def make(connection: asyncpg.Connection[asyncpg.Record], table: Table) -> None:
    """Bring the table about. One question when there is nothing to do. Errors: asyncpg's."""
    if not await _lacking(connection, table):
        return
    async with connection.transaction():
        await connection.execute(f"SELECT pg_advisory_xact_lock({MAKERS})")
        for statement in await _lacking(connection, table):
            await connection.execute(statement)
    log.info("table made or changed table=%s", table.sql)


async def _lacking(connection: asyncpg.Connection[asyncpg.Record], table: Table) -> list[str]:
    """The statements that are left to run."""
    views = {quoted(each.name, table.schema): each for each in table.aggregates}
    row = await connection.fetchrow(LOOK, table.sql, list(views))
    assert row is not None  # a SELECT without FROM has one
    license, exists, present, absent = row
    edition = {None: Edition.PLAIN, "apache": Edition.APACHE}.get(license, Edition.FULL)
    if exists:
        lacking = [column for column in table.columns if column.name not in present]
        statements = [ddl.add_column(table, column) for column in lacking]
    else:
        statements = list(ddl.create_table(table, edition))
    for view in absent:
        statements += ddl.create_aggregate(table, views[view], edition)
    return statements
