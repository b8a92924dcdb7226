"""Expressions that are tried: what they give, or the error that people would read."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from hubqueue.errors import Invalid
from hubqueue.expression import ExpressionFailed

_PYTHON = re.compile(
    r"\b(None|True|False|nan|inf|NoneType|Undefined|dict|str|bool|\w+Error|_\w+|(int|float) object)\b|'int'|<\w+ object"
)
_QUOTED = re.compile(r"'[^']{16,}'")  # what an author wrote
UNTHOUGHT = "it cannot be worked out with these values"  # what is said of an error that the engine has no words for


def tried(run: Callable[[], Any]) -> Any:
    """The value, or the error, whose words have been looked at."""
    try:
        return run()
    except (ExpressionFailed, Invalid) as error:
        failed = error
    assert str(failed) != UNTHOUGHT, repr(failed.__cause__)
    assert words_of_python(str(failed)) == set()
    return failed


def words_of_python(text: str) -> set[str]:
    """Those that nobody but a programmer should read."""
    return {found[0] for found in _PYTHON.finditer(_QUOTED.sub("", text))}
