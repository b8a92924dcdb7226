"""How large the groups are and how long their commits take: histograms with buckets in powers of two.

The metrics read it; `counters` collects what it is to count.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

SIZES: Final = 18  # up to 1, 2, 4 ... 65536 verbs, and more
TIMES: Final = 20  # up to 1, 2, 4 ... 262144 microseconds, and more


class Commits:
    """Units: sizes in verbs, times in seconds."""

    def __init__(self) -> None:
        self._sizes = [0] * SIZES
        self._times = [0] * TIMES
        self.verbs = 0
        self.seconds = 0.0

    def count(self, verbs: int, seconds: float) -> None:
        """A group of so many verbs was committed in this time."""
        self.verbs += verbs
        self.seconds += seconds
        self._sizes[min((verbs - 1).bit_length() if verbs else 0, SIZES - 1)] += 1
        self._times[min(int(seconds * 1e6).bit_length(), TIMES - 1)] += 1

    def sizes(self) -> list[tuple[float, int]]:
        """(upper bound, groups up to it), the last bound infinite."""
        return list(_running(self._sizes, 1.0))

    def times(self) -> list[tuple[float, int]]:
        """(upper bound, commits up to it), the last bound infinite."""
        return list(_running(self._times, 1e-6))


def _running(buckets: list[int], unit: float) -> Iterator[tuple[float, int]]:
    total = 0
    for power, n in enumerate(buckets):
        total += n
        yield (unit * 2**power if power < len(buckets) - 1 else float("inf")), total
