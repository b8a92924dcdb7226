"""How many messages come in together, and in which steps they are read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

BATCH: Final = 500  # messages in one transaction: a few ms of the loop
SLICE: Final = 100  # messages routed before other work on the loop gets a turn: about 1 ms

M = TypeVar("M")


async def in_slices(messages: Sequence[M], route: Callable[[Sequence[M]], object]) -> None:
    """Route a batch without holding the loop for long."""
    for at in range(0, len(messages), SLICE):
        if at:
            await asyncio.sleep(0)
        route(messages[at : at + SLICE])
