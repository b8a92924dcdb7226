"""What alike errors have in common: the text with numbers, ids and quoted parts left out.

`pattern` is what dead letters are grouped by, and what a retry of such a group is asked for with. A pattern of a
pattern is itself (tested), so a sample text and its pattern mean the same group.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

MAX_CHARS: Final = 300  # of the first line; what differs only behind is alike

TRACEBACK: Final = "Traceback (most recent call last)"

# in order: what is kept, quoted parts, words with a digit
_PART: Final = re.compile(
    r"""
    (?P<kept> \b(?:HTTP(?:/\d(?:\.\d)?)?|status(?:\ code)?|code|errno|exit)[ ]?[:=]?[ ]?\[?\d{1,5}\b (?![\w.:/-]) )
    | (?P<quoted> (?<![\w#]) (?: "[^"]+" | '[^']+' | `[^`]+` ) (?![\w#]) )
    | (?P<id> [\w.:/@+-]* \d [\w.:/@+-]* )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SPACE: Final = re.compile(r"\s+")


def first_line(error: str | None) -> str:
    """The first line that says something, cut; of a Python traceback that is its last one."""
    lines = (error or "").strip().splitlines()
    if not lines:
        return ""
    return lines[-1 if lines[0].startswith(TRACEBACK) else 0].strip()[:MAX_CHARS]


@lru_cache(maxsize=2048)  # at most 0.6 MB of text each way
def _pattern(line: str) -> str:
    while True:  # leaving a part out may make another one visible: each turn shortens or ends
        shorter = _SPACE.sub(" ", _PART.sub(_left_out, line)).strip()
        if shorter == line:
            return line
        line = shorter


def pattern(error: str | None) -> str:
    """The text that alike errors share; "" for none. Status and exit codes stay: they say what went wrong."""
    return _pattern(first_line(error))


def _left_out(found: re.Match[str]) -> str:
    text = found[0]
    if found["kept"]:
        return text
    if found["quoted"]:
        return f"{text[0]}…{text[0]}"
    return "#"
