"""One seed: a shop, its troubles, and whether every promise was kept. The same seed is the same history."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from simulation.ledger import Broken
from simulation.shop import Shop
from simulation.troubles import TROUBLES
from simulation.world import World

NUMBERS: Final = 36
MOST_TROUBLES: Final = 7
PAUSE_S: Final = 3.0  # at most, between two troubles


@dataclass(frozen=True, slots=True)
class Lived:
    """What came of a seed. broken: the promise that was, if one was. Units: seconds of simulated time."""

    seed: int
    broken: str | None
    history: list[str]
    steps: int
    simulated_s: float


def live(seed: int, folder: Path) -> Lived:
    """Live through it, in a process that ends afterwards: see `campaign`. folder: an empty one for its files."""
    world = World(seed)
    shop = Shop(world, folder, NUMBERS)
    broken = None
    try:
        world.loop.run_until_complete(_life(shop))
    except Broken as error:
        broken = str(error)
        world.note(f"broken: {broken}")
    return Lived(seed, broken, world.history, world.steps, world.loop.time())


async def _life(shop: Shop) -> None:
    chance = shop.world.chance
    for machine in shop.machines:
        machine.start()
    for _ in range(chance.randrange(1, MOST_TROUBLES + 1)):
        await asyncio.sleep(chance.random() * PAUSE_S)
        await chance.choice(TROUBLES)(shop)
    await shop.through()
    await shop.check()
