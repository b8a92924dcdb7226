"""The options of a job: what may be said of it in an action, and how the hub is told.

All of it is made from the hub's own table (table.py): names, kinds, bounds, and what they are called on the wire. What
the hub would refuse is refused here too: while it is away nobody is there to be told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import probatio as vol
from homeassistant.helpers import config_validation as cv
from homeassistant.util import dt as dt_util

from .durations import SPAN_KEYS, milliseconds, within
from .errors import HubError
from .fields import folded, only
from .table import OPTIONS, Row

ROWS: Final[Mapping[str, Row]] = {row["name"]: row for row in OPTIONS if "home_assistant" not in row["absent"]}
NAME_CHARS: Final = 256
PARENT_KEYS: Final = {"id": "__parentId", "queue": "__parentQueue"}  # where the data of a job name its parent
RESERVED: Final = "__"


def _text(low: int, high: int) -> vol.All[Any]:
    return vol.All(cv.string, vol.Length(low, high), _well_formed)


def _well_formed(text: str) -> str:
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise vol.Invalid("holds half a character (a lone surrogate)")
    return text


def _whole(value: Any) -> int:
    number: float = vol.Coerce(float)(value)
    if isinstance(value, bool) or not number.is_integer():
        raise vol.Invalid("must be a whole number")
    return int(number)


def _moment(value: Any) -> datetime:
    """A time as Home Assistant writes it, or Unix seconds."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return dt_util.utc_from_timestamp(value)
        if isinstance(value, str):
            _well_formed(value)  # such text ends the whole process where Home Assistant reads times
        return dt_util.as_utc(cv.datetime(value))
    except (ValueError, OverflowError, OSError) as error:
        raise vol.Invalid("must be a time") from error


def _validator(row: Row) -> Any:
    """What the value of an option must be."""
    match row["kind"]:
        case "integer":
            return vol.All(_whole, vol.Range(row["min"], row["max"]))
        case "number":
            return vol.All(vol.Coerce(float), vol.Range(row["min"], row["max"]))
        case "duration":
            return within(*(timedelta(milliseconds=row[end]) for end in ("min", "max")))
        case "time":
            low, high = (dt_util.utc_from_timestamp(row[end] / 1000) for end in ("min", "max"))
            return vol.All(_moment, vol.Range(low, high))
        case "boolean":
            return cv.boolean
        case "text":
            return _text(row["min"], row["max"])
        case "texts":
            return vol.All(cv.ensure_list, vol.Length(max=row["max"]), [_text(1, row["maxLength"])])
        case "choice":
            return vol.In([choice["name"] for choice in row["choices"]])
    parts = {(vol.Required if part["required"] else vol.Optional)(part["name"]): part for part in row["parts"]}
    on_the_wire = {folded(part["wire"]): part["name"] for part in row["parts"]}
    return vol.All(_in_full(row), only({key: _validator(part) for key, part in parts.items()}, on_the_wire))


def _in_full(row: Row) -> Callable[[Any], Any]:
    """A map that was said by its short part alone, as a map. A duration may be a map itself."""
    short = next((part for part in row["parts"] if part["name"] == row["short"]), None)

    def read(value: Any) -> Any:
        if short is None:
            return value
        is_span = short["kind"] == "duration" and isinstance(value, Mapping) and value.keys() <= SPAN_KEYS
        return {short["name"]: value} if is_span or not isinstance(value, Mapping) else value

    return read


def _names_elsewhere() -> Iterator[tuple[str, str]]:
    """What options are called in JSON and on the wire, and parts by themselves."""
    for name, row in ROWS.items():
        for part in row.get("parts", ()):
            yield from ((folded(part[key]), f"{name}: {{{part['name']}: ...}}") for key in ("name", "json", "wire"))
    for name, row in ROWS.items():
        yield from ((folded(row[key]), name) for key in ("name", "json", "wire"))


FIELDS: Final[dict[Any, Any]] = {vol.Optional(name): _validator(row) for name, row in ROWS.items()}
ELSEWHERE: Final = dict(_names_elsewhere())
JOB_NAME: Final = _text(1, NAME_CHARS)
GROUP: Final = FIELDS["group"]
DEDUP_KEY: Final = _validator(next(part for part in ROWS["dedup"]["parts"] if part["name"] == "key"))


def check(given: Mapping[str, Any]) -> None:
    """What must hold between options. Errors: HubError."""
    for name, row in ROWS.items():
        if name in given and row["needs"] is not None and row["needs"] not in given:
            raise HubError("invalid", f"{name} needs {row['needs']} too")
    if "group" in given:
        if given.get("priority", 0) < 0:
            raise HubError("invalid", "a job of a group has no priority below 0")
        if "\0" in given["group"]:
            raise HubError("invalid", "group has characters that are no text")
    wait = due_in(given)
    for name in ("keep_trying", "ttl"):
        if wait and name in given and given[name] <= wait:
            raise HubError("invalid", f"{name} ({given[name]}) ends before the job is due (in {wait})")


def due_in(given: Mapping[str, Any]) -> timedelta:
    """How long a job waits first."""
    run_at: datetime | None = given.get("run_at")
    if run_at is not None:
        return max(timedelta(), run_at - dt_util.utcnow())
    delay: timedelta = given.get("delay", timedelta())
    return delay


def to_hub(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options among these fields, as PUSHB takes them."""
    told: dict[str, Any] = {}
    for name, row in ROWS.items():
        if name in given:
            told |= _told(row, given[name])
    return told


def with_parent(data: Any, parent: Mapping[str, str]) -> dict[str, Any]:
    """The data of a job, with its parent in them. Errors: HubError."""
    if data is not None and not isinstance(data, dict):
        raise HubError("invalid", "data must be an object: the parent is written into it")
    if taken := [key for key in data or {} if str(key).startswith(RESERVED)]:
        raise HubError("invalid", f"data may not have {taken[0]}: such names tie jobs together")
    return {**(data or {}), **{PARENT_KEYS[part]: value for part, value in parent.items()}}


def _told(row: Row, value: Any) -> dict[str, Any]:
    wire: str = row["wire"]
    match row["kind"]:
        case "duration":
            return {wire: milliseconds(value)}
        case "time":
            return {wire: round(value.timestamp() * 1000)}
        case "choice":
            chosen: str = next(choice["wire"] for choice in row["choices"] if choice["name"] == value)
            return {wire: chosen} if chosen == value else {chosen: True}  # a flag of its own
        case "map":
            parts: dict[str, Any] = {}
            for part in row["parts"]:
                if part["name"] in value:
                    parts |= _told(part, value[part["name"]])
            if wire == row["json"]:
                return {wire: parts}
            key = parts.pop(row["short"] or "id")  # the key, and what there is to say of it; or an id alone
            return {wire: key} | ({row["json"]: parts} if row["short"] and parts else {})
    return {wire: value}
