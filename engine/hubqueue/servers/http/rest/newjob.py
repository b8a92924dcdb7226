"""A job as a request brings it: the options of PUSH with their bounds, and user data as JSON."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from hubqueue.model.limits import MAX_NAME_CHARS, MAX_TAGS
from hubqueue.servers.http.rest.fields import Name, Ref
from hubqueue.wire.fields import Attempts, BackoffMs, DelayMs, Fraction, Priority, TimeMs, TimeoutMs

Tag = Annotated[str, Meta(max_length=MAX_NAME_CHARS)]
Relatives = Annotated[list[Ref], Meta(max_length=1000)]


class BackoffOption(msgspec.Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """How long to wait before the next attempt, milliseconds."""

    type: Literal["fixed", "exponential"]
    delay: BackoffMs
    max_delay: BackoffMs | UnsetType = UNSET
    jitter: Fraction | UnsetType = UNSET


class DedupOption(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What to do about a second job with the same `uniqueKey`. ttl: milliseconds."""

    ttl: DelayMs | UnsetType = UNSET
    extend: bool | UnsetType = UNSET
    replace: bool | UnsetType = UNSET


class Options(msgspec.Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What every new job may say of itself. Times in milliseconds."""

    name: Name
    data: Any = UNSET
    priority: Priority | UnsetType = UNSET
    delay: DelayMs | UnsetType = UNSET
    max_attempts: Attempts | UnsetType = UNSET
    run_at: TimeMs | UnsetType = UNSET
    backoff: BackoffMs | BackoffOption | UnsetType = UNSET
    timeout: TimeoutMs | UnsetType = UNSET
    ttl: DelayMs | UnsetType = UNSET
    keep_trying: DelayMs | UnsetType = UNSET
    tags: Annotated[list[Tag], Meta(max_length=MAX_TAGS)] | UnsetType = UNSET
    lifo: bool | UnsetType = UNSET
    durable: bool | UnsetType = UNSET
    remove_on_complete: bool | UnsetType = UNSET
    remove_on_fail: bool | UnsetType = UNSET


class NewJob(Options, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A job to enqueue. `customId`: an id of your own choice, under which it is there once at a time."""

    custom_id: Ref | UnsetType = UNSET
    unique_key: Ref | UnsetType = UNSET
    dedup: DedupOption | UnsetType = UNSET
    depends_on: Relatives | UnsetType = UNSET
    group_id: Name | UnsetType = UNSET
