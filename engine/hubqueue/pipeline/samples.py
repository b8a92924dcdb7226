"""The values that a window keeps for quantiles: all of them up to EXACT, then a digest.

They are kept in pieces, so that one more value rewrites a few hundred bytes of the job file and never all of them.
Rule: a piece's key is made of its window, field and number; `drop` must find every piece that `add` made.
"""

from __future__ import annotations

from typing import Final

import msgspec

from hubqueue.pipeline.quantile import Digest, exact, merged
from hubqueue.pipeline.step import State

EXACT: Final = 1000
PIECE: Final = 50  # values in a piece; a part of EXACT


class Samples:
    """The values of one field of one window. key: says which; count: how many there are already."""

    def __init__(self, state: State, key: str, count: int) -> None:
        self._state = state
        self._key = key
        self._count = count

    def add(self, value: float) -> None:
        """One more value."""
        number, filled = divmod(self._count, PIECE)
        piece = self._piece(number) if filled else ()
        self._count += 1
        if self._count == EXACT + 1:  # too many to keep them all from here on
            self._digest([each for earlier in range(number) for each in self._piece(earlier)])
            for earlier in range(number):
                self._state.delete(self._named(earlier))
        piece = (*piece, value)
        if self._count > EXACT and len(piece) == PIECE:
            self._digest(piece)
            self._state.delete(self._named(number))
        else:
            self._state.put(self._named(number), piece)

    def quantile(self, q: float) -> float:
        """Of all values; there is at least one. Units: q 0 to 1."""
        if self._count <= EXACT:
            return exact(sorted(self._rest(0)), q)
        digest, rest = self._stored(), self._rest(self._count // PIECE)
        if rest or digest is None:
            digest = merged(digest, rest)
        return digest.quantile(q)

    def drop(self) -> None:
        """Forget them."""
        first = 0 if self._count <= EXACT else self._count // PIECE
        for number in range(first, self._count // PIECE + 1):
            self._state.delete(self._named(number))
        if self._count > EXACT:
            self._state.delete(self._named(None))

    def _rest(self, first: int) -> list[float]:
        return [value for number in range(first, self._count // PIECE + 1) for value in self._piece(number)]

    def _piece(self, number: int) -> tuple[float, ...]:
        return tuple(self._state.get(self._named(number)) or ())

    def _digest(self, values: list[float] | tuple[float, ...]) -> None:
        self._state.put(self._named(None), merged(self._stored(), values))

    def _stored(self) -> Digest | None:
        found = self._state.get(self._named(None))
        return found if found is None or isinstance(found, Digest) else msgspec.convert(found, Digest)

    def _named(self, number: int | None) -> str:
        return f"{'d' if number is None else number}:{self._key}"
