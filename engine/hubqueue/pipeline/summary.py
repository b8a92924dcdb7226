"""What a window keeps of the values of one field, as values that never change, and what it makes of them.

Rule: a struct's order of fields is stored in the job file; new ones go to the end, with a default.
"""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec

_INT_LIMIT: Final = 2**63  # MessagePack carries no larger one; the sum goes on as a float


class Numbers(msgspec.Struct, frozen=True, array_like=True):
    """Sum, extremes and spread of numbers. carry: what the float sum has lost by rounding (Neumaier).

    mean and spread: running mean and sum of squared distances from it (Welford), for the standard deviation.
    """

    n: int = 0
    total: int | float = 0
    carry: float = 0.0
    low: int | float = 0
    high: int | float = 0
    mean: float = 0.0
    spread: float = 0.0

    def plus(self, value: int | float) -> Numbers:
        """With one more number, a finite one."""
        n = self.n + 1
        if n == 1:
            return Numbers(1, value, 0.0, value, value, float(value), 0.0)
        total, carry = self.total, self.carry
        summed = total + value
        if type(summed) is int:
            if abs(summed) >= _INT_LIMIT:
                summed = float(summed)
        elif abs(total) >= abs(value):
            carry += (total - summed) + value
        else:
            carry += (value - summed) + total
        away = value - self.mean
        mean = self.mean + away / n
        return Numbers(
            n,
            summed,
            carry,
            value if value < self.low else self.low,
            value if value > self.high else self.high,
            mean,
            self.spread + away * (value - mean),
        )

    def sum(self) -> int | float | None:
        """None when it is too large for a number."""
        if type(self.total) is int:
            return self.total
        return _finite(self.total + self.carry)

    def average(self) -> float | None:
        """None without numbers."""
        total = self.sum()
        return None if not self.n or total is None else _finite(total / self.n)

    def stddev(self) -> float | None:
        """Of a sample (n - 1); None for less than two numbers."""
        return None if self.n < 2 else _finite(math.sqrt(max(0.0, self.spread) / (self.n - 1)))


class Ends(msgspec.Struct, frozen=True, array_like=True):
    """The first and the last value by their times; of equal times, the order of arrival decides. Units: Unix ms."""

    first: Any
    first_ms: int
    last: Any
    last_ms: int

    def plus(self, value: Any, at_ms: int) -> Ends:
        """With one more value."""
        if at_ms >= self.last_ms:
            return Ends(self.first, self.first_ms, value, at_ms)
        if at_ms < self.first_ms:
            return Ends(value, at_ms, self.last, self.last_ms)
        return self


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
