"""The steps of a pipeline file: the keys of each kind, and the steps they become.

A new kind is an entry of `kinds`: a check that gives a function which makes the step. Everything that can be wrong
with a step is found by its check; what `make` does cannot fail.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from hubqueue.config import checks
from hubqueue.config.checks import Check
from hubqueue.config.enrich import enrich
from hubqueue.config.flags import flag
from hubqueue.config.mistakes import Wrong
from hubqueue.config.one import OneOf, missing
from hubqueue.config.windows import batch, window
from hubqueue.errors import HubqueueError
from hubqueue.expression import Condition, Text, Value
from hubqueue.pipeline.convert import Convert, Converted
from hubqueue.pipeline.fields import Field
from hubqueue.pipeline.filter import Filter
from hubqueue.pipeline.map import Map, MapSettings, Tree
from hubqueue.pipeline.plan import StepPlan
from hubqueue.pipeline.record import NAMES
from hubqueue.pipeline.step import Step
from hubqueue.pipeline.units import conversion
from hubqueue.pipeline.validate import Validate, compiled

Make = Callable[[], Step]


class Steps(checks.Each):
    """The list of steps; each is named after its kind, with a number from the second of a kind on."""

    def __init__(self, base: Path) -> None:
        one = OneOf("step", kinds(base))
        super().__init__(one.kind)

    def __call__(self, value: Any) -> tuple[StepPlan, ...]:
        made: list[StepPlan] = []
        count: dict[str, int] = {}
        for kind, make in super().__call__(value):
            count[kind] = count.get(kind, 0) + 1
            name = kind if count[kind] == 1 else f"{kind}-{count[kind]}"
            made.append(StepPlan(name, make))
        return tuple(made)


def kinds(base: Path) -> Mapping[str, Check]:
    """The check of each kind of step; relative paths start from `base`."""
    return {
        "filter": lambda value: partial(Filter, expression(Condition)(value)),
        "map": map_step(),
        "validate": validate(base),
        "convert": convert,
        "enrich": enrich(base),
        "flag": flag(),
        "window": window(),
        "batch": batch(),
    }


def expression(kind: type[Condition] | type[Value]) -> Check:
    """An expression over data, name, at_ms and id."""
    return checks.from_engine_text(lambda text: kind(text, NAMES))


template: Check = checks.from_engine_text(lambda text: Text(text, NAMES))
a_field: Check = checks.from_engine_text(Field)


def map_step() -> Check:
    return checks.Section(
        {
            "pick": checks.Each(a_field),
            "drop": checks.Each(a_field),
            "rename": _by_field(a_field),
            "constant": _by_field(lambda value: value),
            "compute": _by_field(_tree),
            "missing": missing("leave-out", "null", "refuse"),
        },
        build=lambda clean: partial(Map, MapSettings(**clean)),
    )


def validate(base: Path) -> Check:
    return checks.Section({"schema": lambda value: value, "schema_file": _schema_of(base)}, build=_validate)


def convert(value: Any) -> Make:
    """Fields and their units."""
    unit = checks.Section(
        {"from": checks.text, "to": checks.text, "digits": checks.integer(0, 15)}, required=("from", "to"), build=_unit
    )
    made = _by_field(unit)(value)
    if not made:
        raise Wrong("converts nothing", hint="as in temperature: {from: degF, to: degC}")
    return partial(Convert, [Converted(field, *how) for field, how in made])


def _unit(clean: Mapping[str, Any]) -> tuple[Any, int | None]:
    return conversion(clean["from"], clean["to"]), clean.get("digits")


def _validate(clean: dict[str, Any]) -> Make:
    if len(clean) != 1:
        raise Wrong("needs schema or schema_file", hint="give one of the two")
    ((key, schema),) = clean.items()
    try:
        compiled(schema)
    except HubqueueError as error:
        raise Wrong(error.message, hint=error.hint, path=[key]) from error
    return partial(Validate, schema)


def _schema_of(base: Path) -> Check:
    def check(value: Any) -> Any:
        path: Path = checks.existing_file(base)(value)
        try:
            text = path.read_text(encoding="utf-8")
            return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
        except (OSError, UnicodeDecodeError) as error:
            raise Wrong("names a file that cannot be read", str(path)) from error
        except (ValueError, yaml.YAMLError, RecursionError) as error:
            raise Wrong(f"names a file that is not valid: {error}", str(path)) from error

    return check


def _by_field(check: Check) -> Check:
    """A mapping from fields to values; gives pairs."""
    named = checks.Named(a_field, check)
    return lambda value: tuple((Field(name), made) for name, made in named(value).items())


def _tree(value: Any) -> Tree:
    """An expression, or a map or list of them."""
    if isinstance(value, Mapping):
        inner: dict[str, Tree] = checks.Named(checks.text, _tree)(value)
        return inner
    if isinstance(value, list):
        items: tuple[Tree, ...] = checks.Each(_tree)(value)
        return items
    if not isinstance(value, str):
        raise Wrong("must be an expression", value, hint="put it under constant, or in quotes")
    made: Tree = expression(Value)(value)
    return made
