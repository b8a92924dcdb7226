"""Scopes: every command has a row, and a token does what its row says and nothing else."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hubqueue import commands
from hubqueue.client.local import LocalHub
from hubqueue.commands.command import Command
from hubqueue.commands.enqueue import Push
from hubqueue.commands.groups import GroupCommand
from hubqueue.commands.operator import OperatorCommand
from hubqueue.commands.table import BY_NAME, COMMANDS, FAMILIES
from hubqueue.errors import NotFound
from hubqueue.hub.access import digest_of
from hubqueue.hub.verbs import change, query, schedule
from hubqueue.model.access import Grant, Scope
from hubqueue.model.job import NewJob
from hubqueue.model.state import State
from support.waiting import until
from support.wire import WireClient

Connect = Callable[[], Awaitable[WireClient]]


def test_every_class_of_a_command_is_in_the_table() -> None:
    """Only those have a row. A family that is not collected, or a class without `@command`, would be found here."""
    bases = {OperatorCommand, GroupCommand}
    structs = {Push, *commands_below(Command)} - bases
    assert sorted(each.__name__ for each in structs) == sorted(each.__name__ for each in COMMANDS)
    folder = Path(commands.__file__).parent
    families = [path.stem for path in folder.glob("*.py") if re.search(r"^@command\(", path.read_text(), re.MULTILINE)]
    assert sorted(families) == sorted(family.__name__.rpartition(".")[2] for family in FAMILIES)


def commands_below(base: type) -> Iterator[type]:
    for each in base.__subclasses__():
        yield each
        yield from commands_below(each)


def test_rows_name_known_scopes_once() -> None:
    for struct in COMMANDS:
        assert set(struct.row.needs) <= set(Scope)
        assert len(set(struct.row.needs)) == len(struct.row.needs)


# What each command is sent with when a token tries it. OTHER stands for something of a queue it may not touch: "queue"
# and the like name the queue, ids name a job, a schedule or a webhook of that queue.
OTHER = "other"
NAMED: dict[str, dict[str, Any]] = {
    "PUSHB": {"jobs": [{"name": "n", "data": 1}]},
    "PUSHF": {"jobs": [{"id": "planned", "queue": OTHER, "input": {"name": "n", "data": 1}}]},
    "PUSH": {"name": "n", "data": 1},
    "PULLB": {"count": 1},
    "CancelPoll": {"poll": 1},
    "WaitJob": {"timeout": 1},
    "ACKB": {"ids": ["$job"]},
    "Settle": {"settlements": [{"id": "$job", "outcome": "complete"}]},
    "GetBlobs": {"namespace": "n"},
    "JobHeartbeatB": {"ids": ["$job"]},
    "ExtendLock": {"duration": 1000},
    "ExtendLocks": {"ids": ["$job"], "tokens": ["t"], "durations": [1000]},
    "Progress": {"progress": 1},
    "GetJobByCustomId": {"customId": "known"},
    "GetDeduplicationJobId": {"deduplicationId": "k"},
    "RemoveDeduplicationKey": {"deduplicationId": "k"},
    "ChangePriority": {"priority": 1},
    "ChangeDelay": {"delay": 1},
    "MoveToDelayed": {"delay": 1},
    "Snooze": {"delay": 1},
    "AddLog": {"message": "m"},
    "UpdateParent": {"childId": "$job", "parentId": "$job"},
    "RemoveDlqJob": {"jobId": "$job"},
    "SetStallConfig": {"config": {}},
    "SetDlqConfig": {"config": {}},
    "Cron": {"name": "fresh", "repeatEvery": 60000},
    "RateLimit": {"limit": 1},
    "SetConcurrency": {"limit": 1},
    "SetGroupRateLimit": {"max": 1, "duration": 1000},
    "SetGroupConcurrency": {"concurrency": 1},
    "RateLimitGroup": {"duration": 1000},
    "RegisterWorker": {"queues": [OTHER]},
    "Heartbeat": {"id": "nobody"},
    "UnregisterWorker": {"workerId": "nobody"},
    "TrimEvents": {"maxLength": 1},
    "AddWebhook": {"url": "https://example.com/hook", "events": ["job.failed"]},
    "RemoveWebhook": {"webhookId": "$webhook"},
    "SetWebhookEnabled": {"id": "$webhook", "enabled": True},
    "CronGet": {"name": "$schedule"},
    "CronDelete": {"name": "$schedule"},
    "CronRun": {"name": "$schedule"},
    "TokenAdd": {"name": "x", "scopes": ["read"]},
    "TokenRevoke": {"name": "nobody"},
    "Metrics": {"type": "completed"},
    "Publish": {"channel": "c", "data": 1},
    "SubscribeChannel": {"channel": "c"},
    "UnsubscribeChannel": {"channel": "c"},
    "ForwarderPut": {"name": "f", "queue": OTHER, "to": "tcp://127.0.0.1:1"},
    "RuleTest": {"topic": "t", "payload": b"1"},
}
# These touch no queue, or show only what the token may see.
FREE = {
    "CancelPoll", "Heartbeat", "UnregisterWorker", "ListQueues", "CronList", "ListWorkers", "ListWebhooks",
    "StorageStatus", "Hello", "Auth", "Ping", "UnsubscribeEvents", "UnsubscribeSummaries", "UnsubscribeChannel",
    "DashboardQueues", "Overview",
}  # fmt: skip


@dataclass
class Known:
    """What belongs to the other queue, and tokens."""

    hub: LocalHub
    ids: dict[str, str]

    async def token(self, *scopes: Scope, queues: tuple[str, ...] | None = None) -> str:
        name = f"t{len(self.hub.access.tokens)}"
        return await self.hub.run(lambda tx: self.hub.access.add(tx, name, scopes, queues))

    def message(self, name: str) -> dict[str, Any]:
        """The command of this name, about the other queue."""
        struct = BY_NAME[name]
        wanted = {field.encode_name for field in msgspec.structs.fields(struct)}
        given: dict[str, Any] = {"queue": OTHER, "groupId": "g", "id": "$job", "name": "$schedule"}
        fields = {key: value for key, value in given.items() if key in wanted} | NAMED.get(name, {})
        filled: dict[str, Any] = self._fill(fields)
        return {"cmd": name, **filled}

    def _fill(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._fill(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._fill(item) for item in value]
        return self.ids.get(value, value) if isinstance(value, str) else value


@pytest.fixture
def tokens() -> tuple[str, ...]:
    return ("admin",)


@pytest.fixture
async def known(hub: LocalHub, client: WireClient) -> Known:
    """One job, custom id, schedule, webhook of the other queue, made by somebody who may."""
    await client.good("Auth", token="admin")
    job = (await client.good("PUSH", queue=OTHER, name="n", data=1, jobId="known"))["id"]
    await client.good("Cron", name="nightly", queue=OTHER, repeatEvery=60_000)
    added = await client.good("AddWebhook", url="https://example.com/hook", events=["job.failed"], queue=OTHER)
    ids = {"$job": job, "$schedule": "nightly", "$webhook": added["data"]["webhookId"]}
    return Known(hub, ids)


async def as_token(connect: Connect, secret: str) -> WireClient:
    client = await connect()
    await client.good("Auth", token=secret)
    return client


@pytest.mark.parametrize("scope", Scope)
async def test_a_token_does_what_its_scope_says_and_nothing_else(known: Known, connect: Connect, scope: Scope) -> None:
    """Sent in an order that lets the hub's things live; what comes back matters only as far as it is `forbidden`."""
    client = await as_token(connect, await known.token(scope))
    for struct in sorted(COMMANDS, key=lambda each: each.__name__):
        name, row = str(struct.__struct_config__.tag), struct.row
        if name in ("CompactMemory", "Auth"):
            continue
        reply = await client.call(**known.message(name))
        while "ok" not in reply:  # what it has subscribed to
            reply = await client.read()
        allowed = not row.needs or scope in row.needs or scope is Scope.ADMIN
        assert (reply.get("code") != "forbidden") == allowed, (name, reply)
        if not allowed:
            assert f"lacks the scope '{row.needs[0]}'" in reply["error"]
            assert f"'{known.hub.access.tokens[0].grant.name}'" in reply["error"]


@pytest.mark.parametrize("name", sorted(set(BY_NAME) - FREE))
async def test_a_token_with_queues_reaches_no_other_queue(known: Known, connect: Connect, name: str) -> None:
    before = await snapshot(known.hub)
    client = await as_token(connect, await known.token(*Scope, queues=("mine",)))
    reply = await client.call(**known.message(name))
    assert reply.get("code") == "forbidden", reply
    assert known.ids["$job"] not in str(reply)
    assert await snapshot(known.hub) == before


@pytest.mark.parametrize("name", sorted(FREE - {"Auth"}))
async def test_what_touches_no_queue_shows_nothing_of_other_queues(known: Known, connect: Connect, name: str) -> None:
    client = await as_token(connect, await known.token(*Scope, queues=("mine",)))
    reply = await client.call(**known.message(name))
    assert reply.get("code") != "forbidden", reply
    assert OTHER not in str(reply)


async def snapshot(hub: LocalHub) -> Any:
    jobs = await hub.run(lambda tx: query.list_jobs(tx, OTHER, tuple(State), limit=10).jobs)
    return (await hub.queues(), await hub.run(schedule.every), jobs, hub.webhooks._known)


async def test_ties_to_jobs_of_other_queues_are_refused(known: Known, connect: Connect) -> None:
    client = await as_token(connect, await known.token(*Scope, queues=("mine",)))
    for tie in ({"dependsOn": ["known"]}, {"childrenIds": ["known"]}, {"parentId": "known"}, {"jobId": "known"}):
        reply = await client.call("PUSH", queue="mine", name="n", data=1, **tie)
        assert reply.get("code") == "forbidden", (tie, reply)
        entry = {"customId": tie["jobId"]} if "jobId" in tie else tie
        reply = await client.call("PUSHB", queue="mine", jobs=[{"name": "n", "data": 1, **entry}])
        assert reply.get("code") == "forbidden", (tie, reply)


async def test_a_flow_with_one_job_in_another_queue_is_refused(known: Known, connect: Connect) -> None:
    client = await as_token(connect, await known.token(*Scope, queues=("mine",)))
    flow = [{"id": queue, "queue": queue, "input": {"name": "n", "data": 1}} for queue in ("mine", OTHER)]
    assert (await client.call("PUSHF", jobs=flow))["code"] == "forbidden"
    assert (await known.hub.counts("mine")).waiting == 0


async def test_outputs_of_a_settle_need_the_scope_and_the_queue(known: Known, connect: Connect) -> None:
    worker = await as_token(connect, await known.token(Scope.WORK))
    outputs = [{"queue": OTHER, "jobs": [{"name": "n", "data": 1}]}]
    assert "enqueue" in (await worker.call("Settle", outputs=outputs))["error"]
    limited = await as_token(connect, await known.token(*Scope, queues=("mine",)))
    assert (await limited.call("Settle", outputs=outputs))["code"] == "forbidden"
    assert (await limited.call("Settle", blobs=[{"namespace": "n", "key": "k", "value": b"v"}]))["code"] == "forbidden"


async def test_a_token_with_queues_does_everything_there(known: Known, connect: Connect) -> None:
    client = await as_token(connect, await known.token(*Scope, queues=("mine",)))
    id = (await client.good("PUSH", queue="mine", name="n", data=1, jobId="own"))["id"]
    await client.good("PUSH", queue="mine", name="n", data=1, dependsOn=[id])
    leased = await client.good("PULL", queue="mine", owner="w")
    await client.good("Settle", settlements=[{"id": id, "token": leased["token"], "outcome": "complete"}])
    assert (await client.good("WaitJob", id=id, timeout=1000))["completed"]
    assert (await client.good("ListQueues"))["queues"] == ["mine"]
    await client.good("Cron", name="own", queue="mine", repeatEvery=60_000)
    assert [cron["name"] for cron in (await client.good("CronList"))["crons"]] == ["own"]
    await client.good("Drain", queue="mine")


async def test_a_schedule_of_another_queue_cannot_be_taken_over(known: Known, connect: Connect) -> None:
    client = await as_token(connect, await known.token(*Scope, queues=("mine",)))
    assert (await client.call("Cron", name="nightly", queue="mine", repeatEvery=1000))["code"] == "forbidden"
    assert [schedule.queue for schedule in await known.hub.run(schedule.every)] == [OTHER]


async def test_events_of_all_queues_are_those_of_its_own(known: Known, connect: Connect, client: WireClient) -> None:
    listener = await as_token(connect, await known.token(Scope.READ, queues=("mine", "too")))
    await listener.good("SubscribeEvents", queue="*")
    for queue in (OTHER, "mine", OTHER, "too"):
        await client.good("PUSH", queue=queue, name="n", data=1)
    heard = [(await listener.read())["event"]["queue"] for _ in range(2)]
    assert heard == ["mine", "too"]


async def test_a_wait_for_a_job_of_another_queue_is_refused_at_once(known: Known, connect: Connect) -> None:
    client = await as_token(connect, await known.token(*Scope, queues=("mine",)))
    assert (await client.call("WaitJob", id="known", timeout=60_000))["code"] == "forbidden"


async def test_a_revoked_token_ends_its_connections_and_their_polls(known: Known, connect: Connect) -> None:
    other = await as_token(connect, await known.token(Scope.WORK))
    client = await as_token(connect, await known.token(Scope.WORK))
    await client.send({"cmd": "PULL", "queue": "mine", "owner": "w", "timeout": 60_000})
    await until(lambda: known.hub.served("mine"))
    name = known.hub.access.tokens[-1].grant.name
    await known.hub.run(lambda tx: known.hub.access.revoke(tx, name))
    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
        await client.read()
    await other.good("Ping")
    (id,) = await known.hub.enqueue("mine", [NewJob(name="n", data=b"\x01")])
    assert (await known.hub.get(id)).state is State.WAITING  # nobody is left who would have taken it
    again = await connect()
    assert (await again.call("Auth", token="whatever"))["code"] == "not_authenticated"


async def test_who_revokes_its_own_token_is_answered_and_then_cut(known: Known, connect: Connect) -> None:
    client = await as_token(connect, await known.token(Scope.ADMIN))
    await client.good("TokenRevoke", name="t0")
    assert await client.ended() == b""


async def test_a_revocation_that_was_rolled_back_has_not_happened(known: Known, connect: Connect) -> None:
    client = await as_token(connect, await known.token(Scope.READ))
    (token,) = known.hub.access.tokens

    def verb(tx: Any) -> None:
        with tx.savepoint():
            known.hub.access.revoke(tx, token.grant.name)
            raise NotFound

    with pytest.raises(NotFound):
        await known.hub.run(verb)
    await client.good("ListQueues")
    assert known.hub.access.find(token.digest) == token.grant


async def test_tokens_outlive_a_restart_and_the_file_does_not_hold_them(tmp_path: Path) -> None:
    path = tmp_path / "own.db"
    async with await LocalHub.open(path) as hub:
        secret = await hub.run(lambda tx: hub.access.add(tx, "phone", (Scope.READ,), ("a",)))
        assert secret.startswith("hq_")
        assert secret not in repr(hub.access.tokens)
    assert secret.encode() not in content_of(tmp_path)
    async with await LocalHub.open(path) as hub:
        grant = hub.access.find(digest_of(secret))
        assert grant == Grant("phone", frozenset({Scope.READ}), frozenset("a"))
        (token,) = hub.access.tokens
        await hub.run(lambda tx: None)
        assert token.used_at_ms is not None
        used_at_ms = token.used_at_ms
    async with await LocalHub.open(path) as hub:
        assert hub.access.tokens[0].used_at_ms == used_at_ms


async def test_searches_without_a_queue_find_only_its_own(known: Known, connect: Connect) -> None:
    client = await as_token(connect, await known.token(*Scope, queues=("mine",)))
    own = (await client.good("PUSH", queue="mine", name="n", data=1))["id"]
    assert [job["id"] for job in (await client.good("FindJobs"))["jobs"]] == [own]
    for id in (known.ids["$job"], own):
        await known.hub.run(lambda tx, id=id: change.discard(tx, id, None))
    assert [reason["queue"] for reason in (await client.good("DeadReasons"))["reasons"]] == ["mine"]
    overview = await client.good("Overview")
    assert [queue["name"] for queue in overview["queues"]] == ["mine"]
    assert overview["totals"]["failed"] == 1


def content_of(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())
