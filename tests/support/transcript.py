"""Transcripts of the protocol: what is sent and what must come back, a JSON line each.

{"send": message} and {"expect": message}, each with an optional "conn" (default "a"); {"note": text} is for readers.
In a message: "$name" as a whole value stands for what was there when it was first met in an expectation;
"$*" for anything; "$time" for a float64 within a minute of now; {"$undefined": 1}, {"$nan": 1}, {"$bytes": hex}
for what JSON cannot say. A map with "..." may have more keys than are named; any other must match exactly.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import msgspec

Line = dict[str, Any]
CLOSE_TO_NOW_MS = 60_000


def lines(path: Path) -> list[Line]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def to_send(value: Any, known: dict[str, Any]) -> Any:
    """The value with placeholders filled in."""
    if isinstance(value, str) and value.startswith("$"):
        return known[value]
    if isinstance(value, list):
        return [to_send(item, known) for item in value]
    if isinstance(value, dict):
        if "$undefined" in value:
            return msgspec.msgpack.Ext(0, b"\0")
        if "$nan" in value:
            return math.nan
        if "$bytes" in value:
            return bytes.fromhex(value["$bytes"])
        return {key: to_send(item, known) for key, item in value.items()}
    return value


def check(wanted: Any, found: Any, known: dict[str, Any], path: str = "$") -> None:
    """AssertionError where the message is not what the transcript says."""
    if isinstance(wanted, str) and wanted.startswith("$"):
        _check_placeholder(wanted, found, known, path)
    elif isinstance(wanted, dict) and "$bytes" in wanted:
        assert found == bytes.fromhex(wanted["$bytes"]), path
    elif isinstance(wanted, dict):
        assert isinstance(found, dict), f"{path}: {found!r} is no map"
        names = {key for key in wanted if key != "..."}
        if "..." in wanted:
            assert names <= set(found), f"{path}: missing {sorted(names - set(found))} in {found}"
        else:
            assert names == set(found), f"{path}: keys {sorted(found)} instead of {sorted(names)}: {found}"
        for key in names:
            check(wanted[key], found[key], known, f"{path}.{key}")
    elif isinstance(wanted, list):
        assert isinstance(found, list | tuple), f"{path}: {found!r} is no list"
        assert len(wanted) == len(found), f"{path}: {found!r} instead of {wanted!r}"
        for at, (want, item) in enumerate(zip(wanted, found, strict=True)):
            check(want, item, known, f"{path}[{at}]")
    else:
        assert found == wanted, f"{path}: {found!r} instead of {wanted!r}"
        assert isinstance(found, bool) == isinstance(wanted, bool), f"{path}: {found!r} instead of {wanted!r}"


def _check_placeholder(name: str, found: Any, known: dict[str, Any], path: str) -> None:
    if name == "$*":
        return
    if name == "$time":
        assert isinstance(found, float), f"{path}: a time must be a float64, not {found!r}"
        assert abs(found - time.time() * 1000) < CLOSE_TO_NOW_MS, f"{path}: {found} is not about now"
        return
    assert found == known.setdefault(name, found), f"{path}: {found!r} instead of {name} = {known[name]!r}"
