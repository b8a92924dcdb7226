"""Simulated sensors of a house: pure, seeded, with the daily curves real ones have.

`House.readings(now_s)` is called about once a second of real time; a day of the house lasts DAY_S seconds, so
that mornings, evenings and closing doors are seen within minutes.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

DAY_S: Final = 600.0  # one day of the house in seconds of the demo
_ROOMS: Final = {"living": 21.0, "kitchen": 21.5, "bedroom": 18.5, "bathroom": 22.5, "attic": 16.0}  # mean, degrees C
_DOORS: Final = ("front-door", "terrace-door", "garage")
_DRIFT: Final = 0.98  # how much of yesterday's noise the next reading keeps (AR(1))


@dataclass(frozen=True)
class Message:
    """What a sensor publishes."""

    topic: str
    payload: bytes
    qos: int = 1


@dataclass
class _Climate:
    """Temperature and humidity of a room: a daily wave, slow noise, and the two pull against each other."""

    mean: float
    noise: float = 0.0

    def step(self, hour: float, chance: random.Random) -> tuple[float, float]:
        self.noise = self.noise * _DRIFT + chance.gauss(0.0, 0.05)
        warmth = math.cos((hour - 15.5) / 24.0 * math.tau)  # warmest in the afternoon
        temperature = self.mean + 1.6 * warmth + self.noise
        humidity = 47.0 - 6.0 * warmth - 3.0 * self.noise + chance.gauss(0.0, 0.4)
        return round(temperature, 1), round(min(max(humidity, 20.0), 95.0), 1)


@dataclass
class _Meter:
    """The power of the house: a base load, peaks in the morning and evening, and a kettle now and then."""

    kettle_left: int = 0
    energy_wh: float = 41_250_000.0

    def step(self, hour: float, elapsed_h: float, chance: random.Random) -> tuple[float, float]:
        load = 180.0 + 420.0 * _bump(hour, 7.5, 1.2) + 900.0 * _bump(hour, 19.0, 2.0)
        if self.kettle_left > 0:
            self.kettle_left -= 1
            load += 1950.0
        elif chance.random() < 0.01 + 0.05 * _bump(hour, 7.5, 1.0):
            self.kettle_left = 3
        load = max(60.0, load + chance.gauss(0.0, 12.0))
        self.energy_wh += load * elapsed_h
        return round(load, 1), round(self.energy_wh / 1000.0, 3)


@dataclass
class House:
    """Five rooms, a power meter and three doors. The same seed gives the same readings."""

    seed: int = 7
    _chance: random.Random = field(init=False)
    _rooms: dict[str, _Climate] = field(init=False)
    _doors: dict[str, bool] = field(init=False)
    _meter: _Meter = field(default_factory=_Meter, init=False)
    _last_s: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._rooms = {room: _Climate(mean) for room, mean in _ROOMS.items()}
        self._doors = dict.fromkeys(_DOORS, False)

    def readings(self, now_s: float) -> Iterator[Message]:
        """Everything the sensors say at this moment. Units: seconds since the demo began."""
        hour = hour_of(now_s)
        elapsed_h = max(now_s - self._last_s, 0.0) / DAY_S * 24.0
        self._last_s = now_s
        for room, climate in self._rooms.items():
            temperature, humidity = climate.step(hour, self._chance)
            yield _json(f"demo/climate/{room}/temperature", value=temperature, unit="°C")
            yield _json(f"demo/climate/{room}/humidity", value=humidity, unit="%")
        power, energy = self._meter.step(hour, elapsed_h, self._chance)
        yield _json("demo/power/meter", value=power, unit="W", total_kwh=energy)
        yield from self._door_moves(hour)

    def _door_moves(self, hour: float) -> Iterator[Message]:
        daytime = 0.02 + 0.25 * _bump(hour, 8.0, 1.0) + 0.2 * _bump(hour, 17.5, 1.5)
        for door, is_open in self._doors.items():
            if self._chance.random() < (0.6 if is_open else daytime):  # an open door is soon closed again
                self._doors[door] = not is_open
                yield Message(f"demo/doors/{door}", b"closed" if is_open else b"open")


def hour_of(now_s: float) -> float:
    """The hour of the house's day, 0 to 24; the demo begins at half past seven in the morning."""
    return (7.5 + now_s / DAY_S * 24.0) % 24.0


def _bump(hour: float, at: float, width: float) -> float:
    distance = min(abs(hour - at), 24.0 - abs(hour - at))
    return math.exp(-((distance / width) ** 2))


def _json(topic: str, **fields: float | str) -> Message:
    return Message(topic, json.dumps(fields, ensure_ascii=False).encode())
