"""Tokens: who may come in, what strangers hear, and how guessing is slowed down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from hubqueue.commands import auth
from hubqueue.commands.auth import FIRST_DELAY_S, FORGET_S, MAX_DELAY_S, Authenticator
from hubqueue.hub.hub import Hub
from hubqueue.model.access import EVERYTHING
from hubqueue.servers.settings import TcpSettings
from hubqueue.servers.tcp import TcpServer
from support.context import context_of
from support.waiting import until
from support.wire import WireClient

STRANGER = {
    "ok": False,
    "error": "Not authenticated",
    "code": "not_authenticated",
    "retryable": False,
    "hint": "send a valid token",
}


@pytest.fixture
def settings() -> TcpSettings:
    return TcpSettings(port=0, drain_s=0.1)


@pytest.fixture
def tokens() -> tuple[str, ...]:
    return ("secret", "zweites Geheimnis")


@pytest.mark.parametrize(
    "message",
    [{"cmd": "Ping"}, {"cmd": "Hello"}, {"cmd": "nonsense"}, {"cmd": "PUSH", "queue": "q"}, [1]],
    ids=str,
)
async def test_a_stranger_is_only_asked_to_authenticate(client: WireClient, message: object) -> None:
    await client.send(message)
    assert await client.read() == STRANGER


@pytest.mark.parametrize("token", ["secret", "zweites Geheimnis"])
async def test_every_token_opens_the_door(client: WireClient, token: str) -> None:
    assert await client.call("Auth", reqId="1", token=token) == {"ok": True, "reqId": "1"}
    await client.good("Ping")


@pytest.mark.parametrize("token", ["", "Secret", "secret ", None, 5, ["secret"], b"secret"], ids=repr)
async def test_a_wrong_token_does_not(client: WireClient, token: object) -> None:
    reply = await client.call("Auth", token=token)
    assert (reply["error"], reply["code"]) == ("Invalid token", "not_authenticated")
    assert await client.call("Ping") == STRANGER


async def test_authentication_may_be_tried_again(client: WireClient) -> None:
    assert not (await client.call("Auth", token="wrong"))["ok"]
    await client.good("Auth", token="secret")
    assert not (await client.call("Auth", token="wrong"))["ok"]
    await client.good("Ping")


async def test_a_stranger_cannot_send_large_frames(client: WireClient) -> None:
    await client.send({"cmd": "PUSH", "queue": "q", "name": "n", "data": b"x" * 100_000})
    assert await client.read() == STRANGER
    assert await client.ended() == b""


async def test_large_frames_are_welcome_after_authentication(client: WireClient) -> None:
    await client.good("Auth", token="secret")
    await client.good("PUSH", queue="q", name="n", data=b"x" * 1_000_000)


async def test_commands_sent_right_behind_the_token_are_answered(client: WireClient) -> None:
    for message in ({"cmd": "Auth", "token": "secret"}, {"cmd": "Ping", "reqId": "2"}):
        await client.send(message)
    assert (await client.read())["ok"]
    assert (await client.read())["reqId"] == "2"


async def test_the_answer_to_a_wrong_token_is_held_back_and_others_wait_behind_it(
    client: WireClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    over, delays = asyncio.Event(), []

    async def held_back(delay_s: float) -> None:
        delays.append(delay_s)
        await over.wait()

    monkeypatch.setattr(auth, "hold_back", held_back)
    for _ in range(2):
        await client.send({"cmd": "Auth", "token": "wrong"})
    await client.send({"cmd": "Auth", "token": "secret"})
    reading = asyncio.create_task(client.read())
    await until(lambda: delays)
    assert not reading.done()
    over.set()
    replies = [await reading, await client.read(), await client.read()]
    assert [reply["ok"] for reply in replies] == [False, False, True]
    assert delays == [FIRST_DELAY_S, 2 * FIRST_DELAY_S]


async def test_who_does_not_authenticate_is_cut(hub: Hub) -> None:
    server = TcpServer(context_of(hub, ("secret",)), TcpSettings(port=0, auth_s=0.1, drain_s=0.1))
    await server.start()
    client = await WireClient.open(server.port)
    known = await WireClient.open(server.port)
    await known.good("Auth", token="secret")
    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
        await client.read()
    await known.good("Ping")
    await client.close()
    await known.close()
    await server.close()


def test_delays_grow_to_a_bound_and_are_forgotten() -> None:
    now = [0.0]
    authenticator = Authenticator({"secret": EVERYTHING}, lambda: now[0])
    delays = [authenticator.failed("1.2.3.4") for _ in range(20)]
    assert delays[:3] == [FIRST_DELAY_S, 2 * FIRST_DELAY_S, 4 * FIRST_DELAY_S]
    assert delays == sorted(delays)
    assert delays[-1] == MAX_DELAY_S
    assert authenticator.failed("5.6.7.8") == FIRST_DELAY_S
    authenticator.succeeded("1.2.3.4")
    assert authenticator.failed("1.2.3.4") == FIRST_DELAY_S
    authenticator.failed("1.2.3.4")
    now[0] = FORGET_S + 1
    assert authenticator.failed("1.2.3.4") == FIRST_DELAY_S


def test_remembered_addresses_are_bounded() -> None:
    authenticator = Authenticator({"secret": EVERYTHING}, lambda: 0.0)
    for number in range(10_050):
        authenticator.failed(f"address {number}")
    assert authenticator.failed("address 0") == FIRST_DELAY_S
    assert authenticator.failed("address 10049") == 2 * FIRST_DELAY_S


@pytest.fixture
async def connect_free(hub: Hub) -> AsyncIterator[WireClient]:
    server = TcpServer(context_of(hub), TcpSettings(port=0, drain_s=0.1))
    await server.start()
    client = await WireClient.open(server.port)
    yield client
    await client.close()
    await server.close()


async def test_without_tokens_any_token_is_welcome(connect_free: WireClient) -> None:
    await connect_free.good("Ping")
    await connect_free.good("Auth", token="whatever")


def test_a_digest_that_begins_like_that_of_a_token_is_not_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "digest_of", lambda token: bytes(31) + token[-1:].encode())
    authenticator = Authenticator({"token a": EVERYTHING}, lambda: 0.0)
    assert authenticator.grant("token a") is EVERYTHING
    assert authenticator.grant("token b") is None
    assert authenticator.grant("another a") is EVERYTHING  # the digest, and nothing else, decides
