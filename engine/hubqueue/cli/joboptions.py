"""Job options as flags: the table (model.options) as the command line writes it. Durations are text, as in 10m."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, Final

import click

from hubqueue.errors import Invalid
from hubqueue.model.flatoptions import flat, gathered
from hubqueue.model.option import Door, Kind, Option

FIELDS: Final = flat(Door.CLI)


@cache
def job_options() -> list[click.Parameter]:
    """The flags of a command that makes jobs; it gets them by the names of the table's fields."""
    return [click.Option([flag(each.name), each.name], **_kind(each.leaf), help=_help(each.leaf)) for each in FIELDS]


def flag(name: str) -> str:
    """The flag of a field; of tags each is given by itself."""
    return "--tag" if name == "tags" else f"--{name.replace('_', '-')}"


def first_flag(option: Option) -> str:
    """The flag of an option; of a map that of its first part."""
    return flag(next(field.name for field in FIELDS if field.option is option))


def given(flags: Mapping[str, Any]) -> dict[str, Any]:
    """What was said, by the names of the table. Errors: Invalid names the flag that cannot be."""
    values = {field.name: _value(field.name, field.leaf, flags[field.name]) for field in FIELDS}
    return gathered(Door.CLI, values, flag)


def duration_ms(name: str, text: str, low_ms: int = 0, high_ms: int = 31_536_000_000) -> int:
    """Milliseconds of what a flag says. Errors: Invalid."""
    from hubqueue.config.checks import duration_ms as check
    from hubqueue.config.mistakes import Wrong

    try:
        milliseconds: int = check(low_ms, high_ms)(text)
    except Wrong as error:
        raise Invalid(f"{name} {error.error_message}", hint=error.hint) from error
    return milliseconds


def _kind(option: Option) -> dict[str, Any]:
    match option.kind:
        case Kind.WHOLE:
            return {"type": int}
        case Kind.FACTOR:
            return {"type": float}
        case Kind.FLAG:
            return {"is_flag": True}
        case Kind.TEXTS:
            return {"multiple": True, "metavar": "TEXT"}
        case Kind.CHOICE:
            return {"type": click.Choice(tuple(option.choices))}
        case Kind.SPAN:
            return {"metavar": "TIME"}
        case Kind.TIME:
            return {"metavar": "WHEN"}
    return {}


def _help(option: Option) -> str:
    more = {Kind.TIME: ", as in 2026-01-31T18:00", Kind.TEXTS: "; may be given again and again"}
    return f"{option.help}{more.get(option.kind, '')}."


def _value(name: str, option: Option, said: Any) -> Any:
    if said is None or said is False or said == ():
        return None
    match option.kind:
        case Kind.SPAN:
            return duration_ms(flag(name), said, int(option.low), int(option.high))
        case Kind.TIME:
            return time_ms(flag(name), said)
    return said


def time_ms(name: str, text: str) -> int:
    """Unix milliseconds of what a flag says. Errors: Invalid."""
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError):  # the local time has no year 0
        raise Invalid(f"{name} {text!r} is no time", hint="as in 2026-01-31T18:00 or 2026-01-31T18:00+01:00") from None
