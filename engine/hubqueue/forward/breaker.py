"""When a link is used, left alone and tried again: pure, told the time by its caller.

- down: nothing is sent until `retry_at_s`; each failed try doubles the wait, with jitter, up to the cap.
- probing: connected again, but not yet trusted: one small batch at a time.
- up: batches go. Only a delivered batch makes the link trusted and resets the wait: a peer that answers
  connections and nothing else is not asked every half second.
After a failure batches begin small and double (`Width`): a link or queue that cannot take a full one still moves on.
A connection that one suspected job has cut says nothing about the link: it is made again at once.
A failure that belongs to an earlier connection (an older epoch) is old news and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from hubqueue.forward.verdict import Down
from hubqueue.forward.width import Width
from hubqueue.model.backoff import ExponentialBackoff


class LinkState(Enum):
    """What a link is good for now. IDLE: not used on purpose (paused, or outside its hours); no breaker is idle."""

    DOWN = "down"
    PROBING = "probing"
    UP = "up"
    IDLE = "idle"


class Breaker:
    """One link. Units: *_s seconds on the caller's monotonic clock; batch, probe jobs; chance is uniform in [0, 1)."""

    def __init__(
        self,
        first_s: float,
        cap_s: float,
        *,
        batch: int,
        probe: int,
        now_s: float,
        chance: Callable[[], float],
    ) -> None:
        self._backoff = ExponentialBackoff(first_s, cap_s, chance)
        self._width = Width(batch, probe)
        self.state = LinkState.DOWN
        self.since_s = now_s
        self.retry_at_s = now_s
        self.epoch = 0
        self.last: Down | None = None

    @property
    def limit(self) -> int:
        """Jobs that the next batch may hold."""
        return self._width.limit

    @property
    def failures(self) -> int:
        """In a row, since a batch was delivered."""
        return self._backoff.failures

    @property
    def trusted(self) -> bool:
        """Whether a batch was delivered since the last failure."""
        return self.failures == 0

    def connected(self, now_s: float) -> None:
        """A connection was made: probe it if the last one failed."""
        self.epoch += 1
        self._enter(LinkState.UP if self.trusted else LinkState.PROBING, now_s)

    def quiet(self, now_s: float) -> None:
        """Connected, and there was nothing to probe with: up, as far as anybody can tell."""
        if self.state is LinkState.PROBING:
            self._enter(LinkState.UP, now_s)

    def delivered(self, epoch: int, now_s: float) -> None:
        """A batch was taken by the other side."""
        if epoch == self.epoch and self.state is not LinkState.DOWN:
            self._backoff.reset()
            self._width.delivered()
            self._enter(LinkState.UP, now_s)

    def failed(self, down: Down, epoch: int, now_s: float) -> bool:
        """The connection of this epoch, or the try to make the next one, failed. False if that was known already."""
        if epoch != self.epoch:
            return False
        self.epoch += 1
        self._width.failed(down)
        self.last = down
        self.retry_at_s = now_s + max(self._backoff.next_s(), down.retry_after_s or 0.0)
        self._enter(LinkState.DOWN, now_s)
        return True

    def cut(self, down: Down, epoch: int, now_s: float, *, narrow: bool, wait: bool) -> bool:
        """One job alone has ended the connection of this epoch; False if it had ended already.

        narrow: the next one goes alone too. wait: a moment, but no longer, since others wait behind it.
        """
        if epoch != self.epoch:
            return False
        self.epoch += 1
        self.last = down
        self.retry_at_s = now_s
        if narrow:
            self._backoff.failures = max(1, self.failures)
            self._width.narrow()
        if wait:
            self.retry_at_s += self._backoff.first_s()
        self._enter(LinkState.DOWN, now_s)
        return True

    def hurry(self, now_s: float) -> None:
        """Somebody asks for the next try at once; if it fails too, the wait grows as ever."""
        self.retry_at_s = min(self.retry_at_s, now_s)

    def _enter(self, state: LinkState, now_s: float) -> None:
        if state is not self.state:
            self.state = state
            self.since_s = now_s
