"""Jobs, counts and events as JSON values and as one-line texts. User data is shown as far as it can be."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from hubqueue.model.flowdata import without_flow
from hubqueue.model.job import Job
from hubqueue.model.option import camel
from hubqueue.model.verbs import Event, QueueInfo
from hubqueue.wire.jobjson import shown
from hubqueue.wire.jobmap import queried_job
from hubqueue.wire.jsondata import readable


def one_line(data: bytes | None, width: int = 60) -> str:
    """The data as short text for a table cell."""
    if data is None:
        return "-"
    text = json.dumps(readable(data), ensure_ascii=False)
    return text if len(text) <= width else text[: width - 1] + "…"


def own_data(job: Job) -> bytes | None:
    """Without what a flow has written into it, as everywhere but on the wire."""
    options = job.options
    return None if job.data is None else without_flow(job.data, options.parent_id, options.children_ids)


def job_map(job: Job) -> dict[str, Any]:
    """A job as `--json` prints it: as REST shows it, what is not said left out."""
    return {name: value for name, value in shown(queried_job(job)).items() if value is not None}


def queue_map(info: QueueInfo) -> dict[str, Any]:
    """A queue as `--json` prints it: as REST shows it."""
    counts = {camel(name): count for name, count in msgspec.to_builtins(info.counts).items()}
    return {"name": info.name, **counts, "paused": info.paused, "expired": info.expired}


_EVENT: Final = {"kind": "eventType", "at_ms": "timestamp", "delay_ms": "delay"}


def event_map(event: Event) -> dict[str, Any]:
    """An event as `tail --json` prints it: as event streams of HTTP show it."""
    fields = msgspec.to_builtins(event, builtin_types=(bytes,))
    entry = {_EVENT.get(name, camel(name)): value for name, value in fields.items()}
    if event.data is not None:
        entry["data"] = readable(event.data)
    return entry
