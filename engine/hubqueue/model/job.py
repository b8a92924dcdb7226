"""What a job is made of: NewJob goes in, Job comes out.

`data` and `result` are MessagePack bytes and stay so: the engine passes them on byte for byte and decodes
them only where a rule needs it. None means absent; b"\\xc0" is an explicit null.
Options that most jobs do not have live in `Options`, one BLOB of the row: a job without them pays nothing.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, Protocol

import msgspec

from hubqueue.model.repeat import Repeat
from hubqueue.model.retry import Backoff
from hubqueue.model.state import State

PENDING_PARENT: Final = "pending"  # older clients push children before their parent, with this instead of its id


class OnFailure(Enum):
    """What the final failure of a child does to its parent."""

    FAIL = "fail"  # the parent fails too, and its parent
    CONTINUE = "continue"  # the parent runs at once, whatever its other children do
    IGNORE = "ignore"  # the parent no longer waits for it, and can read why it failed
    REMOVE = "remove"  # the parent no longer waits for it


class Dedup(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Deduplication inside one queue: the key is held while its job waits or runs, and for `ttl_ms`.

    Units: ttl_ms milliseconds from the push; None holds the key just as long as the job lives.
    """

    key: str
    ttl_ms: int | None = None
    extend: bool = False
    replace: bool = False


class Options(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The options that are rare. Stored as one MessagePack map with only those that differ from the default.

    ttl_ms: after so long the job is removed, unless it runs then. keep_trying_ms: a job that has not completed after
    so long is a dead letter; until then it is tried again and again. Both count from when the job was made.
    Units: milliseconds.
    """

    backoff: Backoff | None = None
    timeout_ms: int | None = None
    ttl_ms: int | None = None
    keep_trying_ms: int | None = None
    stall_timeout_ms: int | None = None
    lifo: bool = False
    durable: bool = False
    dedup: Dedup | None = None
    remove_on_complete: bool = False
    remove_on_fail: bool = False
    tags: tuple[str, ...] = ()
    stack_trace_limit: int = 10
    group: str | None = None
    group_max_size: int | None = None
    depends_on: tuple[str, ...] = ()
    children_ids: tuple[str, ...] = ()
    parent_id: str | None = None
    on_failure: OnFailure | None = None
    repeat: Repeat | None = None


PLAIN: Final = Options()
DEFAULT_ATTEMPTS: Final = 3  # what a job has that does not say
ENDLESS: Final = 2**31 - 1  # attempts of one that says how long it is to be kept trying instead


def attempts_of(given: int | None, options: Options | None) -> int:
    """How often a job may fail that was given this number, or none."""
    if given is not None:
        return given
    return DEFAULT_ATTEMPTS if options is None or options.keep_trying_ms is None else ENDLESS


class Flag:
    """What the row's options hold, so that hot paths need not decode them. Stored: never change a number.

    Plain ints: `&` on an IntFlag costs 2 us, and these are asked for every job.
    """

    DURABLE = 1
    REMOVE_ON_COMPLETE = 2
    REMOVE_ON_FAIL = 4
    DEDUP = 8
    CUSTOM_ID = 16
    TIMEOUT = 32
    TTL = 64
    LIFO = 128
    STALL_TIMEOUT = 256
    CANCELLED = 512  # cancel was asked for while the job was active
    ABSOLUTE = 1024  # run_at_ms was given as a time of day: it does not move when the clock jumps
    LOGS = 2048  # job_log has lines of it
    GROUPED = 4096
    DEPENDED = 8192  # a job waits, or has waited, for this one: look into `dependency` when it ends
    DEPENDENT = 16384  # this job waits, or has waited, for others
    ORPHAN = 32768  # a child that still waits for its parent: it is kept when it completes
    REPEAT = 65536  # its completion makes a successor
    KEEP_TRYING = 131072  # expires_at_ms makes a dead letter of it; with TTL, which ends first, it removes it
    ENDS = TTL | KEEP_TRYING  # at most one of the two: what happens at expires_at_ms


def flags_of(options: Options, custom_id: str | None) -> int:
    """The flags to store beside these options."""
    ends = _first_end(options)
    held = {
        Flag.DURABLE: options.durable,
        Flag.REMOVE_ON_COMPLETE: options.remove_on_complete,
        Flag.REMOVE_ON_FAIL: options.remove_on_fail,
        Flag.DEDUP: options.dedup is not None,
        Flag.CUSTOM_ID: custom_id is not None,
        Flag.TIMEOUT: options.timeout_ms is not None,
        Flag.TTL: ends == Flag.TTL,
        Flag.KEEP_TRYING: ends == Flag.KEEP_TRYING,
        Flag.LIFO: options.lifo,
        Flag.STALL_TIMEOUT: options.stall_timeout_ms is not None,
        Flag.GROUPED: options.group is not None,
        Flag.REPEAT: options.repeat is not None,
        Flag.ORPHAN: options.parent_id == PENDING_PARENT,
    }
    return sum(flag for flag, is_held in held.items() if is_held)


def _first_end(options: Options) -> int:
    """Which of its two ends comes first: of two at the same time the one that loses nothing."""
    if options.keep_trying_ms is None:
        return 0 if options.ttl_ms is None else Flag.TTL
    return Flag.TTL if options.ttl_ms is not None and options.ttl_ms < options.keep_trying_ms else Flag.KEEP_TRYING


def lasts_ms(options: Options) -> int | None:
    """How long after it was made a job ends by itself; None: never."""
    return min((each for each in (options.ttl_ms, options.keep_trying_ms) if each is not None), default=None)


class Enqueueable(Protocol):
    """What the store reads of a job that is to be enqueued: NewJob, or the wire's own plain struct."""

    @property
    def name(self) -> str: ...
    @property
    def data(self) -> bytes | bytearray | memoryview | msgspec.Raw | None: ...
    @property
    def priority(self) -> int: ...
    @property
    def delay_ms(self) -> int: ...
    @property
    def max_attempts(self) -> int: ...
    @property
    def run_at_ms(self) -> int | None: ...
    @property
    def created_at_ms(self) -> int | None: ...
    @property
    def custom_id(self) -> str | None: ...
    @property
    def options(self) -> Options | None: ...


class NewJob(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A job before it is accepted. `model.limits.check_new_job` says whether it is valid.

    Units: delay_ms from now; run_at_ms and created_at_ms Unix UTC milliseconds. run_at_ms goes before delay_ms.
    """

    name: str = "default"
    data: bytes | None = None
    priority: int = 0
    delay_ms: int = 0
    max_attempts: int = DEFAULT_ATTEMPTS
    run_at_ms: int | None = None
    created_at_ms: int | None = None
    custom_id: str | None = None
    options: Options | None = None


class Attempt(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One failed run, kept in the job's bounded error history.

    Units: Unix milliseconds. reason: explicit_fail, timeout, stalled, worker_lost, rejected.
    """

    attempt: int
    started_at_ms: int
    failed_at_ms: int
    reason: str
    error: str | None = None


class History(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What went wrong so far, and what the worker said. One MessagePack BLOB of the row, NULL while empty.

    reason is set when the job entered the dead-letter queue: max_attempts_exceeded, rejected, timeout,
    stalled, worker_lost, ttl_expired, discarded, unroutable. retries: how often it left it by itself, the last time
    at retried_at_ms; retry_at_ms: when it will again.
    """

    attempts: tuple[Attempt, ...] = ()
    reason: str | None = None
    error: str | None = None
    stack: tuple[str, ...] = ()
    progress_message: str | None = None
    retries: int = 0
    retried_at_ms: int | None = None
    retry_at_ms: int | None = None


NO_HISTORY: Final = History()


def failed_reason(history: History) -> str | None:
    """Why it is dead, or the error of the newest failed run."""
    return history.error or last_error(history)


def last_error(history: History) -> str | None:
    """The error of the newest failed run that had one."""
    return next((run.error for run in reversed(history.attempts) if run.error), None)


class Job(msgspec.Struct, gc=False):
    """A stored job, as every reader gets it. The fields after `queue` are the columns the store reads, in order.

    Units: *_ms Unix UTC milliseconds. attempts counts failed runs; it is 0 during the first run. expires_at_ms: when
    its `ttl` or `keep_trying` ends (see Flag), or when a dead letter is tried again by itself.
    """

    id: str
    queue: str
    seq: int
    state: State
    flags: int
    priority: int
    name: str
    data: bytes | None
    run_at_ms: int
    created_at_ms: int
    attempts: int
    max_attempts: int
    lease_no: int = 0
    stall_count: int = 0
    lost_count: int = 0
    started_at_ms: int | None = None
    heartbeat_at_ms: int | None = None
    deadline_ms: int | None = None
    finished_at_ms: int | None = None
    expires_at_ms: int | None = None
    progress: float = 0.0
    owner: str | None = None
    custom_id: str | None = None
    options_blob: bytes | None = None
    history_blob: bytes | None = None
    result: bytes | None = None

    @property
    def options(self) -> Options:
        return PLAIN if self.options_blob is None else decode_options(self.options_blob)

    @property
    def history(self) -> History:
        return NO_HISTORY if self.history_blob is None else decode_history(self.history_blob)


_encoder = msgspec.msgpack.Encoder()
decode_options: Final = msgspec.msgpack.Decoder(Options).decode
decode_history: Final = msgspec.msgpack.Decoder(History).decode


def options_blob(options: Options | None) -> bytes | None:
    """The stored form of options: None when every one is the default."""
    return None if options is None or options == PLAIN else _encoder.encode(options)


def history_blob(history: History) -> bytes | None:
    """The stored form of a history: None when it is empty."""
    return None if history == NO_HISTORY else _encoder.encode(history)


def allowed_attempts(job: Job) -> int | None:
    """How often it may fail; None where that ends with its `keep_trying`."""
    return None if job.max_attempts == ENDLESS else job.max_attempts


class Leased(msgspec.Struct, frozen=True, gc=False):
    """A job handed to a worker, with the token that settles it. `token` is "" for an ownerless lease."""

    job: Job
    token: str

    @property
    def id(self) -> str:
        return self.job.id
