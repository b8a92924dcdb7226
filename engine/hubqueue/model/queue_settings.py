"""What a client may set for one queue: how its dead letters are kept and tried again, and what counts as stalled.

Stored with the queue. Whatever is not set is as the hub's configuration says (`model.bounds`).
Source: docs/protocol.md, SetDlqConfig and SetStallConfig.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from hubqueue.errors import Invalid
from hubqueue.model.bounds import QueueBounds

MAX_MS: Final = 2**53 - 1
# who asked for these to die: trying them again by itself would go against that
FINAL_REASONS: Final = frozenset({"rejected", "discarded", "cancelled", "unroutable", "ttl_expired"})


class DlqSettings(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Units: *_ms milliseconds. keep_ms None keeps dead letters for ever; max_dead counts them."""

    max_dead: int
    keep_ms: int | None = None
    auto_retry: bool = False
    retry_every_ms: int = 3_600_000
    max_retries: int = 3

    def next_retry_ms(self, now_ms: int, retries: int, reason: str) -> int | None:
        """When a job that dies now is tried again by itself: later each time. None: not at all."""
        if not self.auto_retry or retries >= self.max_retries or reason in FINAL_REASONS:
            return None
        return now_ms + min(self.retry_every_ms << max(0, min(retries, 40) - 1), MAX_MS - now_ms)


class StallSettings(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Units: *_ms milliseconds. interval_ms is the lease of a job that was pulled without an owner.

    grace_ms is kept for its clients: here a lease counts from its start. enabled False: such a job is never stalled.
    """

    max_stalls: int
    enabled: bool = True
    interval_ms: int = 30_000
    grace_ms: int = 5_000


class QueueSettings(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The settings of one queue; None: nobody has set these."""

    dlq: DlqSettings | None = None
    stall: StallSettings | None = None

    def within(self, bounds: QueueBounds) -> QueueBounds:
        """The configured bounds with these settings over them."""
        if self.dlq is not None:
            bounds = msgspec.structs.replace(bounds, max_dead=self.dlq.max_dead, keep_dead_ms=self.dlq.keep_ms)
        if self.stall is not None:
            bounds = msgspec.structs.replace(bounds, max_stalls=self.stall.max_stalls)
        return bounds


def dlq_settings(settings: QueueSettings | None, bounds: QueueBounds) -> DlqSettings:
    """How the dead letters of a queue are kept."""
    if settings is not None and settings.dlq is not None:
        return settings.dlq
    return DlqSettings(bounds.max_dead, bounds.keep_dead_ms)


def stall_settings(settings: QueueSettings | None, bounds: QueueBounds) -> StallSettings:
    """What counts as stalled in a queue."""
    if settings is not None and settings.stall is not None:
        return settings.stall
    return StallSettings(bounds.max_stalls)


def change_dlq(old: DlqSettings, config: Mapping[str, Any]) -> DlqSettings:
    """The settings with what the client names changed; what is no number is left as it was. Errors: Invalid."""
    config = _checked(config)
    keep_ms = old.keep_ms
    if "maxAge" in config:
        keep_ms = None if config["maxAge"] is None else _whole(config["maxAge"], keep_ms)
    return DlqSettings(
        max_dead=max(1, _whole(config.get("maxEntries"), old.max_dead)),
        keep_ms=keep_ms,
        auto_retry=_truth(config.get("autoRetry"), old.auto_retry),
        retry_every_ms=_whole(config.get("autoRetryInterval"), old.retry_every_ms),
        max_retries=_whole(config.get("maxAutoRetries"), old.max_retries),
    )


def change_stall(old: StallSettings, config: Mapping[str, Any]) -> StallSettings:
    """The settings with what the client names changed; what is no number is left as it was. Errors: Invalid."""
    config = _checked(config)
    return StallSettings(
        max_stalls=max(1, _whole(config.get("maxStalls"), old.max_stalls)),
        enabled=_truth(config.get("enabled"), old.enabled),
        interval_ms=_whole(config.get("stallInterval"), old.interval_ms),
        grace_ms=_whole(config.get("gracePeriod"), old.grace_ms),
    )


def _checked(config: object) -> Mapping[str, Any]:
    if not isinstance(config, Mapping):
        raise Invalid("config must be an object")
    return config


def _truth(value: object, otherwise: bool) -> bool:
    return value if isinstance(value, bool) else otherwise


T = TypeVar("T", int, int | None)


def _whole(value: object, otherwise: T) -> int | T:
    """A number, or the text of one, cut down to a whole one from 0; anything else is not meant."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return otherwise
    try:
        number = float(value)
    except ValueError:
        return otherwise
    return int(min(max(number, 0), MAX_MS)) if math.isfinite(number) else otherwise
