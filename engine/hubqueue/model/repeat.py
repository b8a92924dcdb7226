"""Jobs that make their successor: the `repeat` option. Each completed run pushes the next one, a set number of times.

Source: docs/protocol.md, "Repeated jobs".
"""

from __future__ import annotations

import math

import msgspec

from hubqueue.errors import Invalid


class Repeat(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """Exactly one of every_ms and pattern. `count` runs were completed before this one; at most `limit` are made.

    Units: *_ms milliseconds; start_ms, end_ms and prev_ms (when the run before was due) Unix. key and offset_ms are
    kept for their clients; nothing depends on them.
    """

    every_ms: int | None = None
    pattern: str | None = None
    timezone: str | None = None
    limit: int | None = None
    count: int = 0
    start_ms: int | None = None
    end_ms: int | None = None
    prev_ms: int | None = None
    offset_ms: int | None = None
    immediately: bool | None = None
    key: str | None = None

    def next_interval_ms(self, prev_ms: int, now_ms: int) -> int:
        """The next time of an interval: in phase with the run before, after now and not before its start."""
        every = self.every_ms or 1
        after = max(now_ms, (self.start_ms or 0) - 1)
        return prev_ms + max(1, (after - prev_ms) // every + 1) * every

    def goes_on(self, next_ms: int) -> bool:
        """Whether the run after this one, due at next_ms, is still wanted."""
        return (self.limit is None or self.count + 1 < self.limit) and (self.end_ms is None or next_ms <= self.end_ms)


def check_every(every: float) -> int:
    """An interval in whole milliseconds. Errors: Invalid."""
    if not math.isfinite(every) or every <= 0:
        raise Invalid("repeat.every must be a positive finite number")
    return max(1, int(every))
