"""timezone and time_unit stand beside every time: what they say is read alike by every step and every sink."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hubqueue.config.load import load
from hubqueue.config.mistakes import ConfigMistakes
from hubqueue.forward.content import Unfit
from hubqueue.forward.outbound import OutboundJob
from hubqueue.forward.sinks.influx.destination import InfluxDestination
from hubqueue.forward.sinks.kafka.destination import KafkaDestination
from hubqueue.forward.sinks.kafka.records import Records
from hubqueue.forward.sinks.postgres.destination import PostgresDestination
from hubqueue.forward.sinks.postgres.rows import Rows
from hubqueue.forward.verdict import Rejected
from hubqueue.model.payload import encode
from hubqueue.pipeline.record import Refused
from support.pipelines import Bench, mistakes

FORWARDER = """
forwarders:
  - name: f
    queue: q
    to: {to}
    {section}
"""
Read = Callable[[Path, str, Any], int | None]  # folder, keys beside `time: data.t`, value: Unix ms; None: refused


def destination(folder: Path, to: str, section: str) -> Any:
    file = folder / "hubqueue.yaml"
    file.write_text(FORWARDER.format(to=to, section=section))
    return load(file, environ={}).forwarders[0].destination


def parcel(value: Any) -> OutboundJob:
    return OutboundJob("i", "n", encode({"t": value, "v": 1.0}), 1_796_072_512_000)


def refused(error: Exception) -> None:
    """It is said of the time that it cannot be read."""
    assert re.search(r"\btime: ", str(error)), error


def influx(folder: Path, keys: str, value: Any) -> int | None:
    section = f"influx: {{database: d, fields: {{v: data.v}}, time: data.t{keys}}}"
    there = destination(folder, "influx+http://h", section)
    assert isinstance(there, InfluxDestination)
    try:
        return int(there.shape.line(parcel(value), "q").rpartition(b" ")[2])
    except Unfit as error:
        return refused(error)


def postgres(folder: Path, keys: str, value: Any) -> int | None:
    there = destination(folder, "postgresql://u@h/d", f"postgres: {{table: r, time: data.t{keys}}}")
    assert isinstance(there, PostgresDestination)
    columns = [each for each in there.table.columns if each.name == "time"]
    row = Rows(columns, ["timestamptz"]).of("q", parcel(value))
    return refused(Unfit(row.reason)) if isinstance(row, Rejected) else round(row[0].timestamp() * 1000)


def kafka(folder: Path, keys: str, value: Any) -> int | None:
    there = destination(folder, "kafka://h/t", f"kafka: {{time: data.t{keys}}}")
    assert isinstance(there, KafkaDestination)
    try:
        return Records(there.form).of("q", parcel(value)).at_ms
    except Unfit as error:
        return refused(error)


def window(folder: Path, keys: str, value: Any) -> int | None:
    bench = Bench(folder, f"- window: {{every: 100ms, time: t{keys}}}")
    try:
        bench.run({"t": value}, at_ms=NEXT_YEAR_MS)
    except Refused as error:
        return refused(error)
    (group,) = bench.remembered("window")
    return int(group.latest_ms)


def flag(folder: Path, keys: str, value: Any) -> int | None:
    bench = Bench(folder, f"- flag: {{rate: {{v: {{max: 1, per: 1s}}}}, time: t{keys}}}")
    try:
        bench.run({"t": value, "v": 1})
    except Refused as error:
        return refused(error)
    (known,) = [each for each in bench.remembered("flag") if not isinstance(each, int)]
    return int(known[1]["v"][0])


SENSELESS = "makes no sense without time (time names what is read so)"
DOORS = [influx, postgres, kafka, window, flag]

NEXT_YEAR_MS = 1_830_000_000_000
MS = 1_796_075_243_000  # 2026-11-30T21:47:23Z
SAID = [
    ("", "2026-11-30T21:47:23", MS),
    ("", "2026-11-30T22:47:23+01:00", MS),
    ("", str(MS), MS),
    ("", MS // 1000, MS),
    ("", MS * 1000, MS),
    ("", "1796072512345", 1_796_072_512_345),
    (", timezone: Europe/Berlin", "2026-11-30T22:47:23", MS),
    (", timezone: Europe/Berlin", "2026-11-30T21:47:23Z", MS),
    (", timezone: America/New_York", "2026-11-30T16:47:23", MS),
    (", timezone: Europe/Berlin", "2026-07-01T12:00:00", 1_782_900_000_000),
    (", time_unit: ms", 188, 188),
    (", time_unit: s", "188.25", 188_250),
    (", time_unit: us", MS * 1000 + 7, MS),
    (", time_unit: ns, timezone: UTC", MS * 10**6, MS),
    ("", "0001-01-01", None),
    ("", "30.11.2026", None),
    ("", -5, None),
    ("", "noon", None),
    (", time_unit: s", MS, None),
    ("", True, None),
]


@pytest.mark.parametrize("read", DOORS)
@pytest.mark.parametrize(("keys", "value", "ms"), SAID, ids=str)
def test_every_door_reads_a_time_alike(tmp_path: Path, read: Read, keys: str, value: Any, ms: int | None) -> None:
    assert read(tmp_path, keys, value) == ms


@pytest.mark.parametrize("read", DOORS)
@pytest.mark.parametrize("keys", [", timezone: Mars/Base", ", timezone: Europe", ", time_unit: h", ", time_unit: 1"])
def test_a_zone_or_unit_that_is_none_is_a_mistake(tmp_path: Path, read: Read, keys: str) -> None:
    with pytest.raises(ConfigMistakes, match=keys.split(":")[0][2:]):
        read(tmp_path, keys, MS)


def test_a_unit_without_a_time_makes_no_sense(tmp_path: Path) -> None:
    for step in ("window: {every: 1s, ", "flag: {range: {v: {max: 1}}, "):
        assert set(mistakes(tmp_path, f"- {step}time_unit: s}}").values()) == {SENSELESS}
    assert mistakes(tmp_path, "- window: {every: 1d, timezone: Europe/Berlin}") == {}
    for to, kind in (("influx+http://h", "influx: {database: d, "), ("kafka://h/t", "kafka: {")):
        with pytest.raises(ConfigMistakes, match="timezone: makes no sense without time"):
            destination(tmp_path, to, f"{kind}timezone: UTC}}")


def test_a_column_has_a_format_of_its_own_and_the_hubs_time_needs_none(tmp_path: Path) -> None:
    section = """postgres:
      table: r
      time_unit: s
      timezone: Europe/Berlin
      columns:
        seen: {from: data.seen, type: timestamptz, time_unit: us}
        due: {from: data.due, type: date}
        made: {from: at_ms, type: timestamptz}"""
    there = destination(tmp_path, "postgresql://u@h/d", section)
    columns = there.table.columns
    data = {"seen": 188_000_000, "due": "2026-11-30"}
    row = Rows(columns, ["text", "timestamptz", "timestamptz", "date", "timestamptz"]).of(
        "q", OutboundJob("i", "n", encode(data), MS)
    )
    assert not isinstance(row, Rejected), row
    assert [column.name for column in columns] == ["id", "time", "seen", "due", "made"]
    assert [round(row[at].timestamp() * 1000) for at in (1, 2, 4)] == [MS, 188_000, MS]
    assert row[3].isoformat() == "2026-11-30"
