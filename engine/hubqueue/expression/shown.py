"""Text made of values: the words of JSON (true, maps and lists as JSON text), never those of Python.

Rule: a missing value has no text. Who makes text asks for one before, and says what is missing.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any, Final

import msgspec

from hubqueue.expression.fault import ExpressionFailed
from hubqueue.expression.numbers import EXACT
from hubqueue.expression.work import Work, check_text, weigh
from hubqueue.model.kinds import kind_of

_json: Final = msgspec.json.Encoder().encode


def shown(work: Work, value: Any) -> str:
    """The text of a value that is there. A whole number is written without a point: 5 and 5.0 make the same key.

    Errors: ExpressionFailed for what has none: NaN and the infinities, bytes that are no text.
    """
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        return str(value)
    if kind is float:
        return _number(value)
    if kind is list or kind is dict:
        return json_text(work, value)
    if kind is bytes:
        try:
            return value.decode()  # type: ignore[no-any-return]
        except UnicodeDecodeError:
            raise ExpressionFailed("bytes that are no UTF-8 text cannot be written as text") from None
    if isinstance(value, datetime):
        return value.isoformat()
    raise ExpressionFailed(f"{kind_of(value)} cannot be written as text")


def quick(value: Any) -> str:
    """The text of a value outside an expression: a key of a table, say. Errors: ExpressionFailed."""
    return shown([2**40], value)


def json_text(work: Work, value: Any) -> str:
    """The value as JSON. Errors: ExpressionFailed for what JSON cannot say."""
    check_text(work, weigh(work, value, json=True))
    try:
        text = _json(value).decode()
    except (TypeError, UnicodeEncodeError, OverflowError):
        raise ExpressionFailed("there is something in it that JSON cannot say") from None
    check_text(work, len(text))
    return text


def _number(value: float) -> str:
    if not math.isfinite(value):
        raise ExpressionFailed("a number that is not finite cannot be written as text")
    return str(int(value)) if value.is_integer() and abs(value) < EXACT else repr(value)
