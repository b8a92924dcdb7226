"""How long a client waits before it tries to connect again."""

from __future__ import annotations

import random


class Backoff:
    """Doubling delays with jitter, from first_s up to max_s.

    Units: seconds.
    """

    def __init__(self, first_s: float, max_s: float) -> None:
        self._first_s = first_s
        self._max_s = max_s
        self._failures = 0

    def next_s(self) -> float:
        """The next delay: between half and all of it, so that many clients do not return in step."""
        whole = min(self._max_s, self._first_s * 2.0 ** min(self._failures, 32))
        self._failures += 1
        return whole * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """The link has been good for a while: begin with first_s again."""
        self._failures = 0
