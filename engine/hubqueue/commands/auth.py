"""Who may come in: tokens, compared in constant time, and slower answers for those who guess.

Shared by all listeners of a process, so that a guesser is slowed down on all of them. It never logs or keeps a
token it was shown.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Final, NoReturn

from hubqueue.errors import Busy, NotAuthenticated
from hubqueue.hub.access import Access, digest_of
from hubqueue.model.access import Grant
from hubqueue.model.backoff import doubled_s

FIRST_DELAY_S: Final = 0.1
MAX_DELAY_S: Final = 5.0
FORGET_S: Final = 600.0  # an address that failed is forgotten after this long without another failure
MAX_ADDRESSES: Final = 10_000  # remembered at most; each costs about 200 bytes
MAX_HELD: Final = 100  # answers held back for one address; then its tokens are not even looked at

log = logging.getLogger(__name__)


class Authenticator:
    """Checks tokens. Without any token everybody may come in, unless it is locked."""

    def __init__(
        self,
        given: Mapping[str, Grant],
        clock: Callable[[], float],
        access: Access | None = None,
        *,
        locked: bool = False,
    ) -> None:
        """given: what the configuration grants, by token. locked: without any token nobody comes in."""
        self.locked = locked
        self._given = tuple((digest_of(token), grant) for token, grant in given.items())
        self._access = access
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._held: Counter[str] = Counter()

    @property
    def open(self) -> bool:
        """Whether everybody may come in."""
        return not (self._given or self.locked or not (self._access is None or self._access.empty))

    @property
    def given(self) -> list[Grant]:
        """What the configuration's tokens are good for."""
        return [grant for _, grant in self._given]

    @property
    def grants(self) -> list[Grant]:
        """What all tokens are good for."""
        return self.given + ([] if self._access is None else [token.grant for token in self._access.tokens])

    def grant(self, token: str) -> Grant | None:
        """What this token is good for, None when it is not one of ours.

        The configuration's tokens take the same time each. Those of the file are looked up by their digest: who
        measures how far that went learns about a digest, and no token can be made from one.
        """
        shown = digest_of(token)
        found: Grant | None = None
        for digest, grant in self._given:
            if hmac.compare_digest(digest, shown):
                found = grant
        if found is None and self._access is not None:
            found = self._access.find(shown)
        return found

    def watch(self, grant: Grant, revoked: Callable[[], None]) -> Callable[[], None]:
        """Call `revoked` when the token of this grant is revoked. Returns what ends that."""
        return _nothing if self._access is None else self._access.watch(grant.name, revoked)

    def check_room(self, address: str) -> None:
        """Whether another token of this address is looked at. Errors: Busy."""
        if self._held[address] >= MAX_HELD:
            raise Busy("Too many wrong tokens", hint="wait a minute, then send the right one")

    async def refuse(self, address: str, listener: str) -> NoReturn:
        """Answer a wrong token, after a while. Errors: NotAuthenticated."""
        delay_s = self.failed(address)
        log.warning("%s token refused, the answer is held back. address=%s delay_s=%.1f", listener, address, delay_s)
        self._held[address] += 1
        try:
            await hold_back(delay_s)
        finally:
            self._held[address] -= 1
            if not self._held[address]:
                del self._held[address]
        raise NotAuthenticated("Invalid token")

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
        return doubled_s(FIRST_DELAY_S, MAX_DELAY_S, count - 1)

    def succeeded(self, address: str) -> None:
        """Forget the failures of an address."""
        if self._failures:
            self._failures.pop(address, None)


async def hold_back(delay_s: float) -> None:
    """Answer nothing for so long."""
    await asyncio.sleep(delay_s)


def _nothing() -> None:
    """Nothing is watched: the configuration's tokens last as long as the process."""
