"""The demo's two workers: one that is reliable, and one whose lamps fail now and then."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final

from hubqueue.model.outcome import Reject

CLIMATE: Final = "climate"
DOORS: Final = "doors"

_FAILS: Final = 0.35  # of the runs; with three attempts about one job in 23 ends in the dead-letter queue
_MISSING: Final = "garage"  # this one never works: rejected at once, no retries


async def climate(job: Any) -> dict[str, float]:
    """The dew point of a temperature reading, or the reading itself; takes a few milliseconds, as real work would."""
    await asyncio.sleep(0.005)
    reading = job.data["payload"]
    value = float(reading["value"])
    if job.data["parts"]["kind"] == "temperature":
        return {"value": value, "dew_point": round(dew_point(value, 50.0), 1)}
    return {"value": value}


def lamps(seed: int) -> Callable[[Any], Awaitable[str]]:
    """A worker that switches the lamp beside a door, if it answers."""
    chance = random.Random(seed)

    async def switch(job: Any) -> str:
        await asyncio.sleep(0.05)
        door, position = job.data["parts"]["door"], job.data["payload"]
        if door == _MISSING and position == "open":
            raise Reject("there is no lamp in the garage")
        if chance.random() < _FAILS:
            raise ConnectionError(f"the lamp at the {door} did not answer")
        return f"lamp at the {door} {'on' if position == 'open' else 'off'}"

    return switch


def dew_point(temperature: float, humidity: float) -> float:
    """Magnus formula. Units: degrees Celsius, percent."""
    gamma = math.log(humidity / 100.0) + 17.62 * temperature / (243.12 + temperature)
    return 243.12 * gamma / (17.62 - gamma)
