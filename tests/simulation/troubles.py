"""What goes wrong: each trouble happens once, somewhere, and is over when it returns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from simulation.ledger import Slow
from simulation.machine import Machine
from simulation.shop import Shop

DOWN_S: Final = 8.0  # at most, until what was killed is back
FAR_STEPS, FAR_CHANGES = 400, 30  # at most, until a process dies in the middle of something
CLOCK_S: Final = 3600

Trouble = Callable[[Shop], Awaitable[None]]


async def cut(shop: Shop) -> None:
    shop.world.note(f"network: {shop.world.network.cut()} links are cut")


async def silence(shop: Shop) -> None:
    """Nobody hears anybody, and nobody is told."""
    shop.world.note("network: is silent")
    cut = shop.world.network.silence()
    shop.world.network.up.clear()
    await asyncio.sleep(shop.world.chance.random() * 30.0)
    shop.world.network.up.set()
    cut()
    shop.world.note("network: is back")


async def kill(shop: Shop) -> None:
    """Now, in the middle of its work, or in the middle of a change of its files."""
    machine = _one(shop, shop.machines)
    process, chance = machine.process, shop.world.chance
    match chance.choice(("now", "at a step", "at a change")):
        case "at a step":
            process.dies_at_step = process.steps + chance.randrange(1, FAR_STEPS)
        case "at a change" if process.disk is not None:
            process.disk.last = process.disk.changes + chance.randrange(1, FAR_CHANGES)
        case _:
            machine.kill()
    await _back(shop, machine)


async def cut_power(shop: Shop) -> None:
    await _cut_power_of(shop, _one(shop, (shop.edge, shop.centre)))


async def stop(shop: Shop) -> None:
    machine = _one(shop, (shop.edge, shop.centre, shop.worker))
    if machine.up:
        await machine.stop()
    await _back(shop, machine)


async def freeze(shop: Shop) -> None:
    machine = _one(shop, shop.machines)
    process = machine.process
    shop.world.note(f"{machine.name}: is frozen")
    process.freeze()
    await asyncio.sleep(shop.world.chance.random() * 30.0)
    process.thaw()
    shop.world.note(f"{machine.name}: goes on")


async def set_clock(shop: Shop) -> None:
    shop.world.wrong_s = shop.world.chance.randrange(-CLOCK_S, CLOCK_S)
    shop.world.note(f"clock: {shop.world.wrong_s} s wrong")


async def fill_disk(shop: Shop) -> None:
    machine = _one(shop, (shop.edge, shop.centre))
    disk = machine.process.disk
    assert disk is not None
    shop.world.note(f"{machine.name}: its disk is full")
    disk.full = True
    await asyncio.sleep(shop.world.chance.random() * 20.0)
    if not disk.dead:
        disk.full = False
    shop.world.note(f"{machine.name}: its disk has room")


async def slow_disk(shop: Shop) -> None:
    async with _slow(shop, _one(shop, (shop.edge, shop.centre))):
        await asyncio.sleep(shop.world.chance.random() * 20.0)


async def cut_power_of_slow_disk(shop: Shop) -> None:
    """In the middle of its syncs."""
    machine = _one(shop, (shop.edge, shop.centre))
    async with _slow(shop, machine):
        await asyncio.sleep(shop.world.chance.random() * 10.0)
        await _cut_power_of(shop, machine)


TROUBLES: Final[tuple[Trouble, ...]] = (
    *(cut, silence, kill, kill, kill, cut_power, cut_power, stop, freeze, set_clock, fill_disk, slow_disk),
    cut_power_of_slow_disk,
)


@asynccontextmanager
async def _slow(shop: Shop, machine: Machine) -> AsyncIterator[None]:
    disk, slow = machine.process.disk, Slow(shop.world.chance.random() * 3.0)
    assert disk is not None
    shop.world.note(f"{machine.name}: a sync takes up to {slow.slow_s:.1f} s")
    disk.slow_s = slow.slow_s
    if machine is shop.edge:
        shop.ledger.slow.append(slow)
    yield
    disk.slow_s, slow.until_s = 0.0, shop.world.loop.time()


async def _cut_power_of(shop: Shop, machine: Machine) -> None:
    if machine.up:
        if machine is shop.edge:
            shop.ledger.power_is_cut(shop.world.loop.time())
        machine.cut_power()
    await _back(shop, machine)


def _one(shop: Shop, machines: tuple[Machine, ...]) -> Machine:
    return shop.world.chance.choice(machines)


async def _back(shop: Shop, machine: Machine) -> None:
    """Once it is gone, or will not go, it is started again."""
    await asyncio.sleep(shop.world.chance.random() * DOWN_S)
    if machine.up:
        machine.process.dies_at_step = None
        if machine.process.disk is not None:
            machine.process.disk.last = None
    elif machine.failure is None:
        machine.start()
