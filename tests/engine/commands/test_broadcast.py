"""Clients that listen to the same events share them; who comes or goes meanwhile gets exactly its own."""

from __future__ import annotations

from support.tcp import Connect
from support.wire import WireClient


async def pushed(client: WireClient, count: int) -> list[str]:
    """The ids of so many pushes that it is told of next."""
    ids = []
    for _ in range(count):
        message = await client.read()
        assert message["event"]["eventType"] == "pushed", message
        ids.append(message["event"]["jobId"])
    return ids


async def push(client: WireClient, count: int, queue: str = "q") -> list[str]:
    jobs = [{"name": "n", "data": number} for number in range(count)]
    ids: list[str] = (await client.good("PUSHB", queue=queue, jobs=jobs))["ids"]
    return ids


async def test_all_hear_everything_in_order(connect: Connect) -> None:
    listeners, client = [await connect() for _ in range(3)], await connect()
    for listener in listeners:
        await listener.good("SubscribeEvents", queue="q")
    ids = [id for _ in range(3) for id in await push(client, 700)]
    for listener in listeners:
        assert await pushed(listener, len(ids)) == ids


async def test_who_comes_later_hears_nothing_from_before(connect: Connect) -> None:
    early, late, client = await connect(), await connect(), await connect()
    await early.good("SubscribeEvents", queue="q")
    before = await push(client, 3)
    await late.good("SubscribeEvents", queue="q")
    after = await push(client, 3)
    assert await pushed(late, 3) == after
    assert await pushed(early, 6) == before + after


async def test_who_leaves_is_told_before_the_answer_what_happened_until_then(connect: Connect) -> None:
    leaving, staying, client = await connect(), await connect(), await connect()
    for listener in (leaving, staying):
        await listener.good("SubscribeEvents", queue="q")
    before = await push(client, 3)
    await leaving.send({"cmd": "UnsubscribeEvents"})
    assert await pushed(leaving, 3) == before
    assert (await leaving.read())["ok"] is True
    after = await push(client, 3)
    assert await pushed(staying, 6) == before + after
    await leaving.good("Ping")


async def test_another_wish_of_one_changes_nothing_for_the_others(connect: Connect) -> None:
    one, other, client = await connect(), await connect(), await connect()
    for listener in (one, other):
        await listener.good("SubscribeEvents", queue="q")
    await one.good("SubscribeEvents", queue="r", add=True)
    ids = await push(client, 2, "r") + await push(client, 2, "q")
    assert await pushed(one, 4) == ids
    assert await pushed(other, 2) == ids[2:]
    await one.good("UnsubscribeEvents", queue="r")
    await push(client, 2, "r")
    ids = await push(client, 2, "q")
    assert await pushed(one, 2) == ids
    assert await pushed(other, 2) == ids


async def test_own_pushes_are_told_before_their_answer(connect: Connect) -> None:
    client = await connect()
    await client.good("SubscribeEvents", queue="q")
    await client.send({"cmd": "PUSH", "queue": "q", "name": "n", "data": 1})
    told = await pushed(client, 1)
    assert (await client.read())["id"] == told[0]
