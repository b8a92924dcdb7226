"""Numbers beyond 32 bits: JavaScript reads MessagePack's 64-bit integers as BigInt, so they leave as floats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from support.wire import WireClient

YEAR_MS = 31_536_000_000
HUGE = 2**40


def integers(value: Any) -> Iterator[int]:
    """Every integer in a reply, however deep."""
    if isinstance(value, dict):
        for each in value.values():
            yield from integers(each)
    elif isinstance(value, list):
        for each in value:
            yield from integers(each)
    elif isinstance(value, int):
        yield value


async def test_no_integer_that_javascript_cannot_read_leaves_the_hub(client: WireClient) -> None:
    options = {"ttl": YEAR_MS, "delay": YEAR_MS, "uniqueKey": "k", "dedup": {"ttl": YEAR_MS}, "backoff": 80_000_000}
    id = (await client.good("PUSH", queue="q", name="a", data=1, **options))["id"]
    again = (await client.good("PUSH", queue="q", name="r", repeat={"every": YEAR_MS, "limit": HUGE}))["id"]
    await client.good("RateLimit", queue="q", limit=HUGE, duration=HUGE, ttl=YEAR_MS)
    await client.good("SetConcurrency", queue="q", limit=HUGE)
    await client.good("SetGroupRateLimit", queue="q", groupId="g", max=HUGE, duration=HUGE)
    await client.good("SetGroupConcurrency", queue="q", groupId="g", concurrency=HUGE)
    await client.good("RateLimitGroup", queue="q", groupId="g", duration=HUGE)
    await client.good("Cron", name="c", queue="q", repeatEvery=YEAR_MS, maxLimit=HUGE)
    replies = [
        await client.good("GetJob", id=id),
        await client.good("GetJob", id=again),
        await client.good("GetJobs", queue="q"),
        await client.good("GetQueueLimits", queue="q"),
        await client.good("GetGroupRateLimit", queue="q", groupId="g"),
        await client.good("GetGroupConcurrency", queue="q", groupId="g"),
        await client.good("GetGroupRateLimitTtl", queue="q", groupId="g"),
        await client.good("CronGet", name="c"),
        await client.good("GetDlqConfig", queue="q"),
        await client.good("GetStallConfig", queue="q"),
        await client.good("Stats"),
        await client.good("DashboardOverview"),
    ]
    assert replies[0]["job"]["ttl"] == YEAR_MS
    assert [number for reply in replies for number in integers(reply) if not -(2**31) <= number < 2**32] == []
