"""Jobs to come and their options as the protocol takes them: the way back from `wire.jobin`.

For clients that enqueue, and for readers who change a schedule and must not lose what they do not know: they send these
back as they are. Only what differs from the default is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Final, Literal

import msgspec

from hubqueue.model.job import ENDLESS, PLAIN, Dedup, Enqueueable, OnFailure, Options, attempts_of
from hubqueue.model.option import Door, Kind, Option
from hubqueue.model.options import BY_NAME, OPTIONS, check_needs, options_at
from hubqueue.model.retry import DEFAULT_BACKOFF, Backoff
from hubqueue.model.schedule import Schedule
from hubqueue.wire.fields import number
from hubqueue.wire.optiontypes import value_of

BESIDE: Final = ("uniqueKey", "dedup")  # a schedule has them beside the other options of its jobs
POLICIES: Final = {policy: BY_NAME["on_failure"].choices[policy.value] for policy in OnFailure}


def job_fields(
    job: Enqueueable, id_field: Literal["jobId", "customId"] = "customId", custom_id: str | None = None
) -> dict[str, Any]:
    """The fields of one entry of PUSH (jobId) or PUSHB (customId). custom_id: if not the job's own."""
    fields: dict[str, Any] = {"name": job.name, "priority": job.priority}
    id = job.custom_id if custom_id is None else custom_id
    if id is not None:
        fields[id_field] = id
    if job.data is not None:
        fields["data"] = job.data if isinstance(job.data, msgspec.Raw) else msgspec.Raw(job.data)
    if job.delay_ms:
        fields["delay"] = number(job.delay_ms)
    if job.max_attempts != attempts_of(None, job.options):
        fields["maxAttempts"] = job.max_attempts
    if job.run_at_ms is not None:
        fields["runAt"] = number(job.run_at_ms)
    if job.created_at_ms is not None:
        fields["timestamp"] = number(job.created_at_ms)
    if job.options is not None:
        fields |= option_fields(job.options)
    return fields


def option_fields(options: Options) -> dict[str, Any]:
    """The rare options under the names of a job's fields."""
    fields: dict[str, Any] = {}
    for field, default, wire, told in _RARE:
        value = getattr(options, field)
        if value != default:
            if told is None:
                fields[wire] = value
            else:
                fields |= told(wire, value)
    return fields


def pushed(struct: msgspec.Struct, door: Door, known: Iterable[str] = ()) -> dict[str, Any]:
    """The options of a struct with `optiontypes.table_fields` under the names of PUSH. Errors: Invalid.

    Straight across, for bodies of many jobs; a parent must be in the data too (model.flowdata). known: options that are
    said elsewhere.
    """
    fields: dict[str, Any] = {}
    said = list(known)
    for name, wire, told in _pushes(door):
        value = getattr(struct, name)
        if value is not None:
            said.append(name)
            if told is None:
                fields[wire] = value
            else:
                fields |= told(value)
    check_needs(said, lambda option: option.json)
    return fields


def run_options(schedule: Schedule) -> dict[str, Any]:
    """What a schedule says of its jobs: `jobOptions`, and what stands beside them."""
    options = option_fields(schedule.options or PLAIN)
    beside: dict[str, Any] = {name: options.pop(name) for name in BESIDE if name in options}
    own = attempts_out(schedule.max_attempts) | {"delay": number(schedule.delay_ms)}
    return {"jobOptions": own | options, **beside}


def attempts_out(max_attempts: int) -> dict[str, int]:
    """`maxAttempts`, of jobs that are not kept trying instead."""
    return {} if max_attempts == ENDLESS else {"maxAttempts": max_attempts}


def _number(wire: str, value: int) -> dict[str, Any]:
    return {wire: number(value)}


def _backoff(wire: str, backoff: Backoff) -> dict[str, Any]:
    fields = {"type": backoff.kind, "delay": backoff.delay_ms, "maxDelay": backoff.max_ms}
    jitter = {} if backoff.jitter == DEFAULT_BACKOFF.jitter else {"jitter": backoff.jitter}
    return {wire: fields | jitter}


def _dedup(wire: str, dedup: Dedup) -> dict[str, Any]:
    ttl = None if dedup.ttl_ms is None else number(dedup.ttl_ms)
    rules = {"ttl": ttl, "extend": dedup.extend, "replace": dedup.replace}
    return {wire: dedup.key, "dedup": {name: value for name, value in rules.items() if value}}


def _on_failure(wire: str, policy: OnFailure) -> dict[str, Any]:
    return {POLICIES[policy]: True}


_Told = Callable[[str, Any], Mapping[str, Any]]
_TOLD: Final[dict[str, _Told]] = {"backoff": _backoff, "dedup": _dedup, "on_failure": _on_failure}


def _row(name: str) -> tuple[str, Any, str, _Told | None]:
    option = BY_NAME[name]
    is_number = option.kind in (Kind.WHOLE, Kind.SPAN, Kind.TIME)
    return option.field, option.default, option.wire, _TOLD.get(name, _number if is_number else None)


@cache
def _pushes(door: Door) -> list[tuple[str, str, Callable[[Any], Mapping[str, Any]] | None]]:
    return [(option.name, option.wire, _push(option)) for option in options_at(door)]


def _push(option: Option) -> Callable[[Any], Mapping[str, Any]] | None:
    match option.name:
        case "on_failure":
            return lambda policy: _on_failure(option.wire, OnFailure(policy))
        case "parent":
            return lambda parent: {option.wire: parent.id}
    told = _TOLD.get(option.name)
    return None if told is None else lambda value: told(option.wire, value_of(option, value))


# a repeated job has its chain in the hub that it is in: nobody passes it on
_RARE: Final = [_row(option.name) for option in OPTIONS if option.is_rare and option.name != "repeat"]
