"""Every command with random values, on a real hub: an answer each, never a defect, and the hub goes on."""

from __future__ import annotations

import random
import string
from typing import Any

import msgspec
import pytest

from hubqueue.commands.table import BY_NAME
from support.torture import sized
from support.wire import WireClient

UNDEFINED = msgspec.msgpack.Ext(0, b"\0")
ROUNDS = sized(ci=10, full=400)  # of every command
# a long-poll that waits is tested elsewhere, and a poll that is called off has no answer
UNPOLLED = {"timeout": 0}
SKIPPED = {"CancelPoll"}


def some_value(chance: random.Random, known: list[str], depth: int = 0) -> Any:
    kinds: list[Any] = [
        lambda: chance.choice(known),
        lambda: chance.choice(["q", "p"]),
        lambda: chance.choice(["waiting", "completed", "failed", "complete", "retry", "release", "*", "fixed"]),
        lambda: chance.choice([0, 1, -1, 5, 1000, 2**31, 2**53, 2**63, 2**64 - 1, -(2**63)]),
        lambda: chance.choice([0.0, 1.5, 1e12, -1e300, float("nan"), float("inf")]),
        lambda: chance.choice([None, True, False, UNDEFINED]),
        lambda: "".join(chance.choices(string.printable, k=chance.randrange(300))),
        lambda: chance.randbytes(chance.randrange(30)),
    ]
    if depth < 3:
        kinds += [
            lambda: [some_value(chance, known, depth + 1) for _ in range(chance.randrange(4))],
            lambda: {some_key(chance): some_value(chance, known, depth + 1) for _ in range(chance.randrange(5))},
        ]
    return chance.choice(kinds)()


def some_key(chance: random.Random) -> str:
    return chance.choice(["id", "queue", "token", "outcome", "name", "data", "jobs", "delay", "type", "key", "limit"])


def likely_value(chance: random.Random, field: str, known: list[str]) -> Any:
    """Often a value that gets through the first check."""
    if field == "queue" and chance.random() < 0.9:
        return "q"
    if field in ("id", "jobId", "customId", "childId") and chance.random() < 0.8:
        return chance.choice(known)
    if field in ("ids", "tokens") and chance.random() < 0.8:
        return [chance.choice(known) for _ in range(2)]
    if field == "jobs" and chance.random() < 0.8:
        return [{"name": "n", "data": some_value(chance, known), some_key(chance): some_value(chance, known)}]
    return some_value(chance, known)


async def answer(client: WireClient, message: dict[str, Any]) -> dict[str, Any]:
    """The reply, past events of what it may have subscribed to."""
    await client.send(message)
    reply = await client.read()
    while "type" in reply:
        reply = await client.read()
    return reply


@pytest.mark.parametrize("seed", range(4))
async def test_no_command_with_any_values_finds_a_defect(client: WireClient, seed: int) -> None:
    chance = random.Random(seed)
    pushed = await client.good("PUSHB", queue="q", jobs=[{"name": "n", "data": i} for i in range(30)])
    pulled = await client.good("PULLB", queue="q", owner="w", count=10)
    known = [*pushed["ids"], *pulled["tokens"], "nobody"]
    names = sorted(set(BY_NAME) - SKIPPED) * ROUNDS
    chance.shuffle(names)
    for number, name in enumerate(names):
        fields = [field.encode_name for field in msgspec.structs.fields(BY_NAME[name])]
        chosen = [field for field in fields if field != "reqId" and chance.random() < 0.8]
        message = {field: likely_value(chance, field, known) for field in chosen}
        if "timeout" in fields and name in ("PULL", "PULLB", "WaitJob"):
            message |= UNPOLLED
        reply = await answer(client, {**message, "cmd": name, "reqId": number})
        assert reply["reqId"] == number
        assert reply["ok"] or reply["code"] not in ("store_error", "error"), (name, message, reply)
    assert (await answer(client, {"cmd": "PUSH", "queue": "q", "name": "n", "data": 1}))["ok"]
    assert (await answer(client, {"cmd": "Count", "queue": "q"}))["count"] > 0
