"""Job options as keys of a section (rules, sources): the table (model.options) as the configuration writes it.

Durations are text with a unit. What may hold values of a message (a dedup key, a group) is a template, which the
section's own parser checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hubqueue.config import checks
from hubqueue.config.checks import Check
from hubqueue.model.job import ENDLESS, Options, attempts_of
from hubqueue.model.option import Door, Kind, Option
from hubqueue.model.options import BY_NAME, options_at, rare_options, said

PLAIN: Final = ("priority", "delay", "attempts")  # which are no field of Options


def option_keys(door: Door, template: Any) -> dict[str, Check]:
    """A check for each option. template: parses text with values in it."""
    return {option.name: _check(option, template) for option in options_at(door)}


def made(clean: dict[str, Any], door: Door) -> dict[str, Any]:
    """The clean keys of a section with its options put together: priority, delay_ms, max_attempts and options.

    Errors: Invalid.
    """
    given = {option.name: clean[option.name] for option in options_at(door) if option.name in clean}
    options = rare_options(given)
    fields = {BY_NAME[name].field: given[name] for name in PLAIN if name in given}
    fields["max_attempts"] = attempts_of(fields.get("max_attempts"), options)
    return {key: value for key, value in clean.items() if key not in given} | fields | {"options": options}


def option_words(options: Options, priority: int, delay_ms: int, max_attempts: int, door: Door) -> dict[str, Any]:
    """Options as the configuration would write them: those that `option_keys` reads, each that has a value."""
    found = said(options) | {"priority": priority, "delay": delay_ms}
    if max_attempts != ENDLESS:
        found["attempts"] = max_attempts
    flags = {option.name: False for option in options_at(door) if option.kind is Kind.FLAG}
    every = flags | {"tags": ()} | found
    return {option.name: _words(option, every[option.name]) for option in options_at(door) if option.name in every}


def _check(option: Option, template: Any) -> Check:
    low, high = int(option.low), int(option.high)
    match option.kind:
        case Kind.WHOLE:
            return checks.integer(low, high)
        case Kind.SPAN:
            return checks.duration_ms(low, high)
        case Kind.FACTOR:
            return checks.number(low, high)
        case Kind.FLAG:
            return checks.boolean
        case Kind.TEXT:
            return checks.valid(template)
        case Kind.TEXTS:
            return checks.Each(checks.text)
        case Kind.CHOICE:
            return checks.choice(*option.choices)
    assert option.kind is Kind.MAP, f"the configuration has no {option.kind} yet"
    return checks.Section(
        {part.name: _check(part, template) for part in option.parts},
        required=option.required,
        build=option.made,
        short=option.short,
    )


def _words(option: Option, value: Any) -> Any:
    match option.kind:
        case Kind.SPAN:
            return checks.duration_text(round(value))
        case Kind.TEXTS:
            return list(value)
        case Kind.MAP:
            parts: Mapping[str, Any] = {part.name: getattr(value, part.field) for part in option.parts}
            return {part.name: _words(part, parts[part.name]) for part in option.parts if parts[part.name] is not None}
    return value
