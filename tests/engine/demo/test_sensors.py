"""The simulated house: the same seed gives the same day, and its curves look like a house's."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from statistics import mean

from hubqueue.demo.sensors import DAY_S, House, Message, hour_of


def day(seed: int = 7) -> Iterator[tuple[float, Message]]:
    house = House(seed)
    for second in range(int(DAY_S)):
        for message in house.readings(second):
            yield hour_of(second), message


def values(topic: str, start: float, end: float) -> list[float]:
    return [json.loads(one.payload)["value"] for hour, one in day() if one.topic == topic and start <= hour < end]


def test_the_same_seed_gives_the_same_day() -> None:
    assert list(day(1)) == list(day(1))
    assert list(day(1)) != list(day(2))


def test_afternoons_are_warmer_and_drier_than_nights() -> None:
    temperature, humidity = "demo/climate/living/temperature", "demo/climate/living/humidity"
    assert mean(values(temperature, 14, 17)) > mean(values(temperature, 2, 5)) + 1
    assert mean(values(humidity, 14, 17)) < mean(values(humidity, 2, 5))


def test_power_peaks_in_the_evening_and_energy_only_grows() -> None:
    assert mean(values("demo/power/meter", 18, 20)) > 2 * mean(values("demo/power/meter", 1, 4))
    totals = [json.loads(one.payload)["total_kwh"] for _, one in day() if one.topic == "demo/power/meter"]
    assert totals == sorted(totals)


def test_doors_open_and_close_in_turn() -> None:
    seen = [one.payload for _, one in day() if one.topic == "demo/doors/front-door"]
    assert len(seen) > 10
    assert all(before != after for before, after in itertools.pairwise(seen))
