"""The SQL that makes a table, and what writes to it. Pure text: the sink runs it.

What TimescaleDB's Apache edition or plain PostgreSQL do not have is left out; aggregates are plain views there, of
the same name and columns, so that the SQL of a dashboard is the same everywhere.
Source: docs.timescale.com, API reference (hypertables, compression, continuous aggregates).
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Final

from hubqueue.forward.sinks.postgres.table import TIME, Aggregate, Column, Table, quoted

STAGE: Final = "hubqueue_stage"
ORDINAL: Final = "hubqueue_n"
LEAST_REFRESH_S: Final = 60.0
REFRESHED: Final = 20  # buckets that are computed anew each time: readings may come that late

# Whole weeks from a Monday, as time_bucket counts them.
ORIGIN: Final = "TIMESTAMPTZ '2000-01-03 00:00:00+00'"


class Edition(Enum):
    """What the server can do beside SQL."""

    PLAIN = "PostgreSQL"
    APACHE = "TimescaleDB, Apache edition"  # hypertables only
    FULL = "TimescaleDB"


def create_table(table: Table, edition: Edition) -> Iterator[str]:
    """The statements that make the table, its hypertable, index and policies."""
    columns = ", ".join(_definition(column) for column in table.columns)
    yield f"CREATE TABLE {table.sql} ({columns}, PRIMARY KEY ({_list(table.key)}))"
    timed = TIME in table.key
    if timed and edition is not Edition.PLAIN:
        options = f"chunk_time_interval => {interval(table.chunk_s)}, create_default_indexes => FALSE"
        yield f"SELECT create_hypertable({_text(table.sql)}::regclass, {_text(TIME)}, {options})"
    if timed:
        yield f"CREATE INDEX ON {table.sql} ({_list(table.by)}{', ' if table.by else ''}{quoted(TIME)} DESC)"
    if edition is not Edition.FULL:
        return
    if table.compress_after_s is not None:
        segments = f", timescaledb.compress_segmentby = {_text(_list(table.by))}" if table.by else ""
        order = f"timescaledb.compress_orderby = {_text(quoted(TIME) + ' DESC')}"
        yield f"ALTER TABLE {table.sql} SET (timescaledb.compress, {order}{segments})"
        yield f"SELECT add_compression_policy({_text(table.sql)}::regclass, {interval(table.compress_after_s)})"
    if table.drop_after_s is not None:
        yield f"SELECT add_retention_policy({_text(table.sql)}::regclass, {interval(table.drop_after_s)})"


def add_column(table: Table, column: Column) -> str:
    """A column that was asked for after the table was made: rows that are there have nothing in it."""
    return f"ALTER TABLE {table.sql} ADD COLUMN IF NOT EXISTS {quoted(column.name)} {column.type}"


def create_aggregate(table: Table, aggregate: Aggregate, edition: Edition) -> Iterator[str]:
    """The statements that make a view of one row for each bucket and `by`."""
    view = quoted(aggregate.name, table.schema)
    every = interval(aggregate.every_s)
    bucket = f"time_bucket({every}, {quoted(TIME)})"
    if edition is Edition.PLAIN:
        bucket = f"date_bin({every}, {quoted(TIME)}, {ORIGIN})"
    values = [f"{bucket} AS bucket", *(quoted(name) for name in aggregate.by), "count(*) AS rows"]
    for column, functions in aggregate.values.items():
        values += [f"{_call(name, column, edition)} AS {quoted(f'{column}_{name}')}" for name in functions]
    groups = ", ".join(str(1 + place) for place in range(1 + len(aggregate.by)))
    select = f"SELECT {', '.join(values)} FROM {table.sql} GROUP BY {groups}"
    if edition is not Edition.FULL:
        yield f"CREATE VIEW {view} AS {select}"
        return
    yield f"CREATE MATERIALIZED VIEW {view} WITH (timescaledb.continuous) AS {select} WITH NO DATA"
    yield f"ALTER MATERIALIZED VIEW {view} SET (timescaledb.materialized_only = false)"
    yield (
        f"SELECT add_continuous_aggregate_policy({_text(view)}::regclass, "
        f"start_offset => {interval(aggregate.every_s * REFRESHED)}, end_offset => {interval(aggregate.every_s)}, "
        f"schedule_interval => {interval(max(LEAST_REFRESH_S, aggregate.every_s))})"
    )


def stage(table: Table) -> str:
    """A table of this session alone, with the types of the real one; empty after each transaction."""
    columns = _list(tuple(column.name for column in table.columns))
    select = f"SELECT 0::bigint AS {ORDINAL}, {columns} FROM {table.sql} WITH NO DATA"
    return f"CREATE TEMPORARY TABLE {STAGE} ON COMMIT DELETE ROWS AS {select}"


def types(table: Table) -> str:
    """A query whose result has the columns with their types, and no row."""
    return f"SELECT {_list(tuple(column.name for column in table.columns))} FROM {STAGE}"


def upsert(table: Table) -> str:
    """From the stage into the table. Rows of a key that is there already change nothing, or what is beside the key."""
    names = tuple(column.name for column in table.columns)
    columns, key = _list(names), _list(table.key)
    rest = [quoted(name) for name in names if name not in table.key]
    if table.on_conflict == "nothing" or not rest:
        return (
            f"INSERT INTO {table.sql} ({columns}) SELECT {columns} FROM {STAGE} ORDER BY {ORDINAL} "
            f"ON CONFLICT ({key}) DO NOTHING"
        )
    # The newest of each key, in the order of keys: two that lock the same rows in another order would wait for ever.
    changes = ", ".join(f"{name} = EXCLUDED.{name}" for name in rest)
    return (
        f"INSERT INTO {table.sql} ({columns}) SELECT DISTINCT ON ({key}) {columns} FROM {STAGE} "
        f"ORDER BY {key}, {ORDINAL} DESC ON CONFLICT ({key}) DO UPDATE SET {changes}"
    )


def interval(seconds: float) -> str:
    return f"INTERVAL '{seconds:g} seconds'" if seconds < 1e6 else f"INTERVAL '{seconds / 86_400:g} days'"


def _definition(column: Column) -> str:
    return f"{quoted(column.name)} {column.type}{' NOT NULL' if column.required else ''}"


def _call(function: str, column: str, edition: Edition) -> str:
    name = quoted(column)
    if function not in ("first", "last"):
        return f"{function}({name})"
    if edition is not Edition.PLAIN:
        return f"{function}({name}, {quoted(TIME)})"
    return f"(array_agg({name} ORDER BY {quoted(TIME)}{' DESC' if function == 'last' else ''}))[1]"


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(quoted(name) for name in names)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
