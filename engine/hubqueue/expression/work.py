"""How much one run of an expression may do, whoever chose it: its author, or who sent the data.

Every operator, filter and method that looks at more than one value spends units before it does so. One unit is about
50 ns on a shared x86 core, so that a run is over after some 10 ms at the latest. Sizes are checked before they are
made: a text by adding up its parts, a list by its length.
"""

from __future__ import annotations

import math
from typing import Any, Final

from hubqueue.expression.fault import ExpressionFailed

Work = list[int]  # one number: the units that are left

UNITS: Final = 200_000  # of one run
SHARED: Final = "\0work"  # where values hold a Work for all that is worked out from them; no expression can name it
ITEM: Final = 2  # units for an item that a loop of C touches
WEIGHED: Final = 5  # units for an item that is weighed
CALL: Final = 16  # units for an item that a function is called with
LONG: Final = 4096  # characters; shorter text is compared for nothing
SHORT: Final = 128  # characters; a text that is made up to there costs nothing of its own
CHARS: Final = 5  # two to this power characters are one unit: they are copied, not looked at one by one
MAX_TEXT: Final = 1_000_000  # characters of a text that is made
MAX_ITEMS: Final = 10_000  # of a list that is made out of a number
MAX_WIDTH: Final = 1000  # characters to which text is filled up
MAX_CARRIED: Final = 10 * 1024 * 1024  # characters in a map or list that is made: more fit into no job

_TOO_MUCH: Final = "it is too much work for one record: the lists or texts in it are too long"


def spend(work: Work, units: int) -> None:
    """Errors: ExpressionFailed when nothing is left."""
    work[0] -= units
    if work[0] < 0:
        raise ExpressionFailed(_TOO_MUCH)


def spend_chars(work: Work, chars: int) -> None:
    """For text of this length that is about to be copied or searched."""
    if chars > LONG:
        spend(work, chars >> CHARS)


def check_text(work: Work, chars: int) -> None:
    """For a text of this length that is about to be made."""
    if chars > MAX_TEXT:
        raise ExpressionFailed(f"the text would be longer than {MAX_TEXT} characters")
    if chars > SHORT:
        spend(work, chars >> CHARS)


def check_width(width: int) -> int:
    if width > MAX_WIDTH:
        raise ExpressionFailed(f"a text is filled up to {MAX_WIDTH} characters at most")
    return width


def check_items(work: Work, count: int) -> None:
    """For a list of so many items that a number asked for."""
    if count > MAX_ITEMS:
        raise ExpressionFailed(f"a list of more than {MAX_ITEMS} items is not made")
    spend(work, ITEM * max(count, 0))


def weigh(work: Work, value: Any, *, json: bool = False) -> int:
    """The characters in a map or list and all it holds, each time it is held. Spends for its items.

    json: it is about to become JSON, which knows neither bytes nor NaN; its encoder would write something else.
    """
    chars, units, left = 0, work[0], [value]
    while left:
        each = left.pop()
        kind = type(each)
        if kind is int:
            continue
        if kind is float:
            if json and not math.isfinite(each):
                raise ExpressionFailed("a number that is not finite cannot be written as text")
            continue
        if kind is str or kind is bytes:
            if json and kind is bytes:
                raise ExpressionFailed("bytes cannot be written as JSON")
            chars += len(each)
            if chars > MAX_CARRIED:
                raise ExpressionFailed("the result is larger than what a job can hold")
        elif kind is list or kind is dict:
            units -= WEIGHED * len(each)
            if units < 0:
                raise ExpressionFailed(_TOO_MUCH)
            left += each
            if kind is dict:
                units -= WEIGHED * len(each)
                left += each.values()
    work[0] = units
    return chars
