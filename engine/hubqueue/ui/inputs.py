"""What people type into forms, as the values that commands take. Errors name the field, so that a page can say so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hubqueue.errors import Invalid

UNITS_MS: Final = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


def text(form: Mapping[str, object], name: str) -> str:
    """The field without blanks around it; "" when it was not sent."""
    value = form.get(name, "")
    return value.strip() if isinstance(value, str) else ""


def texts(typed: str) -> tuple[str, ...]:
    """What stands between commas, without blanks around it."""
    return tuple(filter(None, map(str.strip, typed.split(","))))


def whole(form: Mapping[str, object], name: str, default: int | None = None) -> int | None:
    """A whole number; the default when nothing was typed. Errors: Invalid."""
    typed = text(form, name)
    if not typed:
        return default
    try:
        return int(typed.replace(" ", ""))
    except ValueError:
        raise Invalid(f"{name}: {typed!r} is not a whole number") from None


def number(form: Mapping[str, object], name: str) -> float | None:
    """A number, with a point or a comma; None when nothing was typed. Errors: Invalid."""
    typed = text(form, name)
    if not typed:
        return None
    try:
        value = float(typed.replace(",", "."))
    except ValueError:
        raise Invalid(f"{name}: {typed!r} is not a number") from None
    if not abs(value) < 1e15:
        raise Invalid(f"{name}: {typed!r} is too large")
    return value


def duration_ms(form: Mapping[str, object], name: str) -> int | None:
    """A number in `name` with its unit in `name_unit` (seconds if there is none). Errors: Invalid."""
    value = number(form, name)
    if value is None:
        return None
    unit = text(form, f"{name}_unit") or "s"
    if unit not in UNITS_MS:
        raise Invalid(f"{name}: unknown unit {unit!r}")
    return round(value * UNITS_MS[unit])


def flag(form: Mapping[str, object], name: str) -> bool:
    """Whether a box is ticked."""
    return name in form


def split_ms(value_ms: float) -> tuple[str, str]:
    """A duration as a number and the largest unit that says it without a fraction: for a form's fields."""
    for unit, size in reversed(UNITS_MS.items()):
        if value_ms >= size and value_ms % size == 0:
            return f"{value_ms / size:.0f}", unit
    return f"{value_ms:.0f}", "ms"
