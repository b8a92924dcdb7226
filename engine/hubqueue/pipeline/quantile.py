"""Quantiles of many values: exact while they are few, then a t-digest that stays small however many there are.

A digest is a value: `merged` gives a new one. It is made of centroids (mean, weight) in order of their means, small at
both ends and larger in the middle, so that the outer quantiles are the sharpest.
Source: Dunning and Ertl, Computing Extremely Accurate Quantiles Using t-Digests (2019), scale function k1, merging.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

import msgspec

COMPRESSION: Final = 200  # at most about so many centroids, of 18 bytes each; the error shrinks with it

Centroid = tuple[float, int]


class Digest(msgspec.Struct, frozen=True, array_like=True):
    """What is left of many values. low and high: the smallest and the largest of them."""

    means: tuple[float, ...]
    weights: tuple[int, ...]
    low: float
    high: float

    def quantile(self, q: float) -> float:
        """About the value below which this part of the values is. Units: q 0 to 1."""
        total = sum(self.weights)
        wanted = q * (total - 1)
        # A centroid stands for its values around their middle: positions first + (weight - 1) / 2.
        points, first = [(0.0, self.low)], 0
        for mean, weight in zip(self.means, self.weights, strict=True):
            points.append((first + (weight - 1) / 2, mean))
            first += weight
        points.append((float(total - 1), self.high))
        for (left, below), (right, above) in pairwise(points):
            if wanted <= right:
                share = 0.0 if right == left else (wanted - left) / (right - left)
                return _between(below, above, share)
        return self.high


def exact(values: Sequence[float], q: float) -> float:
    """The quantile of sorted values, between two of them by their distance, as most tools do it. Units: q 0 to 1."""
    place = q * (len(values) - 1)
    left = math.floor(place)
    right = min(left + 1, len(values) - 1)
    return _between(values[left], values[right], place - left)


def merged(digest: Digest | None, values: Iterable[float]) -> Digest:
    """The digest with these values in it. There is at least one."""
    fresh: list[Centroid] = [(value, 1) for value in values]
    old = [] if digest is None else list(zip(digest.means, digest.weights, strict=True))
    ordered = sorted([*old, *fresh])
    low = ordered[0][0] if digest is None else min(digest.low, min(value for value, _ in fresh))
    high = ordered[-1][0] if digest is None else max(digest.high, max(value for value, _ in fresh))
    kept = _compressed(ordered)
    return Digest(tuple(mean for mean, _ in kept), tuple(weight for _, weight in kept), low, high)


def _compressed(ordered: Sequence[Centroid]) -> list[Centroid]:
    total = sum(weight for _, weight in ordered)
    kept: list[Centroid] = []
    mean, weight = ordered[0]
    before = 0
    limit = total * _upper(0.0)
    for next_mean, next_weight in ordered[1:]:
        if before + weight + next_weight <= limit:
            weight += next_weight
            mean = _between(mean, next_mean, next_weight / weight)
        else:
            kept.append((mean, weight))
            before += weight
            limit = total * _upper(before / total)
            mean, weight = next_mean, next_weight
    kept.append((mean, weight))
    return kept


def _upper(q: float) -> float:
    """How far a centroid that begins at this part of the values may reach: one step of the scale function."""
    k = COMPRESSION / (2 * math.pi) * math.asin(2 * q - 1) + 1
    return 1.0 if k >= COMPRESSION / 4 else (math.sin(k * 2 * math.pi / COMPRESSION) + 1) / 2


def _between(left: float, right: float, share: float) -> float:
    """Weighted so that two huge values of different sign do not overflow."""
    return left if left == right else left * (1 - share) + right * share
