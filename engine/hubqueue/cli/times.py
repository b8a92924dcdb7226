"""Times for people: how long ago, in how long, and the clock time."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

_STEPS: Final = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def span(seconds: float) -> str:
    """`3.2 s`, `5 min`, `2 h 10 min`: at most two units, the smaller one only where it says something."""
    if seconds < 10:
        return f"{seconds:.1f} s" if seconds >= 0.1 else f"{seconds * 1000:.0f} ms"
    whole = round(seconds)
    for index, (length, unit) in enumerate(_STEPS):
        if whole >= length:
            text = f"{whole // length} {unit}"
            rest = whole % length
            if rest and index + 1 < len(_STEPS) and length > 60:
                lower, lower_unit = _STEPS[index + 1]
                if rest // lower:
                    text += f" {rest // lower} {lower_unit}"
            return text
    return "0 s"


def ago(at_ms: int | None, now_ms: int | None = None) -> str:
    """`5 min ago`, `in 3 s`, or a dash for never."""
    if at_ms is None:
        return "-"
    now_ms = round(time.time() * 1000) if now_ms is None else now_ms
    seconds = (now_ms - at_ms) / 1000.0
    return f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"


def clock(at_ms: int | None) -> str:
    """Local date and time with milliseconds, or a dash."""
    if at_ms is None:
        return "-"
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def clock_ms(at_ms: int) -> str:
    """Local time of day with milliseconds."""
    return clock(at_ms)[11:]
