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


def as_json(option: Option, value: Any) -> dict[str, Any]:
    """The field of a body."""
    if option.kind is Kind.MAP:
        return {option.json: {part.json: getattr(value, part.field) for part in option.parts}}
    return {option.json: list(value) if isinstance(value, tuple) else value}
