"""A value for each job option of the table, as the model has it and as JSON says it."""

from __future__ import annotations

from typing import Any, Final

from hubqueue.model.job import Dedup
from hubqueue.model.option import Kind, Option, Parent
from hubqueue.model.options import BY_NAME
from hubqueue.model.retry import Backoff

# longer than any delay below: a job that ends before it is due is refused
SAMPLES: Final[dict[str, Any]] = {
    "id": "mine-1",
    "priority": 7,
    "delay": 60_000,
    "run_at": 4_000_000_000_000,
    "attempts": 9,
    "backoff": Backoff("fixed", 2500, 60_000, 0.5),
    "timeout": 30_000,
    "ttl": 600_000,
    "keep_trying": 900_000,
    "stall_timeout": 45_000,
    "lifo": True,
    "durable": True,
    "dedup": Dedup("key", 120_000, extend=True, replace=True),
    "remove_on_complete": True,
    "remove_on_fail": True,
    "tags": ("a", "b"),
    "group": "kitchen",
    "group_max_size": 5,
    "depends_on": ("first",),
    "parent": Parent("q", "above"),
    "on_failure": "ignore",
    "stack_trace_limit": 3,
}


def with_needs(name: str) -> dict[str, Any]:
    """The sample of an option, and of what it is nothing without."""
    needs = BY_NAME[name].needs
    return {name: SAMPLES[name]} | ({needs: SAMPLES[needs]} if needs else {})


def as_json(option: Option, value: Any, *, protocol: bool) -> dict[str, Any]:
    """The fields of a body: under the names of the protocol, or those of the table."""
    match option.name:
        case "on_failure" if protocol:
            return {option.choices[value]: True}
        case "dedup" if protocol:
            parts = _parts(option, value, protocol=True)
            return {"uniqueKey": parts.pop("key"), "dedup": parts}
        case "parent":
            return {"parent": _parts(option, value, protocol=False)}
    name = option.wire if protocol else option.json
    if option.kind is Kind.MAP:
        return {name: _parts(option, value, protocol=protocol)}
    return {name: list(value) if isinstance(value, tuple) else value}


def _parts(option: Option, value: Any, *, protocol: bool) -> dict[str, Any]:
    return {(part.wire if protocol else part.json): getattr(value, part.field) for part in option.parts}
