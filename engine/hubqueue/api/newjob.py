"""Options of a new job as Python code says them, made into the model's NewJob."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypedDict, Unpack

from hubqueue.api.units import Duration, Moment, duration_ms, moment_ms
from hubqueue.errors import Invalid
from hubqueue.model import payload
from hubqueue.model.job import PLAIN, Dedup, NewJob, Options, attempts_of
from hubqueue.model.limits import check_new_job
from hubqueue.model.retry import MAX_BACKOFF_MS, Backoff

HOUR_S: Final = MAX_BACKOFF_MS / 1000


class JobOptions(TypedDict, total=False):
    """What may be said about a job beside its name and data. Durations: seconds or timedelta.

    delay, run_at: not before; attempts: runs until it is dead; backoff: `fixed`, `exponential` or a first delay;
    timeout: of one run; ttl: it is dropped if it has not started by then; keep_trying: it is tried again and again
    for so long, however often it fails, and is a dead letter then; stall_timeout: silence of its worker;
    lifo: newest first; durable: on the disk, not only in the log, before the answer; id: a custom id; unique: a
    deduplication key or `unique(...)`.
    """

    priority: int
    delay: Duration
    run_at: Moment
    attempts: int
    backoff: Backoff | Duration
    timeout: Duration
    ttl: Duration
    keep_trying: Duration
    stall_timeout: Duration
    lifo: bool
    durable: bool
    id: str
    unique: str | Dedup
    tags: Iterable[str]
    remove_on_complete: bool
    remove_on_fail: bool


def job(name: str, data: object = None, **options: Unpack[JobOptions]) -> NewJob:
    """A job for `Queue.add_many`."""
    return new_job(name, data, options)


def fixed(delay: Duration, *, jitter: float = 1.0) -> Backoff:
    """Back-off that waits the same time after each failure, give or take a fifth (times jitter, 0..1)."""
    return Backoff("fixed", duration_ms("delay", delay), jitter=jitter)


def exponential(delay: Duration = 1.0, *, cap: Duration = HOUR_S, jitter: float = 1.0) -> Backoff:
    """Back-off that doubles: delay * 2^failures, half to one and a half times that (jitter 0..1), at most cap."""
    return Backoff("exponential", duration_ms("delay", delay), duration_ms("cap", cap), jitter)


def unique(key: str, *, ttl: Duration | None = None, extend: bool = False, replace: bool = False) -> Dedup:
    """Deduplication: while the key is held, adding gives the job that holds it.

    ttl: the key is held so long even after its job has finished; extend: each such add begins the ttl anew;
    replace: the new job takes the place of one that has not started.
    """
    return Dedup(key, None if ttl is None else duration_ms("ttl", ttl), extend, replace)


def new_job(name: str, data: object, options: JobOptions) -> NewJob:
    """The model's job. Errors: Invalid names the option that cannot be."""
    unknown = options.keys() - JobOptions.__annotations__.keys()
    if unknown:
        raise Invalid(f"unknown job options: {', '.join(sorted(unknown))}", hint=f"known are {', '.join(_KNOWN)}")
    rare = Options(
        backoff=_backoff(options.get("backoff")),
        timeout_ms=_ms(options, "timeout"),
        ttl_ms=_ms(options, "ttl"),
        keep_trying_ms=_ms(options, "keep_trying"),
        stall_timeout_ms=_ms(options, "stall_timeout"),
        lifo=options.get("lifo", False),
        durable=options.get("durable", False),
        dedup=_dedup(options.get("unique")),
        remove_on_complete=options.get("remove_on_complete", False),
        remove_on_fail=options.get("remove_on_fail", False),
        tags=tuple(options.get("tags", ())),
    )
    job = NewJob(
        name=name,
        data=None if data is None else payload.encode(data),
        priority=options.get("priority", 0),
        delay_ms=duration_ms("delay", options.get("delay", 0)),
        max_attempts=attempts_of(options.get("attempts"), rare),
        run_at_ms=moment_ms("run_at", options["run_at"]) if "run_at" in options else None,
        custom_id=options.get("id"),
        options=None if rare == PLAIN else rare,
    )
    check_new_job(job)
    return job


def _ms(options: JobOptions, name: str) -> int | None:
    value = options.get(name)
    return None if value is None else duration_ms(name, value)  # type: ignore[arg-type]


def _backoff(value: Backoff | Duration | None) -> Backoff | None:
    if value is None or isinstance(value, Backoff):
        return value
    return exponential(value)


def _dedup(value: str | Dedup | None) -> Dedup | None:
    return Dedup(value) if isinstance(value, str) else value


_KNOWN: Final = tuple(JobOptions.__annotations__)
