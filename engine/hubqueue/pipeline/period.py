"""How time is cut into windows: each of the same length, one beginning where the other ends.

Windows of whole days begin at midnight of a time zone, so that a day on which the clocks change is an hour longer or
shorter. All others count from 1970-01-01 00:00 UTC: `every: 15m` begins at :00, :15, :30 and :45.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, tzinfo
from functools import lru_cache
from typing import Final

DAY_MS: Final = 86_400_000
_EPOCH: Final = date(1970, 1, 1).toordinal()
_LAST: Final = date(9999, 12, 31).toordinal()


class Period:
    """Units: milliseconds."""

    def __init__(self, every_ms: int, zone: tzinfo = UTC) -> None:
        self.every_ms: Final = every_ms
        self._days: Final = 0 if zone is UTC or every_ms % DAY_MS else every_ms // DAY_MS
        self._zone: Final = zone

    def __str__(self) -> str:
        return f"{self.every_ms} {self._zone}" if self._days else str(self.every_ms)

    def span(self, at_ms: int) -> tuple[int, int]:
        """When the window of this moment begins and ends."""
        if not self._days:
            start = at_ms - at_ms % self.every_ms
            return start, start + self.every_ms
        day = datetime.fromtimestamp(at_ms / 1000, self._zone).date().toordinal()
        first = day - (day - _EPOCH) % self._days
        return _midnight(first, self._zone), _midnight(first + self._days, self._zone)


@lru_cache(maxsize=256)
def _midnight(ordinal: int, zone: tzinfo) -> int:
    if ordinal > _LAST:
        return _midnight(_LAST, zone) + (ordinal - _LAST) * DAY_MS
    day = date.fromordinal(max(1, ordinal))
    return round(datetime.combine(day, time(), zone).timestamp() * 1000)
