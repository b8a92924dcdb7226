"""What time it is for the hubs of a test: `LocalHub.open(path, system=clock.system)`."""

from __future__ import annotations

import time

from hubqueue.system import System

MS_NS = 1_000_000


class HeldClock:
    """Stands still until it is told: what waits for a lease, a delay or a ttl does not wait.

    wrong_ms: by how much the wall clock is wrong; what only passes never is.
    """

    def __init__(self, at_ms: int | None = None) -> None:
        self.at_ms = time.time_ns() // MS_NS if at_ms is None else at_ms
        self.wrong_ms = 0
        self.system = System(wall_ns=lambda: (self.at_ms + self.wrong_ms) * MS_NS, mono_ns=lambda: self.at_ms * MS_NS)


class RunningClock:
    """Goes as the real one does. wrong_ms: the wall clock is wrong by so much; passed_ms: so much more has passed."""

    def __init__(self) -> None:
        self.wrong_ms = 0
        self.passed_ms = 0
        self.system = System(
            wall_ns=lambda: time.time_ns() + (self.passed_ms + self.wrong_ms) * MS_NS,
            mono_ns=lambda: time.monotonic_ns() + self.passed_ms * MS_NS,
        )
