"""How many jobs the next batch to a sink may hold: few after a failure, and twice as many with each that arrives.

Where the other side answered there are two at least, so that one that it takes can show it.
"""

from __future__ import annotations

from typing import Final

from hubqueue.forward.verdict import Down


class Width:
    """Of one sink. Units: batch, probe jobs; probe after a failure, batch at most."""

    def __init__(self, batch: int, probe: int) -> None:
        self._batch: Final = batch
        self._probe: Final = probe
        self.limit = batch

    def delivered(self) -> None:
        """A batch was taken by the other side."""
        self.limit = min(self._batch, self.limit * 2)

    def failed(self, down: Down) -> None:
        """One was not."""
        self.limit = min(self._batch, max(2, self.limit * 2)) if down.answered else self._probe

    def narrow(self) -> None:
        """One job alone ended the connection: the next goes alone, too."""
        self.limit = self._probe
