"""The verbs over a link that breaks between a request and its answer, against a scripted peer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hubqueue.client.address import LinkSettings
from hubqueue.client.remote import RemoteHub
from hubqueue.errors import AnswerLost, LinkDown, LockLost, ProtocolError
from hubqueue.model.job import NewJob
from hubqueue.model.outcome import Complete, Outcome, Output, Reject, Settlement
from hubqueue.model.verbs import Renewal
from support.peer import Peer

Reply = dict[str, Any] | None


def remote(peer: Peer, **changes: Any) -> RemoteHub:
    return RemoteHub(replace(LinkSettings.from_url(peer.url), backoff_first_s=0.01, backoff_max_s=0.05, **changes))


def cut_first(peer_of: Callable[[], Peer], then: Callable[[str, dict[str, Any]], Reply]) -> Callable[..., Reply]:
    """Break the link instead of answering the first request; answer the rest."""
    asked = 0

    def answer(cmd: str, fields: dict[str, Any]) -> Reply:
        nonlocal asked
        asked += 1
        if asked == 1:
            peer_of().cut()
            return None
        return then(cmd, fields)

    return answer


async def test_an_enqueue_is_sent_again_under_the_same_id() -> None:
    peer = Peer(cut_first(lambda: peer, lambda cmd, fields: {"id": fields["jobId"]}))
    async with peer, remote(peer) as hub:
        (id,) = await hub.enqueue("q", [NewJob()])
        first, second = peer.seen
        assert first == second
        assert id == first[1]["jobId"]
        assert id.startswith("once:")


async def test_a_batch_is_sent_again_under_the_same_ids() -> None:
    peer = Peer(cut_first(lambda: peer, lambda cmd, fields: {"ids": [job["customId"] for job in fields["jobs"]]}))
    async with peer, remote(peer) as hub:
        ids = await hub.enqueue("q", [NewJob(), NewJob(custom_id="mine")])
        assert peer.seen[0] == peer.seen[1]
        assert ids[1] == "mine"
        assert ids[0].startswith("once:")


async def test_data_and_large_numbers_go_as_javascript_can_read_them() -> None:
    async with Peer(lambda cmd, fields: {"id": "1"}) as peer, remote(peer) as hub:
        await hub.enqueue(
            "q", [NewJob(data=b"\x81\xa1a\x01", delay_ms=2**33, run_at_ms=1_800_000_000_000)], durable=True
        )
        (_, fields) = peer.seen[0]
        assert fields["data"] == {"a": 1}
        assert (type(fields["delay"]), type(fields["runAt"])) == (float, float)
        assert fields["durable"] is True


async def test_a_complete_that_was_done_already_is_done() -> None:
    def after(cmd: str, fields: dict[str, Any]) -> Reply:
        if cmd == "GetState":
            return {"id": fields["id"], "state": "completed"}
        return {"ok": False, "error": "Job not found or not in processing state: 1", "code": "lock_lost"}

    peer = Peer(cut_first(lambda: peer, after))
    async with peer, remote(peer) as hub:
        outputs = [Output("next", NewJob())]
        (made,) = await hub.settle([Settlement("1", "t", Complete())], outputs=outputs)
        (sent,) = peer.seen[0][1]["outputs"][0]["jobs"]
        assert made == sent["customId"]


@pytest.mark.parametrize("outcome", [Complete(), Reject("no")])
async def test_a_settle_refused_after_a_lost_link_is_refused(outcome: Outcome) -> None:
    def after(cmd: str, fields: dict[str, Any]) -> Reply:
        if cmd == "GetState":
            return {"id": fields["id"], "state": "active"}
        return {"ok": False, "error": "Invalid or expired lock token for job 1"}

    peer = Peer(cut_first(lambda: peer, after))
    async with peer, remote(peer) as hub:
        with pytest.raises(LockLost):
            await hub.settle([Settlement("1", "t", outcome)])


async def test_a_settle_refused_at_once_is_refused_without_a_second_look() -> None:
    async with Peer(lambda cmd, fields: {"ok": False, "error": "x", "code": "lock_lost"}) as peer, remote(peer) as hub:
        with pytest.raises(LockLost):
            await hub.settle([Settlement("1", "t", Complete())])
        assert [cmd for cmd, _ in peer.seen] == ["Settle"]


async def test_a_long_poll_is_armed_again_for_the_rest_of_its_time() -> None:
    peer = Peer(cut_first(lambda: peer, lambda cmd, fields: {"jobs": [], "tokens": []}))
    async with peer, remote(peer) as hub:
        assert await hub.lease("q", owner="me", wait_ms=5000) == []
        first, second = (fields["timeout"] for _, fields in peer.seen)
        assert 0 < second < first <= 5000


async def test_jobs_for_a_poll_that_was_cancelled_are_given_back() -> None:
    held = asyncio.Event()

    def answer(cmd: str, fields: dict[str, Any]) -> Reply:
        match cmd:
            case "PULLB":
                held.set()
                return None
            case "CancelPoll":  # too late
                peer.push({"ok": True, "reqId": fields["poll"], "jobs": [{"id": "7", "queue": "q"}], "tokens": ["t"]})
                return {"cancelled": False}
        return {"ids": []}

    async with Peer(answer) as peer, remote(peer) as hub:
        poll = asyncio.create_task(hub.lease("q", owner="me", wait_ms=5000))
        await held.wait()
        poll.cancel()
        with pytest.raises(asyncio.CancelledError):
            await poll
        assert peer.seen[2] == (
            "Settle",
            {"settlements": [{"id": "7", "token": "t", "outcome": "release", "delay": 0}]},
        )


async def test_what_must_not_happen_twice_is_not_sent_twice() -> None:
    def answer(cmd: str, fields: dict[str, Any]) -> Reply:
        peer.cut()
        return None

    peer = Peer(answer)
    async with peer, remote(peer) as hub:
        with pytest.raises(AnswerLost):
            await hub.purge("q")
        with pytest.raises(AnswerLost):
            await hub.cancel("1")
        assert len(peer.seen) == 2


async def test_heartbeats_say_which_lease_is_lost() -> None:
    words = ["renewed", "lost", "cancelled"]
    async with Peer(lambda cmd, fields: {"data": {"ok": True, "renewals": words}}) as peer, remote(peer) as hub:
        renewals = await hub.extend([("1", "a"), ("2", "b"), ("3", "c")])
        assert renewals == [Renewal.RENEWED, Renewal.LOST, Renewal.CANCELLED]
        assert peer.seen[0] == ("JobHeartbeatB", {"ids": ["1", "2", "3"], "tokens": ["a", "b", "c"]})


async def test_an_answer_of_another_shape_is_an_error() -> None:
    async with Peer(lambda cmd, fields: {"jobs": 7}) as peer, remote(peer) as hub:
        with pytest.raises(ProtocolError):
            await hub.lease("q", owner="me")


async def test_jobs_of_bunqueue_are_read() -> None:
    job = {
        "id": "0190-a",
        "queue": "q",
        "name": "send",
        "createdAt": 1_800_000_000_000.0,
        "runAt": 1_800_000_001_000.5,
        "startedAt": None,
        "attempts": 2,
        "maxAttempts": 3,
        "priority": 5,
        "state": "prioritized",
        "backoffConfig": {"type": "fixed", "delay": 5},
        "uniqueKey": "k",
        "stacktrace": ["line"],
        "failedReason": "boom",
        "tags": ["a"],
        "stackTraceLimit": 10,
    }
    async with Peer(lambda cmd, fields: {"job": job}) as peer, remote(peer) as hub:
        seen = await hub.get("0190-a")
        assert (seen.name, seen.priority, seen.attempts, seen.run_at_ms) == ("send", 5, 2, 1_800_000_001_000)
        assert seen.options.backoff is not None
        assert seen.options.dedup is not None
        assert (seen.options.backoff.kind, seen.options.dedup.key, seen.options.tags) == ("fixed", "k", ("a",))
        assert (seen.history.error, seen.history.stack) == ("boom", ("line",))


@pytest.mark.parametrize("done", ["1", "2"])
async def test_a_lost_settle_of_which_somebody_else_has_completed_a_part_is_refused(done: str) -> None:
    """It was all or nothing: one job that is completed proves nothing while the other is not."""

    def after(cmd: str, fields: dict[str, Any]) -> Reply:
        if cmd == "GetState":
            return {"id": fields["id"], "state": "completed" if fields["id"] == done else "active"}
        return {"ok": False, "error": "Invalid or expired lock token", "code": "lock_lost"}

    peer = Peer(cut_first(lambda: peer, after))
    async with peer, remote(peer) as hub:
        with pytest.raises(LockLost):
            await hub.settle([Settlement("1", "t", Complete()), Settlement("2", "u", Complete())])


async def test_a_settle_that_was_sent_and_never_answered_is_not_said_to_be_undone() -> None:
    def answer(cmd: str, fields: dict[str, Any]) -> Reply:
        peer.refuse()
        peer.cut()
        return None

    async with Peer(answer) as peer, remote(peer, request_timeout_s=0.3) as hub:
        with pytest.raises(AnswerLost):
            await hub.settle([Settlement("1", "t", Complete())])
        assert [cmd for cmd, _ in peer.seen] == ["Settle"]


async def test_a_settle_whose_fate_cannot_be_asked_for_is_not_said_to_be_undone() -> None:
    """The link is down again when it is asked what became of the first sending."""

    def after(cmd: str, fields: dict[str, Any]) -> Reply:
        if cmd == "GetState":
            peer.refuse()
            peer.cut()
            return None
        return {"ok": False, "error": "Invalid or expired lock token", "code": "lock_lost"}

    peer = Peer(cut_first(lambda: peer, after))
    async with peer, remote(peer, request_timeout_s=0.5) as hub:
        with pytest.raises(AnswerLost):
            await hub.settle([Settlement("1", "t", Complete())])


async def test_a_hub_that_is_not_there_at_first_is_not_said_to_be_tried_again() -> None:
    async with Peer(lambda cmd, fields: {}) as peer:
        peer.refuse()
        with pytest.raises(LinkDown) as refused:
            await remote(peer).open()
    assert refused.value.hint == "is the hub running there?"
