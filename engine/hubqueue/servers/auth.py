"""Who may come in: tokens, compared in constant time, and slower answers for those who guess.

Used by every door. The gate never logs or keeps a token it was shown.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from hubqueue.model.access import EVERYTHING, Grant

FIRST_DELAY_S: Final = 0.1
MAX_DELAY_S: Final = 5.0
FORGET_S: Final = 600.0  # an address that failed is forgotten after this long without another failure
MAX_ADDRESSES: Final = 10_000  # remembered at most; each costs about 200 bytes


class Gate:
    """Checks tokens. Without any token the gate stands open."""

    def __init__(self, tokens: Sequence[str], clock: Callable[[], float]) -> None:
        self._digests = tuple(sha256(token.encode()).digest() for token in tokens)
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    @property
    def open(self) -> bool:
        """Whether everybody may come in."""
        return not self._digests

    def grant(self, token: str) -> Grant | None:
        """What this token is good for, None when it is not one of ours. Takes the same time for every token."""
        shown = sha256(token.encode("utf-8", "surrogatepass")).digest()
        found = False
        for digest in self._digests:
            found |= hmac.compare_digest(digest, shown)
        return EVERYTHING if found else None

    def failed(self, address: str) -> float:
        """Note a failure; how long its answer is to be held back.

        Units: seconds.
        """
        now = self._clock()
        count, last = self._failures.pop(address, (0, now))
        count = 1 if now - last > FORGET_S else count + 1
        self._failures[address] = (count, now)
        if len(self._failures) > MAX_ADDRESSES:
            self._failures.popitem(last=False)
        delay: float = min(FIRST_DELAY_S * 2.0 ** min(count - 1, 10), MAX_DELAY_S)
        return delay

    def succeeded(self, address: str) -> None:
        """Forget the failures of an address."""
        self._failures.pop(address, None)
