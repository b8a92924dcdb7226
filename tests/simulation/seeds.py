"""One seed: a shop, its troubles, and whether every promise was kept. The same seed is the same history."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from simulation.ledger import DEFECT, Broken
from simulation.shop import Shop
from simulation.troubles import TROUBLES
from simulation.world import World

NUMBERS: Final = 36
FEW: Final = 6
MOST_TROUBLES: Final = 7
LIFE_S: Final = 7200.0  # of simulated time: no life lasts so long, troubles and patience included
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
    return _through(seed, Shop(World(seed), folder, NUMBERS), _troubled)


def live_with_edge_killed_at(step: int, folder: Path) -> Lived:
    """A day without trouble but this kill; the hub comes back a second later. 0: without; steps: those of the edge."""
    shop = Shop(World(0), folder, FEW)

    async def killed(shop: Shop) -> None:
        shop.edge.process.dies_at_step = step
        died = asyncio.Event()
        shop.edge.process.when_killed.append(died.set)
        through = asyncio.ensure_future(shop.through())
        await asyncio.wait([through, asyncio.ensure_future(died.wait())], return_when=asyncio.FIRST_COMPLETED)
        shop.edge.process.dies_at_step = None  # all is done
        if died.is_set():
            await asyncio.sleep(1.0)
            shop.edge.start()
        await through

    lived = _through(0, shop, killed)
    return replace(lived, steps=shop.edge.process.steps)


def _through(seed: int, shop: Shop, trouble: Callable[[Shop], Awaitable[None]]) -> Lived:
    """Whatever it ends with is told with its history."""
    world, broken = shop.world, None
    world.loop.set_exception_handler(shop.defect)
    try:
        world.loop.run_until_complete(asyncio.wait_for(_life(shop, trouble), LIFE_S))
    except Broken as error:
        broken = str(error)
    except Exception as error:
        broken = f"{DEFECT}: {type(error).__name__}: {error}"
    if broken is not None:
        world.note(f"broken: {broken}")
    return Lived(seed, broken, world.history, world.steps, world.loop.time())


async def _life(shop: Shop, trouble: Callable[[Shop], Awaitable[None]]) -> None:
    for machine in shop.machines:
        machine.start()
    await trouble(shop)
    await shop.through()
    await shop.check()


async def _troubled(shop: Shop) -> None:
    chance = shop.world.chance
    for _ in range(chance.randrange(1, MOST_TROUBLES + 1)):
        await asyncio.sleep(chance.random() * PAUSE_S)
        await chance.choice(TROUBLES)(shop)
