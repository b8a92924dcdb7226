"""A job as the protocol shows it: every key, always present, most of them at their defaults.

Called by the servers for each job that leaves; so the keys of a usual job are set in one call, and options and
history are decoded only where a job has them.
Units: times are float64 Unix milliseconds; JavaScript clients cannot read larger integers.
Source: docs/protocol.md, "The job".
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Raw, UnsetType

from hubqueue.model.job import NO_HISTORY, Flag, History, Job, OnFailure, Options, failed_reason
from hubqueue.model.retry import PATIENT_BACKOFF
from hubqueue.model.state import TERMINAL, State, shown
from hubqueue.wire.fields import number
from hubqueue.wire.repeat import RepeatOut, repeat_out


class Step(msgspec.Struct, omit_defaults=True, gc=False):
    """One entry of the timeline. reason (ours): why that run failed."""

    state: str
    timestamp: float
    error: str | None = None
    attempt: int | None = None
    reason: str | None = None


class BackoffOut(msgspec.Struct, rename="camel", gc=False):
    """Back-off in its long form."""

    type: str
    delay: float
    max_delay: float
    jitter: float


class JobMap(msgspec.Struct, rename="camel", gc=False):
    """All keys of a job. Ours are `seq`, `lostCount`, `finishedAt`, `reason` (of a dead letter), `keepTrying` and
    `endsAt`: when its `ttl` or `keepTrying` is over, while it has not ended.

    From `state` on they come only with queries.
    """

    id: str
    queue: str
    name: str
    data: Raw | UnsetType
    priority: int
    created_at: float
    run_at: float
    started_at: float | None
    completed_at: float | None
    attempts: int
    max_attempts: int
    progress: float
    last_heartbeat: float
    stall_count: int
    lost_count: int
    custom_id: str | None
    seq: float
    timeline: tuple[Step, ...]
    backoff: float = 1000
    backoff_config: BackoffOut | None = None
    depends_on: tuple[str, ...] = ()
    children_ids: tuple[str, ...] = ()
    children_completed: int = 0
    tags: tuple[str, ...] = ()
    progress_message: str | None = None
    stacktrace: tuple[str, ...] | None = None
    repeat: RepeatOut | None = None
    durable: bool = False
    lifo: bool = False
    remove_on_complete: bool = False
    remove_on_fail: bool = False
    ttl: float | None = None
    keep_trying: float | None = None
    ends_at: float | None = None
    timeout: int | None = None
    stall_timeout: int | None = None
    keep_logs: int | None = None
    size_limit: int | None = None
    deduplication_ttl: float | None = None
    deduplication_extend: bool = False
    deduplication_replace: bool = False
    unique_key: str | None = None
    debounce_id: str | None = None
    debounce_ttl: int | None = None
    parent_id: str | None = None
    group_id: str | None = None
    stack_trace_limit: int = 10
    fail_parent_on_failure: bool = False
    remove_dependency_on_failure: bool = False
    continue_parent_on_failure: bool = False
    ignore_dependency_on_failure: bool = False
    finished_at: float | None = None
    state: str | UnsetType = UNSET
    returnvalue: Raw | UnsetType = UNSET
    failed_reason: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET


def job_map(job: Job) -> JobMap:
    """The job with every key of a job that is handed out."""
    created, started = float(job.created_at_ms), job.started_at_ms
    finished = None if job.finished_at_ms is None else float(job.finished_at_ms)
    completed = finished if job.state == State.COMPLETED else None
    history = NO_HISTORY if job.history_blob is None else job.history
    found = JobMap(
        job.id,
        job.queue,
        job.name,
        UNSET if job.data is None else Raw(job.data),
        job.priority,
        created,
        float(job.run_at_ms),
        None if started is None else float(started),
        completed,
        job.attempts,
        job.max_attempts,
        job.progress,
        created if job.heartbeat_at_ms is None else float(job.heartbeat_at_ms),
        job.stall_count,
        job.lost_count,
        job.custom_id,
        float(job.seq),
        _timeline(job, history, completed),
    )
    if job.flags & Flag.LIFO:  # not the option: ChangePriority may have turned it
        found.lifo = True
    found.finished_at = finished
    if job.flags & Flag.ENDS and job.expires_at_ms is not None and job.state not in TERMINAL:
        found.ends_at = float(job.expires_at_ms)
    if job.options_blob is not None:
        _add_options(found, job.options)
    if history is not NO_HISTORY:
        found.progress_message = history.progress_message
        found.stacktrace = history.stack or None
    return found


def queried_job(job: Job) -> JobMap:
    """The job with its state, result and last error besides."""
    found = job_map(job)
    found.state = shown(State(job.state), job.priority)
    if job.result is not None:
        found.returnvalue = Raw(job.result)
    history = job.history
    error = failed_reason(history)
    if error:
        found.failed_reason = error
    if history.reason:
        found.reason = history.reason
    return found


def _timeline(job: Job, history: History, completed: float | None) -> tuple[Step, ...]:
    """What is known of the job's way: its push, its failed runs, and where it is now."""
    pushed = Step(_first_state(job), float(job.created_at_ms))
    steps = [pushed]
    for run in history.attempts:
        steps.append(Step("active", float(run.started_at_ms)))
        steps.append(Step("failed", float(run.failed_at_ms), run.error, run.attempt, run.reason))
    if job.started_at_ms is not None and job.state in (State.ACTIVE, State.COMPLETED):
        steps.append(Step("active", float(job.started_at_ms)))
    if completed is not None:
        steps.append(Step("completed", completed))
    return tuple(steps)


def _first_state(job: Job) -> str:
    """The state it was pushed in, as far as the row still tells."""
    if job.flags & Flag.DEPENDENT:
        return "waiting-children"
    if job.run_at_ms > job.created_at_ms and job.attempts == 0:
        return "delayed"
    return "prioritized" if job.priority > 0 else "waiting"


def _add_options(found: JobMap, options: Options) -> None:
    backoff = options.backoff or (None if options.keep_trying_ms is None else PATIENT_BACKOFF)
    if backoff is not None:
        found.backoff = backoff.delay_ms
        found.backoff_config = BackoffOut(backoff.kind, backoff.delay_ms, backoff.max_ms, backoff.jitter)
    if options.dedup is not None:
        found.unique_key = options.dedup.key
        found.deduplication_ttl = None if options.dedup.ttl_ms is None else number(options.dedup.ttl_ms)
        found.deduplication_extend = options.dedup.extend
        found.deduplication_replace = options.dedup.replace
    found.tags = options.tags
    found.repeat = repeat_out(options.repeat)
    found.durable = options.durable
    found.remove_on_complete = options.remove_on_complete
    found.remove_on_fail = options.remove_on_fail
    found.ttl = None if options.ttl_ms is None else number(options.ttl_ms)
    found.keep_trying = None if options.keep_trying_ms is None else number(options.keep_trying_ms)
    found.timeout = options.timeout_ms
    found.stall_timeout = options.stall_timeout_ms
    found.stack_trace_limit = options.stack_trace_limit
    found.group_id = options.group
    found.depends_on = options.depends_on
    found.children_ids = options.children_ids
    found.parent_id = options.parent_id
    if options.on_failure is not None:
        found.fail_parent_on_failure = options.on_failure is OnFailure.FAIL
        found.continue_parent_on_failure = options.on_failure is OnFailure.CONTINUE
        found.ignore_dependency_on_failure = options.on_failure is OnFailure.IGNORE
        found.remove_dependency_on_failure = options.on_failure is OnFailure.REMOVE
