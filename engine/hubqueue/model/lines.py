"""The one reader of text that comes in lines: plain lines, JSON lines and CSV, from bytes or from a file that is open.

Every door that takes such text uses it, so the same file means the same everywhere. A line ends with LF, CRLF or CR
and with nothing else; it is read when it is asked for, so a file may be larger than the memory. What comes out has
the number of its line, counted from 1; what is wrong says it.
Source: RFC 4180 (CSV); https://jsonlines.org.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final

from hubqueue.errors import Invalid, Undecodable
from hubqueue.model.cells import Column, read_column
from hubqueue.model.encoding import NAME_IT, UTF_8, UTF_8_MARK, shown
from hubqueue.model.jsontext import read_json

MAX_LINE_CHARS: Final = 16 * 1024 * 1024  # more than a job can carry
DELIMITERS: Final = (",", ";", "\t", "|", " ")

csv.field_size_limit(MAX_LINE_CHARS)  # its own limit is 128 kB; it is the process's, and nobody else uses csv


def lines(source: bytes | BinaryIO, codec: str = UTF_8) -> Iterator[tuple[int, str]]:
    """Each line without its end. Errors: Undecodable, when the line is reached."""
    for number, line in enumerate(_whole(source, codec), 1):
        yield number, line.removesuffix("\n").removesuffix("\r")


def byte_lines(source: bytes | BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Each line of a text in UTF-8 without its end, as its bytes: for who reads on behind a line that is wrong."""
    for number, line in enumerate(_whole(source, UTF_8, strict=False), 1):
        yield number, line.removesuffix("\n").removesuffix("\r").encode(errors="surrogateescape")


def json_lines(source: bytes | BinaryIO, *, nan_is_null: bool = False) -> Iterator[tuple[int, object]]:
    """The value of each line that is not blank. Errors: Undecodable, when the line is reached."""
    for number, line in byte_lines(source):
        if line.strip():
            try:
                yield number, read_json(line, nan_is_null=nan_is_null)
            except Undecodable as error:
                raise at_line(number, error) from error


def csv_rows(
    source: bytes | BinaryIO,
    codec: str = UTF_8,
    *,
    columns: Sequence[str] = (),
    delimiter: str = ",",
    key: str | None = None,
    nan_is_null: bool = False,
) -> Iterator[tuple[int, dict[str, object]]]:
    """Each row by the names of its columns, with the number of the line in which it begins; blank lines are no rows.

    columns: of text without a line of names. key: a column that has to be there, and that stays text.
    Errors: Invalid for columns that cannot be; Undecodable, when the row is reached.
    """
    rows = csv_cells(source, codec, delimiter=delimiter)
    named = columns or [name.strip() for name in next(rows, (0, []))[1]]
    read = columns_of(named, nan_is_null)
    if key is not None:
        at = next((index for index, each in enumerate(read) if each.name == key), None)
        if at is None:
            raise Invalid(f"there is no column {key!r}", hint=f"there are {', '.join(named)}" if named else "")
        read[at] = Column(key, str)
    for number, cells in rows:
        try:
            yield number, row_of(cells, read)
        except Undecodable as error:
            raise at_line(number, error) from error


def csv_cells(source: bytes | BinaryIO, codec: str = UTF_8, *, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """The cells of each row as they are. Errors: Undecodable."""
    # a blank before a quoted cell is not in it; between cells that blanks part, it is an empty cell
    reader = csv.reader(_whole(source, codec), delimiter=delimiter, strict=True, skipinitialspace=delimiter != " ")
    number = 1
    try:
        for cells in reader:
            if any(cells) or (len(cells) > 1 and delimiter != " "):
                yield number, cells
            number = reader.line_num + 1
    except csv.Error as error:
        raise at_line(number, Undecodable(f"is not CSV: {error}")) from error


def columns_of(names: Sequence[str], nan_is_null: bool = False) -> list[Column]:
    """The columns that `name`, `name:number` and `name:text` stand for. Errors: Invalid."""
    read = [read_column(name, nan_is_null=nan_is_null) for name in names]
    twice = {column.name for column in read if sum(each.name == column.name for each in read) > 1}
    if twice:
        raise Invalid(f"csv columns must have different names: {', '.join(sorted(twice))} is there twice")
    return read


def row_of(cells: Sequence[str], columns: Sequence[Column]) -> dict[str, object]:
    """The values of one row. Errors: Undecodable."""
    if len(cells) != len(columns):
        raise Undecodable(f"has {len(cells)} values for {len(columns)} columns")
    row: dict[str, object] = {}
    for (name, read), cell in zip(columns, cells, strict=True):
        try:
            row[name] = read(cell.strip(" \t"))
        except Undecodable as error:
            raise Undecodable(f"column {name}: {error.message}", hint=error.hint) from error
    return row


def _whole(source: bytes | BinaryIO, codec: str, *, strict: bool = True) -> Iterator[str]:
    """Lines with their ends. Wrong bytes are found by line: until then they are carried as half characters."""
    start = source[:3] if isinstance(source, bytes) else getattr(source, "peek", lambda count: b"")(3)[:3]
    if start == UTF_8_MARK:
        codec = UTF_8
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    wrapper = io.TextIOWrapper(file, encoding=codec, errors="surrogateescape", newline="")
    number = 1
    try:
        while line := wrapper.readline(MAX_LINE_CHARS):
            if number == 1:
                line = line.removeprefix("\ufeff")
            if len(line) == MAX_LINE_CHARS:
                raise at_line(number, Undecodable("is too long", hint="one job carries at most 10 MB"))
            if strict and not line.isascii():
                line.encode()
            yield line
            number += 1
    except UnicodeError as error:
        raise at_line(number, Undecodable(f"is not valid {shown(codec)}", hint=NAME_IT)) from error
    finally:
        wrapper.detach()


def at_line(number: int, error: Undecodable) -> Undecodable:
    """The error with its place."""
    return Undecodable(f"line {number}: {error.message}", hint=error.hint)
