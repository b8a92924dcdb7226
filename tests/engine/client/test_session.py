"""One session against a peer that speaks raw frames: handshake, pipelining, failures, silence, end."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from hubqueue.client.address import LinkSettings
from hubqueue.client.sendbuffer import unsent_bytes
from hubqueue.client.session import Session
from hubqueue.errors import (
    AnswerLost,
    HubqueueError,
    LinkDown,
    LockLost,
    NotAuthenticated,
    NotFound,
    PayloadTooLarge,
    TimedOut,
)
from support.peer import Peer
from support.proxy import Proxy
from support.waiting import in_time, until


def settings(peer: Peer, **changes: Any) -> LinkSettings:
    return replace(LinkSettings.from_url(peer.url), **changes)


async def test_the_peer_says_who_it_is() -> None:
    async with Peer() as peer:
        session = await Session.open(settings(peer))
        assert session.peer.server == "scripted"
        assert session.peer.protocol_version == 3
        assert "pipelining" in session.peer.capabilities
        await session.close()


async def test_replies_that_overtake_each_other_reach_the_right_request() -> None:
    held: list[dict[str, Any]] = []

    async with Peer(lambda cmd, fields: held.append(fields)) as peer:
        session = await Session.open(settings(peer))
        asked = [asyncio.create_task(session.request("Echo", {"n": n})) for n in range(50)]
        await peer.wait_for(lambda: len(held) == 50)
        for number in reversed(range(50)):  # reqId 1 was Hello's
            peer.push({"ok": True, "reqId": str(number + 2), "n": number})
        replies = [msgspec.msgpack.decode(reply) for reply in await asyncio.gather(*asked)]
        assert [reply["n"] for reply in replies] == list(range(50))
        await session.close()


async def test_requests_of_one_moment_leave_in_order() -> None:
    async with Peer() as peer:
        session = await Session.open(settings(peer))
        await asyncio.gather(*(session.request("Echo", {"n": n}) for n in range(200)))
        assert [fields["n"] for _, fields in peer.seen] == list(range(200))
        await session.close()


async def test_a_failure_with_a_code_is_raised_as_that_error() -> None:
    failure = {"ok": False, "error": "gone", "code": "lock_lost", "hint": "stop"}
    async with Peer(lambda cmd, fields: failure) as peer:
        session = await Session.open(settings(peer))
        with pytest.raises(LockLost) as raised:
            await session.request("ACK", {"id": "1"})
        assert raised.value.message == "gone"
        assert raised.value.hint == "stop"
        await session.close()


async def test_a_failure_of_bunqueue_is_known_by_its_text() -> None:
    async with Peer(lambda cmd, fields: {"ok": False, "error": "Job not found"}) as peer:
        session = await Session.open(settings(peer))
        with pytest.raises(NotFound):
            await session.request("GetJob", {"id": "1"})
        await session.close()


async def test_a_right_token_is_taken_and_a_wrong_one_refused() -> None:
    async with Peer(token="secret") as peer:
        session = await Session.open(settings(peer, token="secret"))
        await session.close()
        with pytest.raises(NotAuthenticated, match="Invalid token"):
            await Session.open(settings(peer, token="wrong"))
        with pytest.raises(NotAuthenticated, match="asks for a token"):
            await Session.open(settings(peer))


async def test_the_token_is_not_in_the_text_of_the_settings() -> None:
    assert "secret" not in repr(LinkSettings(token="secret"))


async def test_no_answer_in_time_raises_and_a_late_one_harms_nothing() -> None:
    async with Peer(lambda cmd, fields: None if cmd == "Slow" else {}) as peer:
        session = await Session.open(settings(peer))
        with pytest.raises(TimedOut, match="Slow"):
            await session.request("Slow", {}, timeout_s=0.05)
        peer.push({"ok": True, "reqId": "2"})
        await session.request("Quick", {})
        await session.close()


async def test_a_reset_fails_what_was_in_flight_and_ends_the_session() -> None:
    async with Peer(lambda cmd, fields: None) as peer:
        session = await Session.open(settings(peer))
        asked = asyncio.create_task(session.request("PUSH", {"queue": "q"}))
        await peer.wait_for(lambda: bool(peer.seen))
        peer.cut()
        with pytest.raises(AnswerLost):
            await asked
        assert isinstance(await session.lost, LinkDown)
        with pytest.raises(LinkDown):
            await session.request("PUSH", {"queue": "q"})


async def test_a_port_that_speaks_http_is_told_apart_from_nonsense() -> None:
    over = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        with suppress(ConnectionError):
            await reader.read()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        over.set()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(HubqueueError, match="speaks HTTP; it is the TCP port of a hub that is meant"):
            await Session.open(LinkSettings.from_url(f"tcp://127.0.0.1:{port}"))
        async with in_time():
            await over.wait()


async def test_a_silent_peer_is_given_up_after_its_time() -> None:
    async with Peer() as peer:
        session = await Session.open(settings(peer, ping_after_s=0.05, dead_after_s=0.2))
        peer.silent = True
        async with in_time():
            assert "silent" in (await session.lost).message
        assert peer.pings >= 1


async def test_a_quiet_peer_that_answers_pings_is_kept() -> None:
    async with Peer(lambda cmd, fields: None) as peer:
        session = await Session.open(settings(peer, ping_after_s=0.02, dead_after_s=0.5))
        poll = asyncio.create_task(session.request("PULLB", {"timeout": 1000}))
        await peer.wait_for(lambda: peer.pings >= 10)
        assert not session.lost.done()
        poll.cancel()
        await session.close()


async def test_a_slow_uplink_that_still_takes_bytes_is_not_given_up() -> None:
    async with Peer() as peer, Proxy(peer.port) as proxy:
        session = await Session.open(replace(settings(peer, dead_after_s=3600.0), port=proxy.port))
        transport = session._transport
        assert transport is not None
        proxy.chunks = asyncio.Semaphore(0)
        pushing = asyncio.create_task(session.request("PUSH", {"queue": "q", "data": bytes(40_000_000)}))

        def look_after_a_long_silence() -> None:
            if session._timer is None or session.lost.done():
                return
            session._timer.cancel()
            session._heard_at, session._pinged = session._loop.time() - 7200.0, True
            session._listen_for_silence()

        await until(lambda: transport.get_write_buffer_size() > 0)
        for _ in range(5):
            before = session._unsent = unsent_bytes(transport)
            while unsent_bytes(transport) >= before:  # what lies between us and the proxy is taken in larger steps
                passed = proxy.passed_up
                proxy.chunks.release()
                await proxy.wait_passed_up(passed + 1)
            look_after_a_long_silence()
            assert not session.lost.done()
        await until(lambda: look_after_a_long_silence() or session.lost.done())  # once nothing goes any more
        assert "silent" in str(await session.lost)
        with pytest.raises(AnswerLost):
            await pushing


async def test_a_peer_that_accepts_and_says_nothing_does_not_hold_the_handshake() -> None:
    async with Peer() as peer:
        peer.silent = True
        with pytest.raises(LinkDown, match="does not answer"):
            await Session.open(settings(peer, connect_timeout_s=0.1))


async def test_nobody_listening_is_a_link_that_is_down() -> None:
    async with Peer() as peer:
        peer.refuse()
        with pytest.raises(LinkDown, match="cannot be reached"):
            await Session.open(settings(peer))


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\xff\xff\xff\xff",  # a frame of 4 GiB
        b"\x00\x00\x00\x01\xc1",  # not MessagePack
        b"\x00\x00\x00\x02\x93\x01",  # cut off
        b"\x00\x00\x00\x05\xa4text",  # no map
    ],
)
async def test_nonsense_ends_the_session(nonsense: bytes) -> None:
    async with Peer(lambda cmd, fields: None) as peer:
        session = await Session.open(settings(peer))
        peer.write(nonsense)
        async with in_time():
            assert "nonsense" in (await session.lost).message


async def test_a_frame_too_large_is_refused_before_it_is_sent() -> None:
    async with Peer() as peer:
        session = await Session.open(settings(peer))
        with pytest.raises(PayloadTooLarge):
            await session.request("PUSH", {"data": b"x" * (65 * 1024 * 1024)})
        assert peer.seen == []
        await session.close()


async def test_many_large_requests_at_once_all_arrive() -> None:
    async with Peer(lambda cmd, fields: {}) as peer:
        session = await Session.open(settings(peer))
        big = {"data": b"x" * (4 * 1024 * 1024)}
        asked = [asyncio.create_task(session.request("PUSH", big)) for _ in range(16)]
        await asyncio.gather(*asked)
        assert len(peer.seen) == 16
        await session.close()


async def test_closing_is_seen_as_an_end_and_not_as_a_reset() -> None:
    async with Peer() as peer:
        session = await Session.open(settings(peer))
        last = asyncio.create_task(session.request("Bye", {}))
        await asyncio.sleep(0)
        await session.close()
        await peer.wait_for(lambda: ("Bye", {}) in peer.seen)
        with pytest.raises(LinkDown):
            await last
