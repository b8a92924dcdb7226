"""Commands that name several things: one of a queue the token may use does not open the way to the others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest

from hubqueue.hub.hub import Hub
from hubqueue.hub.verbs import query
from hubqueue.model.access import Scope
from hubqueue.model.job import NewJob
from hubqueue.model.state import State
from support.wire import WireClient

Connect = Callable[[], Awaitable[WireClient]]
JOB: Final = {"name": "n", "data": {"n": 1}}

# $1 and $2: an own job and one of another queue, each in either place
MIXED: Final[dict[str, dict[str, Any]]] = {
    "ACKB": {"ids": ["$1", "$2"]},
    "JobHeartbeatB": {"ids": ["$1", "$2"]},
    "ExtendLocks": {"ids": ["$1", "$2"], "tokens": ["t", "t"], "durations": [1000, 1000]},
    "Settle": {"settlements": [{"id": "$1", "outcome": "complete"}, {"id": "$2", "outcome": "complete"}]},
    "UpdateParent": {"childId": "$1", "parentId": "$2"},
    "PUSH": {"queue": "mine", **JOB, "dependsOn": ["$1", "$2"]},
    "PUSH with children": {"queue": "mine", **JOB, "childrenIds": ["$1", "$2"]},
    "PUSH with both": {"queue": "mine", **JOB, "childrenIds": ["$1"], "parentId": "$2"},
    "PUSHB": {"queue": "mine", "jobs": [{**JOB, "dependsOn": ["$1"]}, {**JOB, "dependsOn": ["$2"]}]},
    "PUSHB with ids": {"queue": "mine", "jobs": [{**JOB, "customId": "$1"}, {**JOB, "customId": "$2"}]},
    "PUSHF": {"jobs": [{"id": f"${n}", "queue": "mine", "input": JOB} for n in (1, 2)]},
    "Settle with outputs": {
        "settlements": [{"id": "$1", "outcome": "complete"}],
        "outputs": [{"queue": "mine", "jobs": [{**JOB, "parentId": "$2"}]}],
    },
    "Settle into queues": {"outputs": [{"queue": "$queue1", "jobs": [JOB]}, {"queue": "$queue2", "jobs": [JOB]}]},
    "PUSHF into queues": {"jobs": [{"id": f"j{n}", "queue": f"$queue{n}", "input": JOB} for n in (1, 2)]},
    "RegisterWorker": {"queues": ["$queue1", "$queue2"]},
}


@pytest.fixture
def tokens() -> tuple[str, ...]:
    return ("admin",)


def filled(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: filled(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value


@pytest.mark.parametrize("own_first", [True, False], ids=["own first", "own last"])
@pytest.mark.parametrize("what", MIXED)
async def test_one_own_thing_among_several_is_not_enough(
    hub: Hub, connect: Connect, what: str, *, own_first: bool
) -> None:
    (own,) = await hub.enqueue("mine", [NewJob(name="n")])
    (foreign,) = await hub.enqueue("other", [NewJob(name="n")])
    places = ("1", "2") if own_first else ("2", "1")
    names = {
        name + place: value
        for place, queue, id in zip(places, ("mine", "other"), (own, foreign), strict=True)
        for name, value in (("$", id), ("$queue", queue))
    }
    secret = await hub.run(lambda tx: hub.access.add(tx, "limited", tuple(Scope), ("mine",)))
    client = await connect()
    await client.good("Auth", token=secret)
    before = await everything(hub)
    reply = await client.call(what.partition(" ")[0], **filled(MIXED[what], names))
    assert reply.get("code") == "forbidden", reply
    assert foreign not in str(reply)
    assert await everything(hub) == before


async def everything(hub: Hub) -> Any:
    return [
        await hub.run(lambda tx, queue=queue: query.list_jobs(tx, queue, tuple(State), limit=10).jobs)  # type: ignore[misc]
        for queue in ("mine", "other")
    ]
