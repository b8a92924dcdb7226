"""How long to wait before the next try of something that failed: a link, a request, a process.

Not the back-off of a job, which is an option of the job: see `retry`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

_DOUBLINGS: Final = 60  # more would leave the range of a float


class ExponentialBackoff:
    """Waits that double from first_s up to max_s, with jitter.

    Units: seconds; chance is uniform in [0, 1).
    """

    def __init__(self, first_s: float, max_s: float, chance: Callable[[], float] = random.random) -> None:
        self._first_s: Final = first_s
        self._max_s: Final = max_s
        self._chance: Final = chance
        self.failures = 0

    def next_s(self) -> float:
        """Another try has failed: the next wait, between half and all of it, so that many do not return in step."""
        whole = min(self._max_s, self._first_s * 2.0 ** min(self.failures, _DOUBLINGS))
        self.failures += 1
        return whole * (0.5 + 0.5 * self._chance())

    def reset(self) -> None:
        """It went well, or did for a while: begin with first_s again."""
        self.failures = 0
