"""What a ttl removes is counted for as long as its queue is there, and told with what the last run said."""

from __future__ import annotations

import pytest

from hubqueue.client.local import LocalHub
from hubqueue.errors import WrongState
from hubqueue.hub.summaries import Summaries
from hubqueue.hub.verbs import query
from hubqueue.hub.verbs.expire import end_due
from hubqueue.model.job import Options
from hubqueue.model.outcome import Fail, Release
from hubqueue.model.retry import Backoff
from hubqueue.model.state import State
from hubqueue.model.verbs import Event
from hubqueue.store.queues import EXPIRED
from hubqueue.store.tx import Tx

from .conftest import Bench

TTL = Options(ttl_ms=1000, backoff=Backoff("fixed", delay_ms=0))


async def expired(hub: LocalHub, queue: str = "q") -> int:
    return await hub.run(lambda tx: query.expired(tx, queue))


async def gone(bench: Bench) -> None:
    """Everything that waits has been removed."""
    row = bench.hub.store.queues.by_name["q"]
    await bench.until(lambda: not row.n[State.WAITING] and not row.n[State.DELAYED])


async def test_it_is_counted_over_restarts_and_only_that(bench: Bench) -> None:
    await bench.add("a", "b", options=TTL)
    await bench.later(1000)
    await gone(bench)
    assert await expired(bench.hub) == 2
    await bench.reopen()
    assert await expired(bench.hub) == 2
    (cancelled,) = await bench.add("c", options=TTL)
    await bench.hub.cancel(cancelled)
    await bench.add("d", options=TTL)
    await bench.hub.drain("q")
    assert await expired(bench.hub) == 2
    assert [info.expired for info in await bench.hub.queues()] == [2]


async def test_a_queue_that_is_made_anew_begins_at_nothing(bench: Bench) -> None:
    await bench.add("a", options=TTL)
    await bench.later(1000)
    await gone(bench)
    await bench.hub.obliterate("q")
    assert await expired(bench.hub) == 0
    await bench.add("b")
    assert await expired(bench.hub) == 0


async def test_one_that_a_lease_finds_is_counted_too(bench: Bench) -> None:
    await bench.add("a", options=TTL)
    bench.clock.at_ms += 1000  # the loop does not turn: the lease finds it before maintenance
    assert await bench.take_names() == []
    assert await expired(bench.hub) == 1


async def test_a_group_that_fails_counts_nothing(bench: Bench) -> None:
    await bench.add("a", options=TTL)
    bench.clock.at_ms += 1000

    def verb(tx: Tx) -> None:
        with tx.savepoint():
            assert end_due(tx, 10) == 1
            raise WrongState("on purpose")

    with pytest.raises(WrongState, match="on purpose"):
        await bench.hub.run(verb)
    row = bench.hub.store.queues.by_name["q"]
    assert (row.n[State.WAITING] + row.n[EXPIRED]) == 1


@pytest.mark.parametrize("outcome", [Fail("no answer"), Release()], ids=["failed", "released"])
async def test_one_that_comes_back_too_late_is_removed_at_once(bench: Bench, outcome: Fail | Release) -> None:
    """Maintenance had nothing to do when its time came: it was running."""
    await bench.add("a", options=TTL)
    (leased,) = await bench.take(lease_ms=60_000)
    await bench.later(1000)
    await bench.end(leased, outcome)
    await gone(bench)
    assert await expired(bench.hub) == 1


async def test_those_who_ask_are_told_with_the_last_error(bench: Bench) -> None:
    usual: list[Event] = []
    named: list[Event] = []
    await bench.hub.subscribe("q", usual.append)
    await bench.hub.subscribe(None, named.append, ["expired"])
    (id,) = await bench.add("say", data=b"\xa2hi", options=TTL)
    (leased,) = await bench.take()
    await bench.end(leased, Fail("no answer"))
    await bench.later(1000)
    await gone(bench)
    assert [(each.kind, each.job_id, each.error, each.name, each.data) for each in named] == [
        ("expired", id, "no answer", "say", b"\xa2hi")
    ]
    assert [each.kind for each in usual][-1] == "removed"
    assert "expired" not in {each.kind for each in usual}


async def test_summaries_tell_how_many(bench: Bench) -> None:
    told: list[int] = []
    await bench.add("a", options=TTL)
    end = bench.hub.summaries.subscribe(
        "q",
        lambda found: told.extend(state.expired for state in found.queues) if isinstance(found, Summaries) else None,
    )
    await bench.until(lambda: told[-1:] == [0])
    await bench.later(1000)
    await bench.until(lambda: told[-1:] == [1])
    end()
