"""P12: whatever ended a lease but its holder, "done" said later with its token is refused, and the job runs again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from engine.hub.conftest import Bench
from hubqueue.errors import LockLost
from hubqueue.hub.verbs import lapse
from hubqueue.model.job import Leased, Options
from hubqueue.model.outcome import Complete, Release
from hubqueue.model.retry import Backoff
from hubqueue.model.state import State
from hubqueue.model.verbs import Renewal

LEASE_MS = 60
OPTIONS = Options(timeout_ms=2 * LEASE_MS, backoff=Backoff("fixed", 0))

End = Callable[[Bench, Leased], Awaitable[None]]


async def clean_end(bench: Bench, leased: Leased) -> None:
    bench.hub.give_back(next(iter(bench.hub._holders._by_id.values())))


async def broken_link(bench: Bench, leased: Leased) -> None:
    bench.hub.lose(next(iter(bench.hub._holders._by_id.values())))
    await bench.later(int(bench.settings.grace_s * 1000))


async def owner_known_to_be_gone(bench: Bench, leased: Leased) -> None:
    await bench.hub.run(lambda tx: lapse.reclaim(tx, "q", "w", blames=False))


async def silence(bench: Bench, leased: Leased) -> None:
    await bench.later(LEASE_MS)


async def timeout(bench: Bench, leased: Leased) -> None:
    assert await bench.hub.extend([(leased.job.id, leased.token)], 10_000) == [Renewal.RENEWED]
    await bench.later(2 * LEASE_MS)


async def restart(bench: Bench, leased: Leased) -> None:
    await bench.reopen()
    await bench.later(int(bench.settings.grace_s * 1000))


@pytest.mark.parametrize("end", [clean_end, broken_link, owner_known_to_be_gone, silence, timeout, restart])
async def test_p12_who_did_not_end_its_lease_is_not_told_done(bench: Bench, end: End) -> None:
    (id,) = await bench.add("a", max_attempts=5, options=OPTIONS)
    got: list[list[Leased]] = []
    bench.hub.lease_or_park("q", 1, "w", LEASE_MS, 0, bench.hub.holder(), got.append)
    await bench.until(lambda: got)
    (leased,) = got[0]
    await end(bench, leased)
    await bench.until(lambda: is_waiting(bench, id))
    with pytest.raises(LockLost):
        await bench.end(leased, Complete())
    (again,) = await bench.take()
    assert again.job.id == id
    with pytest.raises(LockLost):
        await bench.end(leased, Complete())
    await bench.end(again, Complete())


async def is_waiting(bench: Bench, id: str) -> bool:
    return (await bench.get(id)).state is State.WAITING


async def test_who_ended_its_lease_may_say_so_again(bench: Bench) -> None:
    await bench.add("a", "b")
    first, second = await bench.take(2)
    for _ in range(2):
        await bench.end(first, Complete())
        await bench.end(second, Release())
