"""The keys of the queues, durability and storage sections: what the hub keeps, how much of it, and how safely.

Each check gives fields of HubSettings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hubqueue.config import checks
from hubqueue.config.checks import Check
from hubqueue.config.mistakes import Wrong
from hubqueue.model.bounds import QueueBounds
from hubqueue.model.limits import check_queue

EVERY: Final = "*"  # the entry that all queues start from; no queue can have this name
FOREVER: Final = "forever"
_MAX_JOBS: Final = 1_000_000_000  # more would outgrow any disk of an edge machine
_MIN_BYTES: Final = 64 * 1000 * 1000  # the log alone takes up to half of it

queue_name: Final[Check] = checks.from_engine(check_queue)


class Queues(checks.Named):
    """Bounds by queue name. The entry `"*"` holds for every queue; a queue's own entry changes what it names."""

    def __init__(self) -> None:
        super().__init__(lambda key: key if key == EVERY else queue_name(key), _bounds())

    def __call__(self, value: Any) -> dict[str, Any]:
        entries: dict[str, dict[str, Any]] = super().__call__(value)
        every = entries.pop(EVERY, {})
        made = {queue: QueueBounds(**(every | own)) for queue, own in entries.items()}
        return {"bounds": QueueBounds(**every), "queues": made}


def durability() -> Check:
    return checks.Section(
        {
            "durable": checks.boolean,
            "sync_interval": checks.duration_s(0.01, 3600),
            "linger": checks.duration_s(0, 10),
        },
        build=lambda clean: _renamed(clean, sync_interval="sync_interval_s", linger="linger_s"),
    )


def storage() -> Check:
    return checks.Section(
        {
            "max_size": checks.size_bytes(_MIN_BYTES),
            "on_full": checks.choice("reject", "drop-oldest"),
            "remember_forwarded": checks.duration_ms(60_000),
        },
        build=lambda clean: _renamed(clean, max_size="max_bytes", remember_forwarded="forward_kept_ms"),
    )


def _bounds() -> Check:
    kept = {"count": checks.integer(0, _MAX_JOBS), "age": _age}
    return checks.Section(
        {
            "max_jobs": checks.integer(1, _MAX_JOBS),
            "on_full": checks.choice("reject", "drop-oldest"),
            "keep_completed": checks.Section(kept),
            "dlq": checks.Section(kept),
            "durable": checks.boolean,
            "max_stalls": checks.integer(1, 1000),
            "count_lost": checks.boolean,
        },
        build=_flat,
    )


def _flat(clean: dict[str, Any]) -> dict[str, Any]:
    if "on_full" in clean and "max_jobs" not in clean:
        raise Wrong("has no effect without max_jobs", hint="set max_jobs beside it", path=["on_full"])
    for key, count, age in (
        ("keep_completed", "keep_completed", "keep_completed_ms"),
        ("dlq", "max_dead", "keep_dead_ms"),
    ):
        kept = clean.pop(key, {})
        clean |= {target: kept[part] for part, target in (("count", count), ("age", age)) if part in kept}
    return clean


def _age(value: Any) -> int | None:
    if value == FOREVER:
        return None
    try:
        milliseconds: int = checks.duration_ms(1000)(value)
    except Wrong as error:
        raise Wrong(str(error.error_message), value, hint=error.hint or f"or {FOREVER}") from error
    return milliseconds


def _renamed(clean: Mapping[str, Any], **names: str) -> dict[str, Any]:
    return {names.get(key, key): value for key, value in clean.items()}
