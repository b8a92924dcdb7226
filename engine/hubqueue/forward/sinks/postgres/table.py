"""The table that a forwarder fills, as a value: its columns, its key, and what TimescaleDB is to do with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from hubqueue.errors import Invalid
from hubqueue.expression import Value
from hubqueue.forward.content import NAMES
from hubqueue.model import moment
from hubqueue.model.moment import TimeFormat

TYPES: Final = (
    "bigint",
    "boolean",
    "bytea",
    "date",
    "double precision",
    "integer",
    "jsonb",
    "numeric",
    "real",
    "smallint",
    "text",
    "timestamptz",
    "uuid",
)
FUNCTIONS: Final = ("avg", "count", "first", "last", "max", "min", "sum")

MAX_NAME_BYTES: Final = 63  # PostgreSQL cuts longer names, in silence
TIME: Final = "time"  # the column by which a hypertable is cut


@dataclass(frozen=True, slots=True)
class Column:
    """One column and what fills it. type: for a table that is made here; else the table's own counts.

    times: how a time is written that comes into it.
    """

    name: str
    source: str
    type: str = "text"
    required: bool = False
    times: TimeFormat = moment.DEFAULT


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A view of means and the like. values: the functions for each column. Units: seconds."""

    name: str
    every_s: float
    by: tuple[str, ...]
    values: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """by: columns that say which device a row is of. key: what makes a row the same row. Units: *_s seconds."""

    name: str
    schema: str | None = None
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ("id", TIME)
    by: tuple[str, ...] = ()
    on_conflict: Literal["nothing", "update"] = "nothing"
    create: bool = True
    chunk_s: float = 86_400.0
    compress_after_s: float | None = None
    drop_after_s: float | None = None
    aggregates: tuple[Aggregate, ...] = field(default=())

    @property
    def sql(self) -> str:
        """The name as SQL wants it."""
        return quoted(self.name, self.schema)


# Columns that need no expression of their own.
KNOWN: Final = {
    "id": Column("id", "id", "text", required=True),
    TIME: Column(TIME, "at_ms", "timestamptz", required=True),
    "queue": Column("queue", "queue"),
    "name": Column("name", "name"),
}
WHOLE: Final = Column("data", "data", "jsonb")  # when no columns are asked for


def columns_of(
    asked: tuple[Column, ...], key: tuple[str, ...], time: str | None, times: TimeFormat = moment.DEFAULT
) -> tuple[Column, ...]:
    """All columns: those asked for, and before them those of the key that are known. time: what fills `time`.

    times: how that is written. Errors: Invalid.
    """
    named = {column.name for column in asked}
    first = [name for name in KNOWN if name in key and name not in named]
    columns = [KNOWN[name] for name in first]
    columns += asked or [KNOWN["queue"], KNOWN["name"], WHOLE]
    if time is not None:
        if TIME not in first:
            raise Invalid("'time' fills the column time of the key, which is filled otherwise", hint="leave 'time' out")
        made = Column(TIME, time, "timestamptz", required=True, times=times)
        columns = [made if each.name == TIME else each for each in columns]
    for column in columns:
        check_name(column.name)
        Value(column.source, NAMES)
    return tuple(columns)


def check(table: Table) -> None:
    """Whether the parts fit together. Errors: Invalid."""
    check_name(table.name)
    if table.schema is not None:
        check_name(table.schema)
    names = [column.name for column in table.columns]
    for what, listed in (("key", table.key), ("by", table.by)):
        _check_listed(what, listed, names)
    if not table.key:
        raise Invalid("'key' must name a column", hint="without one nobody can tell a row that was sent again")
    for aggregate in table.aggregates:
        check_name(aggregate.name)
        _check_listed(f"'by' of {aggregate.name}", aggregate.by, names)
        _check_listed(f"'values' of {aggregate.name}", tuple(aggregate.values), names)
    if TIME not in table.key and (table.aggregates or table.compress_after_s or table.drop_after_s):
        raise Invalid("only a table whose key holds 'time' is cut by time", hint="put time into 'key'")


def check_name(name: str) -> str:
    """Errors: Invalid."""
    if not name or "\0" in name or len(name.encode(errors="replace")) > MAX_NAME_BYTES:
        raise Invalid(f"{name[:80]!r} is no name for PostgreSQL", hint=f"1 to {MAX_NAME_BYTES} bytes")
    return name


def quoted(name: str, schema: str | None = None) -> str:
    """An identifier as SQL wants it, whatever it holds."""
    own = '"' + name.replace('"', '""') + '"'
    return own if schema is None else f"{quoted(schema)}.{own}"


def _check_listed(what: str, listed: tuple[str, ...], names: list[str]) -> None:
    for name in listed:
        if name not in names:
            raise Invalid(f"{what} names {name!r}, which is no column", hint=f"columns are {', '.join(names)}")
