"""Times counted by their magnitude: 32 buckets, each twice as wide as the one before.

A quantile is right to its bucket and guessed within: good for a chart, and a time costs one addition.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

BUCKETS: Final = 32  # the last one begins at 2**30 ms, twelve days


def bucket_of(ms: int) -> int:
    """The bucket of a time; a negative one (the clock jumped) counts as none."""
    return min(ms.bit_length(), BUCKETS - 1) if ms > 0 else 0


def quantile(counts: Sequence[int], q: float) -> float | None:
    """The time that this part of all stayed within, in milliseconds; None without any."""
    total = sum(counts)
    if not total:
        return None
    rank = q * total
    below = 0
    for bucket, n in enumerate(counts):
        if n and below + n >= rank:
            if bucket == 0:
                return 0.0
            part: float = (rank - below) / n
            return float(2 ** (bucket - 1 + part))
        below += n
    raise AssertionError("a rank beyond all")
