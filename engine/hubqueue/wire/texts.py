"""The protocol's words for what a strict decoder found wrong.

Clients were written against these texts; msgspec's own name types that mean nothing on the wire.
Source: docs/protocol.md, "Errors".
"""

from __future__ import annotations

import re
from typing import Final

_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]+)`")
_RANGE = re.compile(r"Expected `(?:int|float)[^`]*` (?P<sign>>=|<=) (?P<bound>-?[\d.e+]+)")
_TYPE = re.compile(r"Expected `(?P<wanted>[^`]+)`")
_LENGTH = re.compile(r"Expected `(?P<kind>str|bytes|array|object)[^`]*` of length (?P<sign>>=|<=) (?P<bound>\d+)")
_FORM = re.compile(r"Expected `str` matching regex (?P<form>'[^`]*?')(?: - at |\Z)")
_PATH = re.compile(r" - at `(?:key in )?\$\.?(?P<path>[^`]*)`\Z")

REPEAT_EVERY: Final = "Cron repeatEvery must be a positive safe integer number of milliseconds"

_OWN: Final = {  # fields with a text of their own, whatever is wrong with them
    "name": "Job name must be a non-empty string of at most 256 characters",
    "queue": "Queue name is required",
    "backoff.type": "backoff.type must be 'fixed' or 'exponential'",
    "repeatEvery": REPEAT_EVERY,
    "repeat.every": "repeat.every must be a positive finite number",
    "repeat.startDate": "repeat.startDate must be a finite timestamp",
    "repeat.endDate": "repeat.endDate must be a finite timestamp",
    "repeat.prevMillis": "repeat.prevMillis must be a finite timestamp",
    "repeat.offset": "repeat.offset must be a finite timestamp",
    "tags": "tags must be an array of strings of at most 256 characters",
}
_HOLDS: Final = {"str": "be", "bytes": "be"}  # a text is so long, a list has so many
_COUNTED: Final = {"str": "characters", "bytes": "bytes", "array": "entries", "object": "names"}
_WANTED: Final = (
    ("int", "a number"),
    ("float", "a number"),
    ("bool", "a boolean"),
    ("object", "an object"),
    ("array", "an array"),
    ("str", "a string"),
    ("bytes", "binary"),
)


def protocol_text(message: str) -> str:
    """The protocol's text for a msgspec ValidationError."""
    path = _path(message)
    missing = _MISSING.match(message)
    if missing:
        path = f"{path}.{missing['field']}" if path else missing["field"]
    entry, field = _split(path)
    own = _OWN.get(re.sub(r"\[.*", "", field))
    if own is not None:
        return entry + own
    if missing:
        return f"{entry}{field} is required"
    return f"{entry}{field} {_complaint(message)}"


def field_text(message: str) -> str:
    """What is wrong, in words that name the field where one is named: of JSON that people write."""
    unknown = re.search(r"unknown field `([^`]+)`", message)
    if unknown:
        entry, _ = _split(f"{_path(message)}.")
        return f"{entry}there is no field {unknown[1][:100]!r}" if entry else f"There is no field {unknown[1][:100]!r}"
    return protocol_text(message) if " - at `" in message or "required field" in message else message.replace("`", "")


def _path(message: str) -> str:
    """Where something is wrong; empty at the top."""
    found = _PATH.search(message)
    return found["path"] if found else ""


def _split(path: str) -> tuple[str, str]:
    """`jobs[3].backoff.type` -> (`jobs[3]: `, `backoff.type`)."""
    at = path.rfind("].")
    return ("", path) if at < 0 else (f"{path[: at + 1]}: ", path[at + 2 :])


def _complaint(message: str) -> str:
    limit = _RANGE.match(message)
    if limit:
        bound = limit["bound"].removesuffix(".0")
        return f"must be at {'least' if limit['sign'] == '>=' else 'most'} {bound}"
    length = _LENGTH.match(message)
    if length:
        most = "least" if length["sign"] == ">=" else "most"
        return f"must {_HOLDS.get(length['kind'], 'have')} at {most} {length['bound']} {_COUNTED[length['kind']]}"
    form = _FORM.match(message)
    if form:
        return f"is not valid: it must match {form['form']}"
    wanted = _TYPE.match(message)
    if wanted is None:
        return "is not valid"
    return "must be " + next((words for kind, words in _WANTED if kind in wanted["wanted"]), "something else")
