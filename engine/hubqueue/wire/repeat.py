"""The `repeat` option of a job, as it comes in and as it is shown.

Source: docs/protocol.md, "Repeated jobs".
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from hubqueue.errors import Invalid
from hubqueue.model.repeat import Repeat, check_every
from hubqueue.model.schedule import next_match_ms
from hubqueue.wire.fields import Count, TimeMs, number

BAD_PATTERN: Final = "Invalid cron expression: "


class RepeatIn(msgspec.Struct, rename="camel", gc=False, kw_only=True):
    """How a job is to be repeated."""

    every: float | None = None
    pattern: str | None = None
    limit: Count | None = None
    count: Count | None = None
    start_date: TimeMs | None = None
    end_date: TimeMs | None = None
    tz: str | None = None
    immediately: bool | None = None
    prev_millis: TimeMs | None = None
    offset: TimeMs | None = None
    job_id: str | None = None


class RepeatOut(msgspec.Struct, rename="camel", gc=False, kw_only=True):
    """The same as it is shown: what was not set is left out."""

    count: float
    every: float | UnsetType = UNSET
    pattern: str | UnsetType = UNSET
    limit: float | UnsetType = UNSET
    start_date: float | UnsetType = UNSET
    end_date: float | UnsetType = UNSET
    tz: str | UnsetType = UNSET
    immediately: bool | UnsetType = UNSET
    prev_millis: float | UnsetType = UNSET
    offset: float | UnsetType = UNSET
    job_id: str | UnsetType = UNSET


def to_repeat(given: RepeatIn | None) -> Repeat | None:
    """The option as the engine's value. Errors: Invalid."""
    if given is None:
        return None
    if (given.every is None) == (given.pattern is None):
        raise Invalid("repeat requires exactly one of every or pattern")
    if given.pattern is not None:
        try:
            found = next_match_ms(given.pattern, given.tz, 0)
        except Invalid as error:
            text = f"Invalid repeat pattern: {error.message.removeprefix(BAD_PATTERN)}"
            raise Invalid(text, hint=error.hint) from None
        if found is None:
            raise Invalid("Invalid repeat pattern: Cron expression has no future occurrences")
    return Repeat(
        every_ms=None if given.every is None else check_every(given.every),
        pattern=given.pattern,
        timezone=given.tz,
        limit=given.limit or None,
        count=given.count or 0,
        start_ms=given.start_date,
        end_ms=given.end_date,
        prev_ms=given.prev_millis,
        offset_ms=given.offset,
        immediately=given.immediately,
        key=given.job_id,
    )


def repeat_out(repeat: Repeat | None) -> RepeatOut | None:
    """The option as it is shown."""
    if repeat is None:
        return None
    return RepeatOut(
        count=number(repeat.count),
        every=UNSET if repeat.every_ms is None else float(repeat.every_ms),
        pattern=_or_unset(repeat.pattern),
        limit=UNSET if repeat.limit is None else number(repeat.limit),
        start_date=_time(repeat.start_ms),
        end_date=_time(repeat.end_ms),
        tz=_or_unset(repeat.timezone),
        immediately=UNSET if repeat.immediately is None else repeat.immediately,
        prev_millis=_time(repeat.prev_ms),
        offset=_time(repeat.offset_ms),
        job_id=_or_unset(repeat.key),
    )


def _time(at_ms: int | None) -> float | UnsetType:
    return UNSET if at_ms is None else float(at_ms)


def _or_unset(text: str | None) -> str | UnsetType:
    return UNSET if text is None else text
