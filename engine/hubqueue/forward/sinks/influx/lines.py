"""Line protocol: one job, one point. Pure.

A field that is a whole number now and none the next time would be two types, of which the server refuses the second:
numbers are written as floats unless the configuration asks for integers.
Source: InfluxDB, "Line protocol reference" (1.8, 2.7 and 3 agree), and the escapes of its official clients.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from hubqueue.expression import MISSING, ExpressionFailed, Text, Value, as_text
from hubqueue.forward.content import Unfit, data_of, names_of
from hubqueue.forward.outbound import OutboundJob
from hubqueue.model import moment
from hubqueue.model.moment import NoTime, TimeFormat
from hubqueue.wire.jsondata import plain

Precision = Literal["ns", "us", "ms", "s"]

PER_SECOND: Final[dict[Precision, int]] = {"ns": 10**9, "us": 10**6, "ms": 1000, "s": 1}
LOWEST, HIGHEST = -(2**63), 2**63 - 1
MAX_TEXT_BYTES: Final = 65_536  # of one field: above it the server refuses the point

_BREAKS: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}  # a line break in a name would begin another point
_OF_MEASUREMENT: Final = str.maketrans({",": "\\,", " ": "\\ ", **_BREAKS})
_OF_KEY: Final = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ ", **_BREAKS})
_OF_TEXT: Final = str.maketrans({'"': '\\"', "\\": "\\\\"})


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a job goes where. fields None: all that is no tag. time None: when the job was made.

    times: how a time is written.
    """

    measurement: Text
    tags: Mapping[str, Value] = field(default_factory=dict)
    fields: Mapping[str, Value] | None = None
    time: Value | None = None
    times: TimeFormat = moment.DEFAULT
    precision: Precision = "ms"
    integers: bool = False

    def line(self, parcel: OutboundJob, queue: str) -> bytes:
        """The point of this job, without a line break. Errors: Unfit."""
        data = data_of(parcel)
        names = names_of(parcel, queue, data)
        try:
            measurement = _measurement(_named(self.measurement, names))
            tags = "".join(_tag(key, _of(value, names, key)) for key, value in sorted(self.tags.items()))
            time = self._time(parcel, names)
            fields = self._fields(data, names)
        except ExpressionFailed as error:
            raise Unfit(str(error)) from error
        pairs = ",".join(f"{_key(key, 'field')}={_value(key, value, self.integers)}" for key, value in fields.items())
        if not pairs:
            raise Unfit("there is no field in it")
        return f"{measurement}{tags} {pairs} {time}".encode(errors="replace")

    def _fields(self, data: Any, names: dict[str, Any]) -> dict[str, Any]:
        if self.fields is not None:
            found = {key: _of(value, names, key) for key, value in self.fields.items()}
        elif isinstance(data, dict):
            found = _flat(data)
            for key in (*self.tags, "time"):
                found.pop(key, None)
        else:
            found = {"value": data}
        return {key: value for key, value in found.items() if value is not None}

    def _time(self, parcel: OutboundJob, names: dict[str, Any]) -> int:
        per_s = PER_SECOND[self.precision]
        if self.time is None:
            count = parcel.at_ms * per_s // 1000
        else:
            value = _of(self.time, names, "time")
            if value is None:
                raise Unfit(f"time: {self.time.lack(names)}")
            try:
                count = self.times.ns(value) * per_s // 10**9
            except NoTime as error:
                raise Unfit(f"time: {error}") from error
        if not LOWEST < count * (10**9 // per_s) < HIGHEST:
            raise Unfit("time: beyond the years 1677 to 2262")
        return count


def _of(value: Value, names: dict[str, Any], key: str) -> Any:
    """None for what is not there."""
    try:
        found = value.of(names)
    except ExpressionFailed as error:
        raise Unfit(f"{key}: {error}") from error
    return None if found is MISSING else found


def _flat(data: dict[Any, Any], before: str = "") -> dict[str, Any]:
    """Maps in maps become names with an underscore. Errors: Unfit for a list."""
    found: dict[str, Any] = {}
    for key, value in data.items():
        name = f"{before}{as_text(key)}"
        if isinstance(value, dict):
            found |= _flat(value, f"{name}_")
        elif isinstance(value, list):
            raise Unfit(f"{name}: a list is no field; say which fields there are")
        else:
            found[name] = value
    return found


def _named(measurement: Text, names: dict[str, Any]) -> str:
    try:
        return measurement.render(names)
    except ExpressionFailed as error:
        raise Unfit(f"no measurement: {error}") from error


def _measurement(name: str) -> str:
    if not name or name.startswith("#"):
        raise Unfit(f"{name!r} cannot name a measurement")
    return _sound(name.translate(_OF_MEASUREMENT), "measurement")


def _tag(key: str, value: Any) -> str:
    """With the comma before it; nothing for a value that is not there, as a tag cannot be empty."""
    if value is None or value == "":
        return ""
    if isinstance(value, list | dict | bytes):
        raise Unfit(f"{key}: a tag is text or a number")
    try:
        text = as_text(value)
    except ExpressionFailed as error:
        raise Unfit(f"{key}: {error}") from error
    return f",{_key(key, 'tag')}={_sound(text.translate(_OF_KEY), key)}"


def _key(key: str, what: str) -> str:
    if not key:
        raise Unfit(f"a {what} needs a name")
    return _sound(key.translate(_OF_KEY), key)


def _sound(text: str, what: str) -> str:
    if text.endswith("\\"):  # it would take the sign behind it for its own, and nothing escapes it
        raise Unfit(f"{what}: a name or tag cannot end with a backslash")
    return text


def _value(key: str, value: Any, integers: bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if not LOWEST <= value <= HIGHEST:
            raise Unfit(f"{key}: an integer beyond 64 bits")
        return f"{value}i" if integers else repr(float(value))
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Unfit(f"{key}: it is not a finite number")
        return repr(value)
    if isinstance(value, list | dict | bytes):
        raise Unfit(f"{key}: a field is a number, a text, true or false")
    text = str(plain(value))
    if len(text.encode(errors="replace")) > MAX_TEXT_BYTES:
        raise Unfit(f"{key}: a text above {MAX_TEXT_BYTES} bytes", "payload_too_large")
    return f'"{text.translate(_OF_TEXT)}"'
