"""A clock for tests that stands still until it is told: what waits for a lease, a delay or a ttl does not wait."""

from __future__ import annotations

import time
from typing import ClassVar

from hubqueue.clock import Clock


class HeldClock(Clock):
    """Hub time and the system's time in one, of all hubs of a test that are given the same class: see `held`."""

    at_ms: ClassVar[int]

    def wall_ms(self) -> int:
        return self.at_ms

    def mono_ms(self) -> int:
        return self.at_ms


def held() -> type[HeldClock]:
    """A new one, that stands at the time of now."""

    class Held(HeldClock):
        at_ms = time.time_ns() // 1_000_000

    return Held
