"""A table of devices, or of anything that has a key: a CSV or YAML file that is read again when it changes.

Rule: a new file that cannot be used never replaces the one before; what is wrong with it is said once.
"""

from __future__ import annotations

import asyncio
import csv
import io
import logging
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from hubqueue.errors import HubqueueError, Invalid
from hubqueue.model import payload
from hubqueue.model.cells import Column, read_column

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
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise Invalid(f"table {file.name} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Invalid(f"table {file.name} is not UTF-8 text", hint="save it as UTF-8") from error
    rows: dict[str, Mapping[str, Any]] = {}
    for place, key, row in _csv(text, column) if file.suffix.lower() == ".csv" else _yaml(text, column):
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


def _csv(text: str, column: str) -> Iterable[tuple[str, str, dict[str, Any]]]:
    """A line of names, then a line for each key. Cells are read as those of rules: numbers where they look like one."""
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        head = [read_column(name.strip()) for name in next(lines, [])]
        names = [each.name for each in head]
        if column not in names:
            raise Invalid(f"the table has no column {column!r}", hint=f"it has {', '.join(names)}" if names else "")
        if len(set(names)) < len(names):
            raise Invalid("the table has two columns of the same name")
        at = names.index(column)
        head[at] = Column(column, str)
        for cells in lines:
            place = f"line {lines.line_num}"
            if not cells:
                continue
            if len(cells) != len(head):
                raise Invalid(f"{place}: has {len(cells)} values, the first line names {len(head)}")
            try:
                row = {each.name: each.read(cell.strip()) for each, cell in zip(head, cells, strict=True)}
            except HubqueueError as error:
                raise Invalid(f"{place}: {error.message}", hint=error.hint) from error
            yield place, cells[at].strip(), row
    except csv.Error as error:
        raise Invalid(f"line {lines.line_num}: is not CSV: {error}") from error


def _yaml(text: str, column: str) -> Iterable[tuple[str, str, dict[str, Any]]]:
    """Keys with their fields, or a list of maps of which each has the key."""
    try:
        read = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
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
        yield place, "" if key is None else str(key), row


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
