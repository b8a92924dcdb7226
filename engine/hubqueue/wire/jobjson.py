"""A job as REST and `--json` show it: its options under the names of the table (model.options).

A new job takes them under the same names, so what is read can be put back. TCP and WebSocket show `wire.jobmap`, from
which this is made. Units: milliseconds, times Unix milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from hubqueue.model.flowdata import claimed_queue, without_flow
from hubqueue.model.job import ENDLESS
from hubqueue.model.option import Door, Option
from hubqueue.model.options import BY_NAME, OPTIONS, options_at
from hubqueue.model.retry import DEFAULT_BACKOFF
from hubqueue.wire.jobmap import BackoffOut, JobMap, Step
from hubqueue.wire.jsondata import plain, readable
from hubqueue.wire.optiontypes import shown_fields, snake
from hubqueue.wire.repeat import RepeatOut

# a delay is shown as the time it leads to, and how full a group may be counts where a job comes in alone
SHOWN: Final = [option for option in options_at(Door.REST) if option.name not in ("delay", "group_max_size")]

if TYPE_CHECKING:  # who checks types sees that it is a struct; its fields come from the table
    from msgspec import Struct as _Options
else:
    _Options = msgspec.defstruct("Options", shown_fields(SHOWN), rename="camel", kw_only=True, module=__name__)


class Job(_Options, rename="camel", kw_only=True):
    """A job. Data and result are the user's own. attempts: how often it may fail, null while it is kept trying;
    attemptsMade: how often it has. endsAt: when `ttl` or `keepTrying` is over, while it has not ended."""

    id: str
    queue: str
    name: str
    data: Any = UNSET
    state: str | UnsetType = UNSET
    created_at: float
    run_at: float
    started_at: float | None
    completed_at: float | None
    finished_at: float | None
    ends_at: float | None
    attempts: int | None
    attempts_made: int
    stall_count: int
    lost_count: int
    progress: float
    progress_message: str | None
    last_heartbeat: float
    seq: float
    timeline: tuple[Step, ...]
    children_ids: tuple[str, ...]
    children_completed: int
    repeat: RepeatOut | None
    result: Any = UNSET
    error: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    stack: tuple[str, ...] | None


def job_json(job: JobMap) -> Job:
    """The job under the names of JSON."""
    return Job(
        queue=job.queue,
        name=job.name,
        data=_data(job),
        state=job.state,
        created_at=job.created_at,
        started_at=job.started_at,
        completed_at=job.completed_at,
        finished_at=job.finished_at,
        ends_at=job.ends_at,
        attempts_made=job.attempts,
        stall_count=job.stall_count,
        lost_count=job.lost_count,
        progress=job.progress,
        progress_message=job.progress_message,
        last_heartbeat=job.last_heartbeat,
        seq=job.seq,
        timeline=job.timeline,
        children_ids=job.children_ids,
        children_completed=job.children_completed,
        repeat=job.repeat,
        result=job.returnvalue,
        error=job.failed_reason,
        reason=job.reason,
        stack=job.stacktrace,
        **{name: read(job) for name, read in _READ},
    )


def shown(value: Any) -> Any:
    """A reply with everything in it as JSON can carry it: jobs by their names there, whole numbers without a fraction.

    The engine's numbers are floats where JavaScript clients of the wire need them so; user data stays as it is.
    Source: engine-rules 27 for what of user data JSON cannot say (wire.jsondata).
    """
    match value:
        case None | bool() | int() | str():
            return plain(value)
        case float():
            return int(value) if math.isfinite(value) and value.is_integer() and abs(value) <= 2**53 else plain(value)
        case Raw():
            return readable(value)
        case JobMap():
            return shown(job_json(value))
        case msgspec.Struct():
            names = zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
            found = {wire: getattr(value, name) for name, wire in names}
            return {wire: shown(each) for wire, each in found.items() if each is not UNSET}
        case dict():
            return {str(key): shown(each) for key, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [shown(each) for each in value]
        case _:
            return plain(value)


def options_json(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Options that stand under the names of PUSH, under those of JSON."""
    return {option.json: _named(option, fields) for option in OPTIONS if option.wire in fields}


def _named(option: Option, fields: Mapping[str, Any]) -> Any:
    value = fields[option.wire]
    if option.name == "dedup":
        return {"key": value, **fields.get("dedup", {})}
    if option.parts and isinstance(value, Mapping):
        return {part.json: value[part.wire] for part in option.parts if part.wire in value}
    return value


def _data(job: JobMap) -> Raw | UnsetType:
    """Without what a flow has written into it: relatives have fields of their own."""
    if isinstance(job.data, UnsetType) or not (job.parent_id or job.children_ids):
        return job.data
    return Raw(without_flow(bytes(job.data), job.parent_id, job.children_ids))


def _backoff(job: JobMap) -> dict[str, Any]:
    known, plain = job.backoff_config, DEFAULT_BACKOFF
    backoff = BackoffOut(plain.kind, plain.delay_ms, plain.max_ms, plain.jitter) if known is None else known
    return {part.name: getattr(backoff, snake(part.wire)) for part in BY_NAME["backoff"].parts}


def _dedup(job: JobMap) -> dict[str, Any] | None:
    if job.unique_key is None:
        return None
    return {
        "key": job.unique_key,
        "ttl": job.deduplication_ttl,
        "extend": job.deduplication_extend,
        "replace": job.deduplication_replace,
    }


def _parent(job: JobMap) -> dict[str, Any] | None:
    if job.parent_id is None:
        return None
    data = bytes(job.data) if isinstance(job.data, Raw) else None
    return {"queue": claimed_queue(job.parent_id, data), "id": job.parent_id}


def _on_failure(job: JobMap) -> str | None:
    choices = BY_NAME["on_failure"].choices.items()
    return next((name for name, flag in choices if getattr(job, snake(flag))), None)


_ODD: Final[dict[str, Callable[[JobMap], Any]]] = {
    "id": attrgetter("id"),
    "attempts": lambda job: None if job.max_attempts == ENDLESS else job.max_attempts,
    "backoff": _backoff,
    "dedup": _dedup,
    "parent": _parent,
    "on_failure": _on_failure,
}
_READ: Final = [(option.name, _ODD.get(option.name) or attrgetter(snake(option.wire))) for option in SHOWN]
