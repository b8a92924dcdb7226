"""InfluxDB: influx+http:// and influx+https://, with the section `influx`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from hubqueue.config import checks
from hubqueue.config.checks import Check
from hubqueue.config.destinations.http import login_keys, signed_in
from hubqueue.config.destinations.kind import Given, Kind
from hubqueue.config.mistakes import Wrong
from hubqueue.config.timeformat import TIME_KEYS, with_times
from hubqueue.expression import Text, Value
from hubqueue.forward.content import NAMES
from hubqueue.forward.sinks.http.endpoint import Endpoint
from hubqueue.forward.sinks.influx.destination import InfluxDestination, write_1, write_2
from hubqueue.forward.sinks.influx.lines import Shape
from hubqueue.model import moment

SECTION: Final = "influx"
_PREFIX: Final = "influx+"
_RESERVED: Final = "time"  # of every point: as a tag or field it would be lost in silence


def _keys(base: Path) -> Mapping[str, Check]:
    keys: dict[str, Check] = {
        "database": checks.text,
        "retention_policy": checks.text,
        "bucket": checks.text,
        "org": checks.text,
        "measurement": checks.from_engine(lambda value: Text(checks.text(value), NAMES)),
        "tags": _values,
        "fields": _values,
        "time": _value,
        **TIME_KEYS,
        "precision": checks.choice("ns", "us", "ms", "s"),
        "integers": checks.boolean,
        "gzip": checks.boolean,
        **login_keys(base),
    }
    return {SECTION: checks.Section(keys, build=with_times)}


def _build(given: Given, clean: Mapping[str, Any]) -> InfluxDestination:
    section = clean.get(SECTION, {})
    if ("database" in section) == ("bucket" in section):
        hint = "database is for InfluxDB 1, bucket for 2 and 3"
        raise Wrong("needs either database or bucket", hint=hint, path=[SECTION])
    for key, beside in (("retention_policy", "database"), ("org", "bucket")):
        if key in section and beside not in section:
            raise Wrong(f"makes no sense without {beside}", path=[SECTION, key])
    precision = section.get("precision", "ms")
    if "database" in section:
        store = section["database"]
        path, query = write_1(store, section.get("retention_policy"), precision)
    else:
        store = section["bucket"]
        path, query = write_2(store, section.get("org"), precision)
    endpoint = signed_in(Endpoint.from_url(given.to.removeprefix(_PREFIX), tls=given.tls), section, SECTION)
    parts = urlsplit(endpoint.address)
    if parts.query:
        raise Wrong("must hold no query", hint="database, bucket, org and precision are keys of influx", path=["to"])
    address = parts._replace(path=parts.path.rstrip("/") + path, query=query).geturl()
    shape = Shape(
        section.get("measurement", Text("{{ queue }}")),
        section.get("tags", {}),
        section.get("fields"),
        section.get("time"),
        section.get("times", moment.DEFAULT),
        precision,
        section.get("integers", False),
    )
    signed = replace(endpoint, address=address, url=endpoint.url.rstrip("/"), scheme="Token")
    return InfluxDestination(signed, store, shape, section.get("gzip", False), given.write_timeout_s)


def _value(value: Any) -> Value:
    made: Value = checks.from_engine(lambda text: Value(checks.text(text), NAMES))(value)
    return made


def _values(value: Any) -> dict[str, Value]:
    """A list of keys of the data, or names and what they are worked out from."""
    named = {key: f"data[{key!r}]" for key in checks.Each(checks.text)(value)} if isinstance(value, list) else value
    made: dict[str, Value] = checks.Named(_name, _value)(named)
    return made


def _name(value: Any) -> str:
    text = checks.text(value)
    if text == _RESERVED:
        raise Wrong("is the name of a point's own time", value, hint="give it another name, or use the key time")
    return text


INFLUX: Final = Kind(
    {"influx+https": True, "influx+http": False}, _keys, checks.url("influx+https", "influx+http"), _build
)
