"""Groups over a real socket: turns, what a pull says about groups, and polls that wait for one group."""

from __future__ import annotations

from typing import Any

import pytest

from support.tcp import Connect
from support.wire import WireClient


async def push(client: WireClient, *names: str, **fields: Any) -> None:
    """Jobs named `<group><n>`, in groups of one letter; "-" is no group."""
    jobs = [
        {"name": name, "data": name, **({} if name[0] == "-" else {"groupId": name[0]}), **fields} for name in names
    ]
    await client.good("PUSHB", queue="q", jobs=jobs)


async def pull(client: WireClient, count: int = 100, **fields: Any) -> list[str]:
    pulled = await client.good("PULLB", queue="q", owner="w", count=count, **fields)
    return [job["name"] for job in pulled["jobs"]]


async def test_groups_take_turns_after_the_jobs_without_a_group(client: WireClient) -> None:
    await push(client, "a1", "a2", "a3", "b1", "c1", "-")
    assert await pull(client) == ["-", "a1", "b1", "c1", "a2", "a3"]


async def test_turns_go_on_from_pull_to_pull(client: WireClient) -> None:
    await push(client, "a1", "a2", "b1", "b2")
    assert [(await pull(client, 1))[0] for _ in range(4)] == ["a1", "b1", "a2", "b2"]


async def test_the_lowest_priority_number_of_a_group_goes_first(client: WireClient) -> None:
    for name, priority in (("a3", 3), ("a0", 0), ("a1", 1)):
        await push(client, name, priority=priority)
    assert await pull(client) == ["a0", "a1", "a3"]


async def test_no_more_jobs_of_a_group_are_active_than_the_pull_allows(client: WireClient) -> None:
    await push(client, "a1", "a2", "b1", "b2", "-1", "-2")
    assert await pull(client, group={"concurrency": 1}) == ["-1", "-2", "a1", "b1"]
    assert await pull(client, group={"concurrency": 1}) == []
    assert await pull(client) == ["a2", "b2"]


async def test_a_group_rate_of_the_pull_opens_a_window(client: WireClient) -> None:
    await push(client, "a1", "a2", "a3", "b1")
    rate = {"limit": {"max": 2, "duration": 60_000}}
    assert await pull(client, group=rate) == ["a1", "b1", "a2"]
    assert await pull(client, group=rate) == []
    ttl = (await client.good("GetGroupRateLimitTtl", queue="q", groupId="a"))["data"]["ttl"]
    assert 50_000 < ttl <= 60_000


async def test_a_poll_is_served_when_the_window_of_its_group_opens_again(client: WireClient) -> None:
    await push(client, "a1", "a2")
    rate = {"limit": {"max": 1, "duration": 200}}
    assert await pull(client, group=rate, timeout=10_000) == ["a1"]
    assert await pull(client, group=rate, timeout=10_000) == ["a2"]


async def test_a_stored_limit_counts_only_for_pulls_that_carry_its_default(client: WireClient) -> None:
    await push(client, "a1", "a2", "a3", "a4")
    await client.good("SetGroupConcurrency", queue="q", groupId="a", concurrency=2)
    assert await pull(client, group={"concurrency": 1}) == ["a1", "a2"]
    assert await pull(client, group={"concurrency": 100}) == []
    assert await pull(client) == ["a3", "a4"]


async def test_affinity_takes_one_group_or_none_only(client: WireClient) -> None:
    await push(client, "a1", "b1", "-1")
    assert await pull(client, group={"affinity": "b"}) == ["b1"]
    assert await pull(client, group={"affinity": "b"}) == []
    assert await pull(client, group={"affinity": None}) == ["-1"]
    assert await pull(client) == ["a1"]


async def test_a_poll_that_cannot_take_a_job_does_not_keep_it_from_the_next(connect: Connect) -> None:
    picky, other, client = await connect(), await connect(), await connect()
    poll = {"cmd": "PULL", "queue": "q", "owner": "w", "timeout": 30_000}
    await picky.send({**poll, "group": {"affinity": "b"}})
    await picky.good("Ping")
    await other.send(poll)
    await other.good("Ping")
    await push(client, "a1")
    assert (await other.read())["job"]["name"] == "a1"
    await push(client, "b1")
    assert (await picky.read())["job"]["name"] == "b1"


@pytest.mark.parametrize(
    ("hold", "free"),
    [
        (("PauseGroup", {}), ("ResumeGroup", {})),
        (("RateLimitGroup", {"duration": 3_600_000}), ("RateLimitGroup", {"duration": 1})),
    ],
    ids=["paused", "blocked"],
)
async def test_a_group_that_is_held_back_is_served_when_it_may_go_on(
    connect: Connect, hold: tuple[str, dict[str, Any]], free: tuple[str, dict[str, Any]]
) -> None:
    client, poller = await connect(), await connect()
    await push(client, "a1", "b1")
    await client.good(hold[0], queue="q", groupId="a", **hold[1])
    assert await pull(client) == ["b1"]
    await poller.send({"cmd": "PULL", "queue": "q", "owner": "w", "timeout": 30_000})
    await poller.good("Ping")
    await client.good(free[0], queue="q", groupId="a", **free[1])
    assert (await poller.read())["job"]["name"] == "a1"


async def test_a_full_group_refuses_the_whole_batch(client: WireClient) -> None:
    await push(client, "a1", groupMaxSize=2)
    jobs = [{"name": name, "data": 1, "groupId": "a", "groupMaxSize": 2} for name in ("a2", "a3")]
    reply = await client.call("PUSHB", queue="q", jobs=jobs)
    assert (reply["error"], reply["code"]) == ("Group a has reached its maximum size of 2", "queue_full")
    assert (await client.good("GetGroupJobsCount", queue="q", groupId="a"))["data"]["count"] == 1
    assert (await client.good("Count", queue="q"))["count"] == 1


async def test_active_jobs_do_not_fill_a_group(client: WireClient) -> None:
    await push(client, "a1", groupMaxSize=1)
    assert await pull(client) == ["a1"]
    await push(client, "a2", groupMaxSize=1)
    assert (await client.good("GetGroupActiveCount", queue="q", groupId="a"))["data"]["count"] == 1
