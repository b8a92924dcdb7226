"""A table of devices, or of anything that has a key: a CSV or YAML file that is read again when it changes.

Rule: a new file that cannot be used never replaces the one before; what is wrong with it is said once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from hubqueue.errors import HubqueueError, Invalid, Undecodable
from hubqueue.expression import ExpressionFailed, as_text
from hubqueue.model import payload
from hubqueue.model.encoding import text_of
from hubqueue.model.lines import csv_rows

_log = logging.getLogger(__name__)

_LOOK_EVERY_S: Final = 1.0
_MAX_BYTES: Final = 32 * 1024 * 1024  # the whole table is kept in memory
Rows = Mapping[str, Mapping[str, Any]]


class Table:
    """column: the one that holds the key; a YAML file may have the keys as its own. Errors: Invalid."""

    def __init__(self, file: Path, column: str) -> None:
        self._file: Final = file
        self._column: Final = column
        self._seen = _stamp(file)
        self._looked_s = time.monotonic()
        self.rows: Rows = read_table(file, column)

    async def refresh(self) -> None:
        """Read the file again when it is another one; it is looked at once a second at most."""
        now = time.monotonic()
        if now < self._looked_s + _LOOK_EVERY_S:
            return
        self._looked_s = now
        stamp = _stamp(self._file)
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self.rows = await asyncio.to_thread(read_table, self._file, self._column)
            _log.info("table read again file=%s rows=%d", self._file, len(self.rows))
        except HubqueueError as error:
            _log.warning("table cannot be used, the one before is kept: %s file=%s", error, self._file)


def read_table(file: Path, column: str) -> Rows:
    """The rows by key. Errors: Invalid."""
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise Invalid(f"table {file.name} is larger than {_MAX_BYTES // 1024 // 1024} MB")
        content = file.read_bytes()
    except OSError as error:
        raise Invalid(f"table {file.name} cannot be read: {error.strerror}") from error
    try:
        return _by_key(file, content, column)
    except Undecodable as error:  # its hint names an option of rules, which a table has not
        raise Invalid(f"table {file.name}, {error.message}") from error


def _by_key(file: Path, content: bytes, column: str) -> Rows:
    rows: dict[str, Mapping[str, Any]] = {}
    for place, key, row in _csv(content, column) if file.suffix.lower() == ".csv" else _yaml(content, column):
        if not key:
            raise Invalid(f"table {file.name}, {place}: has no {column}")
        if key in rows:
            raise Invalid(f"table {file.name}, {place}: {column} {key!r} is there already")
        try:
            payload.encode(row)
        except Invalid as error:
            raise Invalid(f"table {file.name}, {place}: {error.message}", hint=error.hint) from error
        rows[key] = row
    return rows


def _csv(content: bytes, column: str) -> Iterable[tuple[str, str, dict[str, Any]]]:
    """A line of names, then a row for each key. Cells are read as those of rules: numbers where they look like one."""
    for number, row in csv_rows(content, key=column):
        yield f"line {number}", str(row[column]), row


def _yaml(content: bytes, column: str) -> Iterable[tuple[str, str, dict[str, Any]]]:
    """Keys with their fields, or a list of maps of which each has the key."""
    try:
        read = yaml.load(text_of(content), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Invalid(f"the table is not YAML: {error}") from error
    if isinstance(read, list):
        pairs = [(row.get(column) if isinstance(row, dict) else None, row) for row in read]
    elif isinstance(read, dict):
        pairs = list(read.items())
    else:
        raise Invalid("the table holds no rows", hint=f"write '- {column}: ...' or keys with their fields")
    for number, (key, row) in enumerate(pairs, 1):
        place = f"row {number}"
        if not isinstance(row, dict):
            raise Invalid(f"{place}: must hold keys and values")
        yield place, _key(key), row


def _key(value: Any) -> str:
    """As expressions write it: true for True, 5 for 5.0. Empty for what no expression can name."""
    try:
        return "" if value is None else as_text(value)
    except ExpressionFailed:
        return ""


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
