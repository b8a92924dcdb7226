"""P1, P3, P4, P7: what was acknowledged holds after kill -9 at any moment, round after round on one file."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from hubqueue.client.address import LinkSettings
from hubqueue.client.remote import RemoteHub
from hubqueue.errors import LinkDown
from hubqueue.hub.hub import Hub
from support.child import Child
from support.hub_process import HubProcess
from support.ledger import Found, Ledger
from support.load import Load, renew, send_again, survey
from support.mixed import miscounted
from support.torture import sized
from support.waiting import until

ROUNDS = sized(ci=30, full=2000)
TCP_ROUNDS = sized(ci=6, full=250)
LIFE = (1, 300)  # questions and answers, before the kill
TCP_LIFE = (1, 600)
LAST_MS = 5.0  # and so long at most after the last of them, to hit any moment


@pytest.mark.slow
@pytest.mark.timeout(ROUNDS * 20)
async def test_what_was_acknowledged_holds_after_each_of_many_kills(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    ledger = Ledger()
    for round in range(ROUNDS):
        async with Child("support.mixed", tmp_path / "hub.db") as child:
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
            for event in report["heard"]:
                ledger.hear(event)
            faults = ledger.settle_up([Found(*row) for row in report["found"]], report["renewed"], report["still_good"])
            assert not faults + report["miscounted"], f"round {round}"
            for _ in range(chance.randint(*LIFE)):
                ledger.hear(await child.hear())
            asyncio.get_running_loop().call_later(chance.uniform(0, LAST_MS) / 1000, child.kill)
            for event in await child.rest():
                ledger.hear(event)
    print(f"{ledger.answers} answers kept over {ROUNDS} kills")
    assert ledger.answers > ROUNDS * 10


@pytest.mark.slow
@pytest.mark.timeout(TCP_ROUNDS * 60)
async def test_what_was_acknowledged_over_tcp_holds_after_each_of_many_kills_of_the_server(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    ledger = Ledger()
    server = HubProcess(tmp_path)
    for round in range(TCP_ROUNDS):
        held = await _look(tmp_path / "hub.db", ledger, round)
        await asyncio.to_thread(server.start)
        remote = RemoteHub(LinkSettings.from_url(server.url))
        try:
            await remote.open()
            assert all(await renew(remote, [(id, token) for _, id, token in held]))  # the tokens outlive the server
            work = Load(remote, ledger.hear, round * 1_000_000, chance.randrange(1 << 32))
            load = asyncio.create_task(work.run(held))
            enough = ledger.answers + chance.randint(*TCP_LIFE)
            await until(lambda: ledger.answers >= enough or load.done())  # noqa: B023  it is awaited here
            await asyncio.sleep(chance.uniform(0, LAST_MS) / 1000)
        finally:
            await asyncio.to_thread(server.kill)
        load.cancel()
        await _ended(load)
        await remote.close()
    await _look(tmp_path / "hub.db", ledger, TCP_ROUNDS)
    print(f"{ledger.answers} answers kept over {TCP_ROUNDS} kills of the server")
    assert ledger.answers > TCP_ROUNDS * 10


async def _look(path: Path, ledger: Ledger, round: int) -> list[tuple[int, str, str]]:
    """Compare the file with the ledger; the leases that are still held."""
    async with await Hub.open(path) as hub:
        held, stale = ledger.held(), ledger.stale.copy()
        renewed = await renew(hub, [(id, token) for _, id, token in held])
        still_good = await renew(hub, stale)
        await send_again(hub, ledger.hear, ledger.unanswered())
        faults = ledger.settle_up(
            await survey(hub),
            [n for (n, _, _), good in zip(held, renewed, strict=True) if good],
            [token for (_, token), good in zip(stale, still_good, strict=True) if good],
        )
        assert not faults + await hub.run(miscounted), f"round {round}"
    return [lease for lease, good in zip(held, renewed, strict=True) if good]


async def _ended(load: asyncio.Task[None]) -> None:
    """The load ends because it was cancelled, or because its link is down; anything else is a fault."""
    try:
        await load
    except* (asyncio.CancelledError, LinkDown):
        pass
