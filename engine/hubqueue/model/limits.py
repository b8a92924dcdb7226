"""Bounds of what a hub accepts, and the checks of names and options. Texts are those clients of the protocol know."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from typing import Final

from hubqueue.errors import Invalid, PayloadTooLarge
from hubqueue.model.job import ENDLESS, Dedup, Enqueueable, Options

MAX_NAME_CHARS: Final = 256
MAX_DATA_BYTES: Final = 10 * 1024 * 1024
LOOK_BYTES: Final = MAX_DATA_BYTES // 4  # a request of less has no data that is too large: JSON grows, but not so much
MAX_KEPT_BYTES: Final = 4 * 1024 * 1024  # of a message that becomes no job: what is whole can be routed again
MAX_FRAME_BYTES: Final = 64 * 1024 * 1024
MAX_PRIORITY: Final = 1_000_000
MAX_DELAY_MS: Final = 31_536_000_000  # one year
MAX_TIMEOUT_MS: Final = 86_400_000  # one day
MAX_ATTEMPTS: Final = 1000
MAX_BACKOFF_DELAY_MS: Final = 86_400_000
MAX_BATCH: Final = 10_000  # jobs in one PUSHB
MAX_LEASE_BATCH: Final = 1000  # jobs in one PULLB or ACKB
MAX_BLOBS: Final = 10_000  # state blobs in one page
MAX_WAIT_MS: Final = 60_000  # longest long-poll
MIN_LEASE_MS: Final = 1000
MAX_LEASE_MS: Final = 86_400_000
MAX_CUSTOM_ID_CHARS: Final = 1024
MAX_ERROR_CHARS: Final = 4096  # an error text is truncated at the door
MAX_STACK_LINES: Final = 100
MAX_HISTORY: Final = 20  # attempts remembered per job
MAX_STACK_LIMIT: Final = 10_000  # what a job may ask for; MAX_STACK_LINES are kept
MAX_TAGS: Final = 100
MAX_RELATIVES: Final = 10_000  # jobs one job may wait for
MAX_GROUP_PRIORITY: Final = 2_097_151
WRITE_TIMEOUT_S: Final = 20  # of a forwarder: a silent job costs it twice, and nobody waits 60 s for another
MAX_COUNT: Final = 2**53 - 1  # the largest integer that every client can hold
MAX_TIME_MS: Final = 253_402_300_799_999  # the last millisecond of the year 9999

_QUEUE = re.compile(r"[A-Za-z0-9_.:-]{1,256}\Z")


def check_queue(name: object) -> str:
    """The queue name, or Invalid."""
    if not isinstance(name, str) or not name:
        raise Invalid("Queue name is required")
    if len(name) > MAX_NAME_CHARS:
        raise Invalid("Queue name too long (max 256 characters)")
    if _QUEUE.match(name) is None:
        raise Invalid("Queue name contains invalid characters", hint="letters, digits and . _ : - are allowed")
    return name


def check_name(name: object) -> None:
    """A job name: 1 to 256 characters of valid Unicode."""
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME_CHARS or not _well_formed(name):
        raise Invalid("Job name must be a non-empty string of at most 256 characters")


def check_new_job(job: Enqueueable) -> None:
    """Every bound of a job that is to be enqueued."""
    check_name(job.name)
    check_int("priority", job.priority, -MAX_PRIORITY, MAX_PRIORITY)
    check_int("delay", job.delay_ms, 0, MAX_DELAY_MS)
    if job.max_attempts != ENDLESS or job.options is None or job.options.keep_trying_ms is None:
        check_int("maxAttempts", job.max_attempts, 1, MAX_ATTEMPTS)
    if job.run_at_ms is not None:
        check_int("runAt", job.run_at_ms, 0, MAX_TIME_MS)
    if job.created_at_ms is not None:
        check_int("timestamp", job.created_at_ms, 0, MAX_TIME_MS)
    if job.custom_id is not None:
        check_custom_id(job.custom_id)
    check_size(job.data)
    if job.options is not None:
        check_options(job.options)
        check_delay(job.delay_ms, job.options)
        if job.options.group is not None and not 0 <= job.priority <= MAX_GROUP_PRIORITY:
            raise Invalid(f"group.priority must be between 0 and {MAX_GROUP_PRIORITY}")


def check_size(data: object) -> None:
    """Data and results: at most 10 MiB of MessagePack."""
    if data is not None and len(memoryview(data)) > MAX_DATA_BYTES:  # type: ignore[arg-type]
        raise PayloadTooLarge("Job data too large (max 10MB)")


def check_custom_id(custom_id: str) -> None:
    """A custom id: any well-formed text of 1 to 1024 characters."""
    _check_words("jobId", custom_id, MAX_CUSTOM_ID_CHARS)


def check_group(name: str) -> None:
    """The name of a group: 1 to 256 characters."""
    _check_words("groupId", name, MAX_NAME_CHARS)
    if "\0" in name:
        raise Invalid(f"groupId must be well-formed text: character {name.index(chr(0)) + 1} is a NUL")


def check_tags(tags: Collection[str]) -> Collection[str]:
    """The tags of a job, or those that it is looked for by."""
    if len(tags) > MAX_TAGS or any(len(tag) > MAX_NAME_CHARS or not _well_formed(tag) for tag in tags):
        raise Invalid("tags must be at most 100 strings of at most 256 characters")
    return tags


def check_options(options: Options) -> None:
    """Bounds of the rare options."""
    if options.backoff is not None:
        if options.backoff.kind not in ("exponential", "fixed"):
            raise Invalid("backoff.type must be 'fixed' or 'exponential'")
        check_number("backoff.delay", options.backoff.delay_ms, 0, MAX_BACKOFF_DELAY_MS)
        check_number("backoff.maxDelay", options.backoff.max_ms, 0, MAX_BACKOFF_DELAY_MS)
        check_number("backoff.jitter", options.backoff.jitter, 0, 1)
    if options.timeout_ms is not None:
        check_int("timeout", options.timeout_ms, 1, MAX_TIMEOUT_MS)
    if options.ttl_ms is not None:
        check_int("ttl", options.ttl_ms, 1, MAX_DELAY_MS)
    if options.keep_trying_ms is not None:
        check_int("keepTrying", options.keep_trying_ms, 1, MAX_DELAY_MS)
    if options.stall_timeout_ms is not None:
        check_int("stallTimeout", options.stall_timeout_ms, 1, MAX_TIMEOUT_MS)
    check_int("stackTraceLimit", options.stack_trace_limit, 0, MAX_STACK_LIMIT)
    check_tags(options.tags)
    if options.group is not None:
        check_group(options.group)
    if options.group_max_size is not None:
        check_int("group.maxSize", options.group_max_size, 1, MAX_COUNT)
    for field, ids in (("dependsOn", options.depends_on), ("childrenIds", options.children_ids)):
        if len(ids) > MAX_RELATIVES:
            raise Invalid(f"{field} must hold at most {MAX_RELATIVES} ids")
        if not all(map(_well_formed, ids)):
            raise Invalid(f"{field} must hold well-formed text")
    if not _well_formed(options.parent_id or ""):
        raise Invalid("parentId must be well-formed text")
    if options.dedup is not None:
        _check_dedup(options.dedup)


def _check_dedup(dedup: Dedup) -> None:
    _check_words("uniqueKey", dedup.key, MAX_CUSTOM_ID_CHARS)
    if dedup.ttl_ms is not None:
        check_int("dedup.ttl", dedup.ttl_ms, 1, MAX_DELAY_MS)
    for name, flag in (("extend", dedup.extend), ("replace", dedup.replace)):
        if not isinstance(flag, bool):
            raise Invalid(f"dedup.{name} must be a boolean")


def check_delay(delay_ms: int, options: Options) -> None:
    """A job that ends before it is due would never be tried."""
    if options.keep_trying_ms is not None and delay_ms >= options.keep_trying_ms:
        raise Invalid(
            f"keepTrying ({options.keep_trying_ms} ms) ends before the job is due (delay {delay_ms} ms)",
            hint="it counts from when the job is made: let it be longer than the delay",
        )


def check_int(field: str, value: object, low: int, high: int) -> None:
    """An integer in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise Invalid(f"{field} must be an integer" if isinstance(value, float) else f"{field} must be a number")
    _check_range(field, value, low, high)


def check_text(field: str, value: object, chars: int) -> None:
    """Well-formed text of 1 to so many characters."""
    if not isinstance(value, str) or not 1 <= len(value) <= chars or not _well_formed(value):
        raise Invalid(f"{field} must be a non-empty string of at most {chars} characters")


def _check_words(field: str, value: object, chars: int) -> None:
    """As `check_text`, and what is wrong with it."""
    if not isinstance(value, str):
        raise Invalid(f"{field} must be a string")
    if not value:
        raise Invalid(f"{field} must be a non-empty string")
    if len(value) > chars:
        raise Invalid(f"{field} must be at most {chars} characters")
    if not _well_formed(value):
        at = next(at for at, char in enumerate(value, 1) if not _well_formed(char))
        raise Invalid(f"{field} must be well-formed text: character {at} is half of a surrogate pair")


def check_number(field: str, value: object, low: float, high: float) -> None:
    """A finite number in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Invalid(f"{field} must be a number")
    if not math.isfinite(value):
        raise Invalid(f"{field} must be a finite number")
    _check_range(field, value, low, high)


def _check_range(field: str, value: float, low: float, high: float) -> None:
    if value < low:
        raise Invalid(f"{field} must be at least {low}")
    if value > high:
        raise Invalid(f"{field} must be at most {high}")


def _well_formed(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)
