"""Settings of one queue: dead letters that are bounded and tried again by themselves, and what counts as stalled."""

from __future__ import annotations

from typing import Any

from hubqueue.hub.verbs import change, configure
from hubqueue.model.outcome import Fail, Reject
from hubqueue.model.state import State

from .conftest import Bench


async def set_dlq(bench: Bench, **config: Any) -> None:
    await bench.hub.run(lambda tx: configure.set_dlq_config(tx, "q", config))


async def kill(bench: Bench, *names: str) -> list[str]:
    ids = await bench.add(*names, max_attempts=1)
    for leased in await bench.take(len(names)):
        await bench.end(leased, Fail("no"))
    return ids


async def test_a_dead_letter_is_tried_again_by_itself_until_its_retries_are_used_up(bench: Bench) -> None:
    await set_dlq(bench, autoRetry=True, autoRetryInterval=20, maxAutoRetries=2)
    (id,) = await kill(bench, "a")
    for retries in (1, 2):
        await bench.later(19 * retries)
        assert (await bench.get(id)).state is State.FAILED
        await bench.later(retries)
        await bench.until(lambda: bench.hub.store.queues.by_name["q"].n[State.WAITING])
        (leased,) = await bench.take()
        assert (leased.job.id, leased.job.attempts) == (id, 0)
        assert leased.job.history.retries == retries
        assert leased.job.history.retried_at_ms is not None
        await bench.end(leased, Fail("again"))
    dead = await bench.get(id)
    assert (dead.state, dead.history.retry_at_ms, dead.history.retries) == (State.FAILED, None, 2)


async def test_the_time_to_the_next_retry_doubles(bench: Bench) -> None:
    await set_dlq(bench, autoRetry=True, autoRetryInterval=1000)
    settings = await bench.hub.run(lambda tx: configure.dlq_config(tx, "q"))
    waits = [settings.next_retry_ms(0, retries, "timeout") for retries in range(4)]
    assert waits == [1000, 1000, 2000, None]


async def test_what_was_meant_to_die_is_not_tried_again(bench: Bench) -> None:
    await set_dlq(bench, autoRetry=True, autoRetryInterval=1)
    rejected, discarded = await bench.add("a", "b")
    (leased,) = await bench.take(1)
    await bench.end(leased, Reject("never"))
    await bench.hub.run(lambda tx: change.discard(tx, discarded))
    for id in (rejected, discarded):
        assert (await bench.get(id)).history.retry_at_ms is None


async def test_retries_that_are_due_survive_a_restart(bench: Bench) -> None:
    await set_dlq(bench, autoRetry=True, autoRetryInterval=200)
    (id,) = await kill(bench, "a")
    await bench.reopen()
    await bench.later(199)
    assert (await bench.get(id)).state is State.FAILED
    await bench.later(1)
    await bench.until(lambda: bench.hub.store.queues.by_name["q"].n[State.WAITING])
    assert (await bench.get(id)).state is State.WAITING


async def test_a_retry_by_hand_calls_the_automatic_one_off(bench: Bench) -> None:
    await set_dlq(bench, autoRetry=True, autoRetryInterval=60_000)
    (id,) = await kill(bench, "a")
    assert (await bench.get(id)).history.retry_at_ms is not None
    await bench.hub.retry(id)
    assert (await bench.get(id)).history.retry_at_ms is None


async def test_a_lower_bound_drops_the_oldest_dead_letters_at_once(bench: Bench) -> None:
    ids = await kill(bench, "a", "b", "c")
    await set_dlq(bench, maxEntries=1)
    left = (await bench.hub.list_jobs("q", (State.FAILED,))).jobs
    assert [job.id for job in left] == ids[-1:]


async def test_settings_survive_a_restart_and_go_with_their_queue(bench: Bench) -> None:
    await set_dlq(bench, maxEntries=7)
    await bench.hub.run(lambda tx: configure.set_stall_config(tx, "q", {"maxStalls": 9}))
    await bench.reopen()
    bounds = bench.hub.bounds("q")
    assert (bounds.max_dead, bounds.max_stalls) == (7, 9)
    await bench.hub.obliterate("q")
    assert bench.hub.bounds("q") == bench.hub.settings.bounds


async def test_stall_settings_bound_the_stalls_of_a_job(bench: Bench) -> None:
    await bench.hub.run(lambda tx: configure.set_stall_config(tx, "q", {"maxStalls": 1}))
    (id,) = await bench.add("a", max_attempts=10)
    await bench.take(lease_ms=1)
    await bench.later(1)

    async def dead() -> bool:
        return (await bench.get(id)).state is State.FAILED

    await bench.until(dead)
    assert (await bench.get(id)).history.reason == "stalled"


async def test_a_lease_without_an_owner_lasts_as_long_as_the_stall_settings_say(bench: Bench) -> None:
    await bench.hub.run(lambda tx: configure.set_stall_config(tx, "q", {"stallInterval": 90_000}))
    await bench.add("a", "b")
    (leased,) = await bench.take(owner=None)
    job = leased.job
    assert job.deadline_ms is not None
    assert job.started_at_ms is not None
    assert job.deadline_ms - job.started_at_ms == 90_000
    await bench.hub.run(lambda tx: configure.set_stall_config(tx, "q", {"enabled": False}))
    (leased,) = await bench.take(owner=None)
    assert leased.job.deadline_ms is not None
    assert leased.job.started_at_ms is not None
    assert leased.job.deadline_ms - leased.job.started_at_ms == 86_400_000
