"""The link that comes back by itself, against a peer that comes and goes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from hubqueue.client.address import LinkSettings
from hubqueue.client.connection import Connection, LinkState
from hubqueue.errors import AnswerLost, LinkDown, NotAuthenticated
from support.peer import Peer
from support.waiting import in_time


def settings(peer: Peer, **changes: Any) -> LinkSettings:
    return replace(LinkSettings.from_url(peer.url), backoff_first_s=0.01, backoff_max_s=0.05, **changes)


async def test_the_first_connection_fails_at_once_and_says_why() -> None:
    async with Peer() as peer:
        peer.refuse()
        with pytest.raises(LinkDown, match="cannot be reached"):
            await Connection(settings(peer)).open()


async def test_a_started_link_waits_for_a_peer_that_comes_later() -> None:
    async with Peer() as peer:
        peer.refuse()
        link = Connection(settings(peer)).start()
        asked = asyncio.create_task(link.request("Echo", {}))
        down = asyncio.Event()
        link.watch(lambda state: down.set())
        async with in_time():
            await down.wait()
        assert isinstance(link.state.error, LinkDown)
        await peer.listen()
        await asked
        assert link.state == LinkState(up=True)
        await link.close()


async def test_a_request_in_flight_is_sent_again_after_a_reset() -> None:
    first = True

    def answer(cmd: str, fields: dict[str, Any]) -> dict[str, Any] | None:
        nonlocal first
        if first:
            first = False
            peer.cut()
            return None
        return {}

    async with Peer(answer) as peer, Connection(settings(peer)) as link:
        await link.request("PUSH", {"n": 1})
        assert [cmd for cmd, _ in peer.seen] == ["PUSH", "PUSH"]


async def test_a_request_that_must_not_be_repeated_raises_instead() -> None:
    def answer(cmd: str, fields: dict[str, Any]) -> dict[str, Any] | None:
        peer.cut()
        return None

    async with Peer(answer) as peer, Connection(settings(peer)) as link:
        with pytest.raises(AnswerLost):
            await link.request("PurgeDlq", {}, repeatable=False)
        assert len(peer.seen) == 1


async def test_requests_that_wait_for_the_link_keep_their_order() -> None:
    async with Peer() as peer, Connection(settings(peer)) as link:
        peer.refuse()
        peer.cut()
        asked = [asyncio.create_task(link.request("Echo", {"n": n})) for n in range(100)]
        await asyncio.sleep(0)
        await peer.listen()
        await asyncio.gather(*asked)
        assert [fields["n"] for _, fields in peer.seen] == list(range(100))


async def test_without_a_link_in_time_the_reason_is_told() -> None:
    async with Peer() as peer, Connection(settings(peer, request_timeout_s=0.2)) as link:
        peer.refuse()
        peer.cut()
        with pytest.raises(LinkDown, match=str(peer.port)):
            await link.request("Echo", {})


async def test_what_was_sent_once_and_never_answered_is_not_said_to_be_undone() -> None:
    def answer(cmd: str, fields: dict[str, Any]) -> dict[str, Any] | None:
        peer.refuse()
        peer.cut()
        return None

    async with Peer(answer) as peer, Connection(settings(peer)) as link:
        with pytest.raises(AnswerLost) as sent:
            await link.request("PUSH", {}, timeout_s=0.3)
        assert "may have done it" in sent.value.hint
        with pytest.raises(LinkDown) as unsent:
            await link.request("PUSH", {}, timeout_s=0.01)
        assert not isinstance(unsent.value, AnswerLost)
        assert "is not done" in unsent.value.hint
        assert len(peer.seen) == 1


async def test_each_change_of_the_link_is_told_once() -> None:
    states: list[bool] = []
    async with Peer() as peer:
        link = Connection(settings(peer))
        link.watch(lambda state: states.append(state.up))
        await link.open()
        for _ in range(3):
            peer.cut()
            await link.request("Echo", {})  # on the new session: the old one is reset before this is sent
        await link.close()
    assert states == [True, False, True, False, True, False, True, False]


async def test_a_refused_token_is_told_at_once_to_all_who_wait() -> None:
    async with Peer(token="secret") as peer:
        link = Connection(settings(peer, token="wrong")).start()
        async with in_time():
            with pytest.raises(NotAuthenticated):
                await link.request("Echo", {})
            with pytest.raises(NotAuthenticated):
                await link.request("Echo", {})
        await link.close()


async def test_a_half_open_link_is_left_and_its_requests_sent_again() -> None:
    async with Peer() as peer, Connection(settings(peer, ping_after_s=0.05, dead_after_s=0.2)) as link:
        peer.silent = True
        asked = asyncio.create_task(link.request("Echo", {}))
        await peer.wait_for(lambda: peer.pings > 0)
        peer.silent = False
        async with in_time():
            await asked
        assert peer.greeted == 2


async def test_no_more_requests_than_allowed_are_under_way() -> None:
    async with Peer(lambda cmd, fields: None) as peer, Connection(settings(peer, max_requests=3)) as link:
        asked = [asyncio.create_task(link.request("Echo", {"n": n})) for n in range(10)]
        await peer.wait_for(lambda: len(peer.seen) == 3)
        for number in range(2, 12):  # reqId 1 was Hello's
            await peer.wait_for(lambda number=number: len(peer.seen) == min(10, number + 1))  # type: ignore[misc]
            assert len(peer.seen) == min(10, number + 1)
            peer.push({"ok": True, "reqId": str(number)})
        await asyncio.gather(*asked)


async def test_closing_fails_what_waits_and_what_comes_later() -> None:
    async with Peer() as peer:
        link = await Connection(settings(peer)).open()
        peer.refuse()
        peer.cut()
        asked = asyncio.create_task(link.request("Echo", {}))
        await asyncio.sleep(0)
        await link.close()
        with pytest.raises(LinkDown, match="closed"):
            await asked
        with pytest.raises(LinkDown):
            await link.request("Echo", {})


async def test_the_greeting_is_sent_on_every_new_session() -> None:
    heard: list[Any] = []
    async with Peer() as peer:
        link = Connection(settings(peer), greeting=[("SubscribeEvents", {"queue": "q"})], receive=heard.append)
        await link.open()
        peer.cut()
        await peer.wait_for(lambda: len(peer.seen) == 2)
        assert peer.seen == [("SubscribeEvents", {"queue": "q"})] * 2
        await link.request("Echo", {})
        peer.push({"type": "event", "event": {"eventType": "pushed"}})
        await link.request("Echo", {})
        assert len(heard) == 1
        await link.close()
