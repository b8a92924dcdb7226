"""How long to wait before the next try of something that failed: a link, a request, a process.

Not the back-off of a job, which is an option of the job: see `retry`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hubqueue.system import SYSTEM

_DOUBLINGS: Final = 60  # more would leave the range of a float


def doubled_s(first_s: float, max_s: float, times: int) -> float:
    """first_s, doubled so many times, but at most max_s. Units: seconds."""
    return min(max_s, first_s * 2.0 ** min(times, _DOUBLINGS))


class ExponentialBackoff:
    """Waits that double from first_s up to max_s, each between half and all of that: many do not return in step.

    failures: waits since the start or the last reset. Units: seconds; chance is uniform in [0, 1).
    """

    def __init__(self, first_s: float, max_s: float, chance: Callable[[], float] = SYSTEM.chance) -> None:
        self._first_s: Final = first_s
        self._max_s: Final = max_s
        self._chance: Final = chance
        self.failures = 0

    def next_s(self) -> float:
        """Another try has failed: how long to wait for the next."""
        whole_s = doubled_s(self._first_s, self._max_s, self.failures)
        self.failures += 1
        return self._jittered(whole_s)

    def first_s(self) -> float:
        """As after a first failure, and this is none."""
        return self._jittered(min(self._max_s, self._first_s))

    def reset(self) -> None:
        """It went well, or did for a while: begin with first_s again."""
        self.failures = 0

    def _jittered(self, whole_s: float) -> float:
        return whole_s * (0.5 + 0.5 * self._chance())
