"""Rows and records made of jobs: pure, for any data that a job can carry."""

from __future__ import annotations

import asyncio
import json
import math
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubqueue.forward.content import Unfit
from hubqueue.forward.outbound import OutboundJob
from hubqueue.forward.sinks.kafka.destination import Form
from hubqueue.forward.sinks.kafka.records import Records
from hubqueue.forward.sinks.postgres.rows import READERS, TIME_READERS, Rows
from hubqueue.forward.sinks.postgres.table import Column
from hubqueue.forward.verdict import Rejected
from hubqueue.model.moment import DEFAULT, TimeFormat
from hubqueue.model.payload import encode
from hubqueue.model.zone import zone_of
from support.postgres import Postgres

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.text(),
    st.binary(),
    st.datetimes(timezones=st.just(UTC)),
)
DATA = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=20
)


def parcel(data: Any) -> OutboundJob:
    return OutboundJob("fwd:e:q:1", "n", encode(data), 0)


def cell(kind: str, value: Any, times: TimeFormat = DEFAULT) -> Any:
    """What becomes of a value in a column of this type; Rejected when it does not fit."""
    row = Rows([Column("x", "data.x", times=times)], [kind]).of("q", parcel({"x": value}))
    return row if isinstance(row, Rejected) else row[0]


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        ("int2", 21.0, 21),
        ("int4", " -17 ", -17),
        ("int8", 2**63 - 1, 2**63 - 1),
        ("int8", "9223372036854775807", 2**63 - 1),
        ("float8", "1e3", 1000.0),
        ("float8", 2**64 - 1, float(2**64 - 1)),
        ("float8", math.inf, math.inf),
        ("float4", -3, -3.0),
        ("numeric", 0.1, Decimal("0.1")),
        ("numeric", "12345678901234567890", Decimal("12345678901234567890")),
        ("bool", True, True),
        ("bool", 0, False),
        ("text", 17, "17"),
        ("text", {"a": [1, None]}, '{"a":[1,null]}'),
        ("text", ["\0"], '["\N{REPLACEMENT CHARACTER}"]'),
        ("varchar", "", ""),
        ("bytea", "ä", "ä".encode()),
        ("uuid", "6f1d0b52-0b5c-4bd0-9d0c-6a7c0e7f5f1a", uuid.UUID("6f1d0b52-0b5c-4bd0-9d0c-6a7c0e7f5f1a")),
        ("timestamptz", 1_700_000_000, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        ("timestamptz", 1_700_000_000_500, datetime(2023, 11, 14, 22, 13, 20, 500_000, tzinfo=UTC)),
        ("timestamp", "2026-11-22T10:00+01:00", datetime(2026, 11, 22, 9)),
        ("date", "2026-11-22T00:30+01:00", date(2026, 11, 21)),
        ("jsonb", 2**60, f'"{2**60}"'),
        ("jsonb", "a\\u0000\0", '"a\\\\u0000\N{REPLACEMENT CHARACTER}"'),
        ("jsonb", {"\0": ["\0"]}, '{"\N{REPLACEMENT CHARACTER}":["\N{REPLACEMENT CHARACTER}"]}'),
        ("int4", None, None),
    ],
)
def test_a_value_is_read_as_its_column_takes_it(kind: str, value: Any, read: Any) -> None:
    found = cell(kind, value)
    assert found == read
    assert type(found) is type(read)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int2", 2**15),
        ("int4", 2**31),
        ("int8", 2**63),
        ("int8", 0.5),
        ("int8", math.nan),
        ("int8", True),
        ("int4", "1_000"),
        ("int4", [1]),
        ("float8", "nan"),
        ("float4", 1e300),
        ("numeric", math.inf),
        ("bool", "yes"),
        ("bool", 2),
        ("text", "a\0"),
        ("bytea", 5),
        ("uuid", "x"),
        ("uuid", 5),
        ("timestamptz", "yesterday"),
        ("timestamptz", 1e300),
        ("timestamptz", math.nan),
        ("timestamptz", True),
        ("date", {}),
    ],
)
def test_a_value_that_does_not_fit_is_refused(kind: str, value: Any) -> None:
    found = cell(kind, value)
    assert isinstance(found, Rejected)
    assert found.reason.startswith("column x: ")
    assert len(found.reason) < 200


@given(DATA, st.sampled_from(sorted({*READERS, *TIME_READERS})))
def test_whatever_a_job_carries_it_is_taken_or_refused(data: Any, kind: str) -> None:
    cell(kind, data)
    Rows([Column("data", "data", "jsonb")], ["jsonb"]).of("q", parcel(data))


@settings(max_examples=50)
@given(st.lists(DATA, min_size=1, max_size=20))
def test_postgres_takes_every_jsonb_that_is_made(server: Postgres, data: list[Any]) -> None:
    rows = Rows([Column("data", "data", "jsonb")], ["jsonb"])
    texts = [rows.of("q", parcel(each)) for each in data]
    assert not any(isinstance(row, Rejected) for row in texts)
    values = [row[0] for row in texts if not isinstance(row, Rejected)]
    taken = asyncio.run(server.query("SELECT value::jsonb FROM unnest($1::text[]) AS value", values))
    assert len(taken) == len(data)


@given(DATA)
def test_a_record_has_a_value_whatever_the_job_carries(data: Any) -> None:
    records = Records(Form(topic="t"))
    json.loads(records.of("q", parcel(data)).value)


def test_bytes_that_are_no_messagepack_go_as_they_are_unless_they_must_be_read() -> None:
    odd = OutboundJob("fwd:e:q:1", "n", b"\xc1", 0)
    assert Records(Form(topic="t", value="msgpack")).of("q", odd).value == b"\xc1"
    assert json.loads(Records(Form(topic="t")).of("q", odd).value) == {"$bytes": "wQ=="}
    with pytest.raises(Unfit):
        Records(Form(topic="t", key="{{ data.device }}")).of("q", odd)


BERLIN = TimeFormat(zone_of("Europe/Berlin"))


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        ("timestamptz", "2026-11-30T22:47:23", datetime(2026, 11, 30, 21, 47, 23, tzinfo=UTC)),
        ("timestamp", "2026-11-30T22:47:23", datetime(2026, 11, 30, 21, 47, 23)),
        ("date", "2026-11-30", date(2026, 11, 30)),
        ("date", "2026-11-30T23:30:00Z", date(2026, 12, 1)),
    ],
)
def test_a_time_without_a_zone_is_in_that_of_its_column(kind: str, value: Any, read: Any) -> None:
    assert cell(kind, value, BERLIN) == read


@pytest.mark.parametrize("kind", sorted(TIME_READERS))
@pytest.mark.parametrize("value", ["0001-01-01", "9999-12-31", datetime.min.replace(tzinfo=UTC), -62_135_596_800])
def test_what_postgres_takes_for_infinity_is_refused(kind: str, value: Any) -> None:
    found = cell(kind, value)
    assert isinstance(found, Rejected)
    assert "time" in found.reason or "years" in found.reason


TIMES = st.one_of(
    st.datetimes(timezones=st.just(UTC)), st.integers(0, 10**19), st.from_regex(r"\A[0-9]{4}-[01][0-9]-[0-3][0-9]\Z")
)


@settings(max_examples=50)
@given(st.lists(TIMES, max_size=20))
def test_no_time_that_is_taken_is_infinity_to_postgres(server: Postgres, values: list[Any]) -> None:
    for kind in ("timestamptz", "date"):
        rows = [cell(kind, value) for value in values]
        taken = [row for row in rows if not isinstance(row, Rejected)]
        sql = f"SELECT count(*) FILTER (WHERE isfinite(value)) AS n FROM unnest($1::{kind}[]) AS value"
        assert asyncio.run(server.query(sql, taken))[0]["n"] == len(taken)
