"""PostgreSQL and TimescaleDB: postgresql://user@host:5432/database."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from hubqueue.client.address import Tls
from hubqueue.config import checks
from hubqueue.config.checks import Check
from hubqueue.config.destinations.extras import needs
from hubqueue.config.destinations.kind import Given, Kind, one_secret
from hubqueue.config.mistakes import Wrong
from hubqueue.config.timeformat import TIME_KEYS, time_format
from hubqueue.expression import Value
from hubqueue.forward.content import NAMES
from hubqueue.forward.sinks.postgres import table as tables
from hubqueue.forward.sinks.postgres.destination import DEFAULT_PORT, PostgresDestination, Server
from hubqueue.forward.sinks.postgres.table import FUNCTIONS, TYPES, Aggregate, Column, Table
from hubqueue.model import moment
from hubqueue.model.moment import TimeFormat

SECTION: Final = "postgres"
AT_MS: Final = "at_ms"
EXAMPLE: Final = "as in postgresql://user@host.example:5432/database"

_name: Final = checks.from_engine(tables.check_name)
_functions: Final = checks.choice(*FUNCTIONS)


def _keys(base: Path) -> Mapping[str, Check]:
    section: dict[str, Check] = {
        "password": checks.text,
        "password_file": checks.secret_file(base),
        "sslmode": checks.choice("disable", "prefer", "require", "verify-ca", "verify-full"),
        "schema": _name,
        "table": _name,
        "columns": checks.Named(_name, _column),
        "time": _expression,
        **TIME_KEYS,
        "key": checks.Each(_name),
        "by": checks.Each(_name),
        "on_conflict": checks.choice("nothing", "update"),
        "durable": checks.boolean,
        "create": checks.boolean,
        "chunk": checks.duration_s(60),
        "compress_after": checks.duration_s(60),
        "drop_after": checks.duration_s(60, 3_153_600_000.0),
        "aggregates": checks.Named(_name, _AGGREGATE),
    }
    return {SECTION: checks.Section(section, required=("table",))}


def _build(given: Given, clean: Mapping[str, Any]) -> PostgresDestination:
    needs("asyncpg", "timescale", to=given.to)
    if SECTION not in clean:
        raise Wrong("is missing", path=[SECTION], hint="it says which table, as in postgres: {table: readings}")
    section = dict(clean[SECTION])
    tls = given.tls or Tls()
    mode = section.get("sslmode", "verify-full" if tls.ca_file else "prefer")
    if mode in ("disable", "prefer") and tls != Tls():
        raise Wrong(f"makes no sense with certificates: {mode}", hint="verify-full", path=[SECTION, "sslmode"])
    parts = urlsplit(given.to)
    server = Server(
        host=parts.hostname or "",
        port=parts.port or DEFAULT_PORT,
        user=unquote(parts.username or ""),
        database=unquote(parts.path.strip("/")),
        password=one_secret(section, "password", section=(SECTION,)),
        ssl_mode=mode,
        tls=tls,
    )
    return PostgresDestination(server, _table(section), section.get("durable", True), given.write_timeout_s)


def _table(section: dict[str, Any]) -> Table:
    key = section.get("key", ("id", tables.TIME))
    times = time_format(section)
    asked = tuple(_made(name, column, times) for name, column in section.get("columns", {}).items())
    renamed = {"chunk": "chunk_s", "compress_after": "compress_after_s", "drop_after": "drop_after_s"}
    plain = ("schema", "by", "on_conflict", "create", *renamed)
    made = Table(
        name=section["table"],
        key=key,
        columns=tables.columns_of(asked, key, section.get("time"), times),
        aggregates=tuple(Aggregate(name, **each) for name, each in section.get("aggregates", {}).items()),
        **{renamed.get(name, name): section[name] for name in plain if name in section},
    )
    tables.check(made)
    return made


def _made(name: str, column: dict[str, Any], times: TimeFormat) -> Column:
    ours = column["source"] == AT_MS  # the hub's own, which nobody else has written
    own = time_format(column, times)
    return Column(name, **column, times=moment.DEFAULT if ours else own)


def _url(value: Any) -> str:
    to = str(checks.url("postgresql", "postgres")(value))
    parts = urlsplit(to)
    if parts.password is not None:
        raise Wrong("must hold no password", hint="give it as password_file in the section 'postgres'")
    if not parts.username or not parts.path.strip("/"):
        raise Wrong("must name the user and the database", to, hint=EXAMPLE)
    if "/" in parts.path.strip("/") or parts.query:
        raise Wrong("must end with the database", to, hint=f"{EXAMPLE}; options are keys of the section 'postgres'")
    return to


def _expression(value: Any) -> str:
    return checks.from_engine(lambda text: Value(text, NAMES).text)(checks.text(value))  # type: ignore[no-any-return]


_LONG: Final = checks.Section(
    {"from": _expression, "type": checks.choice(*TYPES), "required": checks.boolean, **TIME_KEYS},
    required=("from",),
    build=lambda clean: {"source": clean.pop("from"), **clean},
)
_AGGREGATE: Final = checks.Section(
    {
        "every": checks.duration_s(1),
        "by": checks.Each(_name),
        "values": checks.Named(_name, checks.Each(_functions)),
    },
    required=("every", "values"),
    build=lambda clean: {"every_s": clean.pop("every"), "by": clean.pop("by", ()), **clean},
)


def _column(value: Any) -> dict[str, Any]:
    """An expression alone fills a column of text."""
    return {"source": _expression(value)} if isinstance(value, str) else _LONG(value)


POSTGRES: Final = Kind({"postgresql": True, "postgres": True}, _keys, _url, _build)
