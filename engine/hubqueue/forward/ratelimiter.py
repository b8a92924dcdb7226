"""The rate limit of a forwarder: a token bucket, pure. Tokens are jobs.

Tokens are taken before the lease and those not used are given back, so that lanes never overspend together.
They are handed out in portions of a tenth of a second, or a fast limit would cut every batch into single jobs.
"""

from __future__ import annotations


class RateLimiter:
    """At most `per_s` jobs a second on average; None: no limit. Units: now_s monotonic seconds."""

    def __init__(self, per_s: float | None, now_s: float) -> None:
        self._per_s = per_s
        self._burst = max(1.0, per_s or 0.0)  # one second's worth
        self._portion = max(1.0, (per_s or 0.0) / 10)
        self._tokens = self._burst
        self._at_s = now_s

    def take(self, wanted: int, now_s: float) -> int:
        """How many of the wanted jobs may go now; these are spent. 0: not yet, ask again after `wait_s`."""
        if self._per_s is None:
            return wanted
        self._tokens = min(self._burst, self._tokens + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if self._tokens < min(wanted, self._portion):
            return 0
        taken = min(wanted, int(self._tokens))
        self._tokens -= taken
        return taken

    def give_back(self, unused: int) -> None:
        """Tokens taken for jobs that did not come or did not go."""
        if self._per_s is not None:
            self._tokens = min(self._burst, self._tokens + unused)

    def wait_s(self) -> float:
        """Seconds until a portion is there."""
        if self._per_s is None:
            return 0.0
        return max(0.0, self._portion - self._tokens) / self._per_s
