"""Job options as fields of forms: the table (model.options) as the dashboard shows it. Labels: `option.*` in texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hubqueue.model.flatoptions import Flat, flat, gathered, scattered
from hubqueue.model.job import NewJob
from hubqueue.model.option import Door, Kind, Option
from hubqueue.model.options import checked_job
from hubqueue.ui import inputs

OFTEN: Final = ("id", "priority", "delay", "attempts", "keep_trying", "durable")  # the others are folded away
UNIT: Final = {"keep_trying": "h"}  # of an empty field, if not seconds


class Field(msgspec.Struct, frozen=True):
    """One field of a form. value: as its input shows it, of a length of time with its unit."""

    name: str
    kind: str
    value: Any
    more: dict[str, Any]
    choices: tuple[str, ...] = ()
    often: bool = False


def fields(given: Mapping[str, Any], *, schedule: bool = False) -> list[Field]:
    """The fields of a form with these options, by the names of the table. schedule: only those that one may have."""
    values = scattered(given, Door.FORM)
    return [_field(each, values.get(each.name)) for each in _flat(schedule)]


def read(form: Mapping[str, object], *, schedule: bool = False) -> dict[str, Any]:
    """What a form says, by the names of the table. Errors: Invalid."""
    return gathered(Door.FORM, {each.name: _read(form, each.name, each.leaf) for each in _flat(schedule)})


def job_of(name: str, given: Mapping[str, Any]) -> NewJob:
    """The job of what a form says, which is in bounds. Errors: Invalid names the option."""
    return checked_job(name, None, given)


def _flat(schedule: bool) -> list[Flat]:
    return [each for each in flat(Door.FORM) if not (schedule and Door.SCHEDULE in each.option.left_out)]


def _field(each: Flat, value: Any) -> Field:
    leaf, name = each.leaf, each.name
    shown: Any = "" if value is None else value
    more: dict[str, Any] = {}
    match leaf.kind:
        case Kind.SPAN:
            shown = ("", UNIT.get(name, "s")) if value is None else inputs.split_ms(value)
        case Kind.TEXTS:
            shown = ", ".join(value or ())
        case Kind.TEXT:
            more = {"maxlength": int(leaf.high)}
        case Kind.WHOLE:
            more = {"inputmode": "numeric"}
        case Kind.FACTOR:
            more = {"inputmode": "decimal"}
    return Field(name, leaf.kind.value, shown, more, tuple(leaf.choices), name in OFTEN)


def _read(form: Mapping[str, object], name: str, leaf: Option) -> Any:
    match leaf.kind:
        case Kind.SPAN:
            return inputs.duration_ms(form, name)
        case Kind.WHOLE:
            return inputs.whole(form, name)
        case Kind.FACTOR:
            return inputs.number(form, name)
        case Kind.FLAG:
            return inputs.flag(form, name) or None
        case Kind.TEXTS:
            return inputs.texts(inputs.text(form, name)) or None
    return inputs.text(form, name) or None
