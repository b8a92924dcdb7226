"""P1, P3, P4, P7: what was acknowledged holds after kill -9 at any moment, round after round on one file."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from support.child import Child
from support.ledger import Found, Ledger
from support.torture import sized

ROUNDS = sized(ci=200, full=2000)
LIFE_MS = (2.0, 120.0)  # of the load, before the kill


@pytest.mark.slow
@pytest.mark.timeout(ROUNDS * 2)
async def test_what_was_acknowledged_holds_after_each_of_many_kills(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    ledger = Ledger()
    slowest_s = 0.0
    for round in range(ROUNDS):
        async with Child("support.mixed", tmp_path / "hub.db") as child:
            asked_s = asyncio.get_running_loop().time()
            child.say(
                {
                    "held": ledger.held(),
                    "stale": ledger.stale,
                    "unanswered": ledger.unanswered(),
                    "first": round * 1_000_000,
                    "seed": chance.randrange(1 << 32),
                    "settings": {},
                }
            )
            report = await child.hear()
            slowest_s = max(slowest_s, asyncio.get_running_loop().time() - asked_s)
            for event in report["heard"]:
                ledger.hear(event)
            faults = ledger.settle_up([Found(*row) for row in report["found"]], report["renewed"], report["still_good"])
            assert not faults + report["miscounted"], f"round {round}"
            asyncio.get_running_loop().call_later(chance.uniform(*LIFE_MS) / 1000, child.kill)
            for event in await child.rest():
                ledger.hear(event)
    print(f"{ledger.answers} answers kept over {ROUNDS} kills; slowest start with its survey {slowest_s * 1000:.0f} ms")
    assert ledger.answers > ROUNDS * 10
