"""Limits of queues over a real socket: rates, concurrency, and the polls that wait for them."""

from __future__ import annotations

from typing import Any

from hubqueue.hub.hub import Hub
from hubqueue.hub.settings import HubSettings
from support.served import served
from support.tcp import Connect
from support.waiting import until
from support.wire import WireClient


async def fill(client: WireClient, count: int) -> None:
    await client.good("PUSHB", queue="q", jobs=[{"name": str(n), "data": n} for n in range(count)])


async def pull(client: WireClient, count: int = 1000, **fields: Any) -> list[str]:
    pulled = await client.good("PULLB", queue="q", owner="w", count=count, **fields)
    return [job["name"] for job in pulled["jobs"]]


async def limits(client: WireClient, **fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await client.good("GetQueueLimits", queue="q", **fields))["data"]["limits"]
    return found


async def test_a_rate_lets_a_burst_through_and_then_one_after_the_other(client: WireClient) -> None:
    await fill(client, 5)
    await client.good("RateLimit", queue="q", limit=3, duration=600)
    assert await pull(client) == ["0", "1", "2"]
    assert await pull(client) == []
    assert 0 < (await limits(client))["rateLimitTtl"] <= 200
    assert await pull(client, timeout=10_000) == ["3"]
    assert await pull(client, timeout=10_000) == ["4"]


async def test_a_rate_of_nothing_blocks_the_queue_until_it_is_cleared(connect: Connect) -> None:
    client, poller = await connect(), await connect()
    await fill(client, 1)
    await client.good("RateLimit", queue="q", limit=0)
    assert await pull(client) == []
    await poller.send({"cmd": "PULL", "queue": "q", "owner": "w", "timeout": 30_000})
    await poller.good("Ping")
    await client.good("RateLimitClear", queue="q")
    assert (await poller.read())["job"]["name"] == "0"


async def test_a_rate_with_a_ttl_ends_by_itself_and_wakes_who_waits(client: WireClient) -> None:
    await fill(client, 1)
    await client.good("RateLimit", queue="q", limit=0, ttl=200)
    assert 0 < (await limits(client))["rateLimitTtl"] <= 200
    assert await pull(client, timeout=10_000) == ["0"]
    assert await limits(client) == {"rateLimit": None, "rateLimitTtl": -2, "concurrencyLimit": None, "maxed": False}


async def test_a_poll_waits_for_a_place_among_the_active_jobs(connect: Connect) -> None:
    client, poller = await connect(), await connect()
    await fill(client, 3)
    await client.good("SetConcurrency", queue="q", limit=1)
    first = await client.good("PULL", queue="q", owner="w")
    assert (await limits(client))["maxed"] is True
    await poller.send({"cmd": "PULL", "queue": "q", "owner": "w", "timeout": 30_000})
    await poller.good("Ping")
    await client.good("ACK", id=first["job"]["id"], token=first["token"])
    assert (await poller.read())["job"]["name"] == "1"


async def test_raising_the_concurrency_wakes_who_waits(connect: Connect) -> None:
    client, poller = await connect(), await connect()
    await fill(client, 2)
    await client.good("SetConcurrency", queue="q", limit=1)
    assert await pull(client) == ["0"]
    await poller.send({"cmd": "PULL", "queue": "q", "owner": "w", "timeout": 30_000})
    await poller.good("Ping")
    await client.good("SetConcurrency", queue="q", limit=2)
    assert (await poller.read())["job"]["name"] == "1"


async def test_jobs_that_are_active_already_count(client: WireClient) -> None:
    await fill(client, 3)
    assert await pull(client, 2) == ["0", "1"]
    await client.good("SetConcurrency", queue="q", limit=1)
    assert await pull(client) == []


async def test_a_lost_connection_gives_its_places_back(connect: Connect, hub: Hub) -> None:
    client, gone = await connect(), await connect()
    await fill(client, 2)
    await client.good("SetConcurrency", queue="q", limit=1)
    await gone.good("PULL", queue="q", owner="w")
    gone.abort()
    assert await pull(client, timeout=10_000) == ["0"]
    await until(lambda: hub.held_count == 1)


async def test_limits_survive_a_restart(tmp_path: Any) -> None:
    for opened in range(2):
        async with served(tmp_path / "hub.db", settings=HubSettings()) as where:
            client = await WireClient.open(where.port)
            if not opened:
                await fill(client, 3)
                await client.good("RateLimit", queue="q", limit="2", duration="60000")
                await client.good("SetConcurrency", queue="q", limit="5")
            found = await limits(client)
            assert (found["rateLimit"], found["concurrencyLimit"]) == ({"max": 2, "duration": 60_000}, 5)
            await client.close()
