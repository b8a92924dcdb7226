"""A row of the table from a parcel: each column's expression, and its value as the type of the column takes it.

A column of type jsonb takes whatever a job can carry, as the JSON doors do (engine-rules 27). Any other takes what
fits: the job is refused otherwise, never cut, rounded or guessed at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec

from hubqueue.errors import ProtocolError
from hubqueue.expression import MISSING, Value, as_text
from hubqueue.forward.content import NAMES, Unfit, names_of, own_fault
from hubqueue.forward.outbound import OutboundJob
from hubqueue.forward.sinks.postgres.table import Column
from hubqueue.forward.verdict import Rejected
from hubqueue.model.cells import read_number
from hubqueue.model.moment import TimeFormat
from hubqueue.model.payload import decode
from hubqueue.wire.jsondata import plain, readable

Read = Callable[[Any], Any]

MAX_REAL: Final = 3.4028235e38

_json: Final = msgspec.json.Encoder().encode


class Rows:
    """Makes the rows. kinds: the type of each column, as the server calls it."""

    def __init__(self, columns: Sequence[Column], kinds: Sequence[str]) -> None:
        self._cells = [
            (column, Value(column.source, NAMES), _reader(kind, column.times))
            for column, kind in zip(columns, kinds, strict=True)
        ]
        self.unread: Final = [  # (place, name) of columns whose values go to the driver as they are
            (place, column.name) for place, (column, _, read) in enumerate(self._cells) if read is _as_it_is
        ]

    def of(self, queue: str, parcel: OutboundJob) -> tuple[Any, ...] | Rejected:
        """The row, in the order of the columns, or why there is none."""
        try:
            data = decode(parcel.data)
        except ProtocolError:
            data = readable(parcel.data)
        values = names_of(parcel, queue, data)
        row = []
        for column, source, read in self._cells:
            try:
                row.append(_cell(column, source, read, values))
            except Exception as error:
                found = own_fault(error)
                return Rejected(found.code, f"column {column.name}: {found.reason}")
        return tuple(row)


def _cell(column: Column, source: Value, read: Read, values: Mapping[str, object]) -> Any:
    value = source.of(values)
    if value is None or value is MISSING:
        if column.required:
            raise Unfit(source.lack(values))
        return None
    return read(value)


def _whole(bits: int) -> Read:
    end = 2 ** (bits - 1)

    def read(value: Any) -> int:
        found = _number(value)
        if isinstance(found, float) and not found.is_integer():
            raise Unfit("no whole number")
        if not -end <= found < end:
            raise Unfit(f"beyond {bits} bits")
        return int(found)

    return read


def _double(value: Any) -> float:
    return float(_number(value, odd=True))


def _real(value: Any) -> float:
    found = _double(value)
    if math.isfinite(found) and abs(found) > MAX_REAL:
        raise Unfit("beyond what real can hold")
    return found


def _numeric(value: Any) -> Decimal:
    return Decimal(str(_number(value)))


def _number(value: Any, *, odd: bool = False) -> int | float:
    """odd: NaN and the infinities are numbers too."""
    if isinstance(value, str):
        value = read_number(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unfit("no number")
    if not odd and not math.isfinite(value):
        raise Unfit("no finite number")
    return value


def _boolean(value: Any) -> bool:
    if value in (0, 1):
        return bool(value)
    raise Unfit("neither true nor false")


def _text(value: Any) -> str:
    text = _json_text(value) if isinstance(value, list | dict) else as_text(value)
    if "\0" in text:
        raise Unfit("PostgreSQL has no text with a NUL character")
    return text


def _json_text(value: Any) -> str:
    """JSON has NUL, PostgreSQL's jsonb has not: it becomes the character that stands for what cannot be shown."""
    try:
        encoded = _json(plain(value))
    except UnicodeEncodeError as error:
        raise Unfit("no sound Unicode") from error
    if b"\\u0000" in encoded:
        encoded = _json(_without_nul(plain(value)))
    return encoded.decode()


def _without_nul(value: Any) -> Any:
    match value:
        case str():
            return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
        case list():
            return [_without_nul(item) for item in value]
        case dict():
            return {_without_nul(key): _without_nul(item) for key, item in value.items()}
        case _:
            return value


def _uuid(value: Any) -> UUID:
    if isinstance(value, bytes) and len(value) == 16:
        return UUID(bytes=value)
    if not isinstance(value, str):
        raise Unfit("no UUID")
    try:
        return UUID(value)
    except ValueError:
        raise Unfit("no UUID") from None


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode(errors="replace")
    if not isinstance(value, bytes):
        raise Unfit("no bytes")
    return value


def _reader(kind: str, times: TimeFormat) -> Read:
    made = TIME_READERS.get(kind)
    return READERS.get(kind, _as_it_is) if made is None else made(times)


def _as_it_is(value: Any) -> Any:
    """A type that is not known here: PostgreSQL says whether it takes the value."""
    return value


READERS: Final[Mapping[str, Read]] = {
    "int2": _whole(16),
    "int4": _whole(32),
    "int8": _whole(64),
    "float4": _real,
    "float8": _double,
    "numeric": _numeric,
    "bool": _boolean,
    "text": _text,
    "varchar": _text,
    "bpchar": _text,
    "name": _text,
    "json": _json_text,
    "jsonb": _json_text,
    "uuid": _uuid,
    "bytea": _bytes,
}
# PostgreSQL reads the first and the last day that Python has as -infinity and infinity; a TimeFormat refuses them.
TIME_READERS: Final[Mapping[str, Callable[[TimeFormat], Read]]] = {
    "timestamptz": lambda times: times.at,
    "timestamp": lambda times: lambda value: times.at(value).replace(tzinfo=None),
    "date": lambda times: lambda value: times.at(value).astimezone(times.zone).date(),
}
