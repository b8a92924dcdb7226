"""Options of a new job as Python code says them, made into the model's NewJob."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final, Literal, TypedDict, Unpack

from hubqueue.api.units import Duration, Moment, duration_ms, moment_ms
from hubqueue.errors import Invalid
from hubqueue.model import options as options_table
from hubqueue.model import payload
from hubqueue.model.flowdata import with_parent
from hubqueue.model.job import Dedup, NewJob
from hubqueue.model.option import Door, Kind, Option, Parent
from hubqueue.model.options import options_at
from hubqueue.model.retry import MAX_BACKOFF_MS, Backoff
from hubqueue.model.schedule import Schedule, check_schedule

HOUR_S: Final = MAX_BACKOFF_MS / 1000
_KNOWN: Final = {option.name: option for option in options_at(Door.PYTHON)}
_RULES: Final = ("immediately", "overlap", "skip_missed", "worker_only")  # of schedules, True or False
_OF_RULES: Final = {"maxLimit": "limit", "repeatEvery": "every", "schedule": "cron"}  # what the wire calls them
_OF_SCHEDULE: Final = {name: option for name, option in _KNOWN.items() if Door.SCHEDULE not in option.left_out}


class RunOptions(TypedDict, total=False):
    """What may be said about the jobs of a schedule: the table (model.options), for checkers of types.

    Durations: seconds or timedelta. backoff: `fixed`, `exponential` or a first delay; dedup: a deduplication key or
    `dedup(...)`.
    """

    priority: int
    delay: Duration
    attempts: int
    backoff: Backoff | Duration
    timeout: Duration
    ttl: Duration
    keep_trying: Duration
    stall_timeout: Duration
    lifo: bool
    durable: bool
    dedup: str | Dedup
    remove_on_complete: bool
    remove_on_fail: bool
    tags: Iterable[str]
    group: str
    group_max_size: int
    stack_trace_limit: int


class JobOptions(RunOptions, total=False):
    """What may be said about a job beside its name and data.

    parent: queue and id of a job that has not started; the data is a dict then, which says who the parent is.
    """

    id: str
    run_at: Moment
    depends_on: Iterable[str]
    parent: tuple[str, str]
    on_failure: Literal["fail", "continue", "ignore", "remove"]


def job(name: str, data: object = None, **options: Unpack[JobOptions]) -> NewJob:
    """A job for `Queue.add_many`."""
    return new_job(name, data, options)


def fixed(delay: Duration, *, jitter: float = 1.0) -> Backoff:
    """Back-off that waits the same time after each failure, give or take a fifth (times jitter, 0..1)."""
    return Backoff("fixed", duration_ms("delay", delay), jitter=jitter)


def exponential(delay: Duration = 1.0, *, max: Duration = HOUR_S, jitter: float = 1.0) -> Backoff:
    """Back-off that doubles: delay * 2^failures, half to one and a half times that (jitter 0..1), at most max."""
    return Backoff("exponential", duration_ms("delay", delay), duration_ms("max", max), jitter)


def dedup(key: str, *, ttl: Duration | None = None, extend: bool = False, replace: bool = False) -> Dedup:
    """Deduplication: while the key is held, adding gives the job that holds it.

    ttl: the key is held so long even after its job has finished; extend: each such add begins the ttl anew;
    replace: the new job takes the place of one that has not started.
    """
    return Dedup(key, None if ttl is None else duration_ms("ttl", ttl), extend, replace)


def new_job(name: str, data: object, options: JobOptions) -> NewJob:
    """The model's job. Errors: Invalid names the option that cannot be."""
    given = given_of(options)
    return options_table.checked_job(name, _packed(data, given.get("parent")), given)


def new_schedule(key: str, queue: str, name: str, data: object, options: RunOptions, **rules: Any) -> Schedule:
    """The model's schedule, which makes jobs with these options. rules: its other fields. Errors: Invalid."""
    job = options_table.new_job(name, None, given_of(options, _OF_SCHEDULE))
    for flag in _RULES:
        _of_type(bool, "True or False", flag, rules[flag])
    made = Schedule(
        key=key,
        queue=queue,
        name=name,
        data=None if data is None else payload.encode(data),
        priority=job.priority,
        delay_ms=job.delay_ms,
        max_attempts=job.max_attempts,
        options=job.options,
        **rules,
    )
    try:
        check_schedule(made)
    except Invalid as error:
        said = options_table.reworded(error)
        field, space, words = said.message.partition(" ")
        raise type(error)(_OF_RULES.get(field, field) + space + words, hint=said.hint) from None
    return made


def _packed(data: object, parent: Parent | None) -> bytes | None:
    if parent is None:
        return None if data is None else payload.encode(data)
    if not (data is None or isinstance(data, dict)):
        raise Invalid("the data of a job with a parent must be a dict", hint="it says who the parent is")
    return with_parent(payload.encode({} if data is None else data), parent.id, parent.queue)


def given_of(options: Mapping[str, Any], known: Mapping[str, Option] = _KNOWN) -> dict[str, Any]:
    """What was said, by the names of the table and in its units. None is not said. Errors: Invalid."""
    unknown = options.keys() - known.keys()
    if unknown:
        raise Invalid(f"unknown job options: {', '.join(sorted(unknown))}", hint=f"known are {', '.join(known)}")
    return {name: _READ[name](name, said) for name, said in options.items() if said is not None}


def _reader(option: Option) -> Callable[[str, Any], Any]:
    match option.kind:
        case Kind.SPAN:
            return duration_ms
        case Kind.TIME:
            return moment_ms
        case Kind.FLAG:
            return partial(_of_type, bool, "True or False")
        case Kind.TEXT:
            return partial(_of_type, str, "a str")
        case Kind.TEXTS:
            return texts
        case Kind.CHOICE:
            return partial(_choice, tuple(option.choices))
        case Kind.MAP:
            return _MAPS[option.name]
    return lambda name, said: said  # a number, which is checked with the whole job


def _of_type(kind: type, words: str, name: str, said: Any) -> Any:
    if not isinstance(said, kind):
        raise Invalid(f"{name} must be {words}, not {said!r}")
    return said


def texts(name: str, said: Any) -> tuple[str, ...]:
    """A list of texts that somebody has given as `name`. Errors: Invalid."""
    found = tuple(said) if isinstance(said, Iterable) and not isinstance(said, str) else (said, None)
    if not all(isinstance(text, str) for text in found):
        raise Invalid(f"{name} must be a list of str, not {said!r}")
    return found


def _choice(choices: tuple[str, ...], name: str, said: Any) -> Any:
    if said not in choices:
        raise Invalid(f"{name} must be one of {', '.join(choices)}, not {said!r}")
    return said


def _backoff(name: str, said: Any) -> Backoff:
    return said if isinstance(said, Backoff) else exponential(said)


def _dedup(name: str, said: Any) -> Dedup:
    return said if isinstance(said, Dedup) else Dedup(_of_type(str, "a key or dedup(...)", name, said))


def _parent(name: str, said: Any) -> Parent:
    match said:
        case (str(queue), str(id)):
            return Parent(queue, id)
    raise Invalid(f"{name} must be a pair of queue and id, not {said!r}")


_MAPS: Final[Mapping[str, Callable[[str, Any], Any]]] = {"backoff": _backoff, "dedup": _dedup, "parent": _parent}
_READ: Final = {name: _reader(option) for name, option in _KNOWN.items()}
