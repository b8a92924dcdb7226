"""The client without Home Assistant's help: broken links, events that must not be lost, odd other sides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from custom_components.hubqueue import connection as connections
from custom_components.hubqueue.client import HubClient
from custom_components.hubqueue.connection import Connection, as_json
from custom_components.hubqueue.errors import AuthError, HubError, IncompatibleError, LinkDownError
from custom_components.hubqueue.table import API
from seen import until

from conftest import Call, hub_process, url_of
from support.hub_process import HubProcess
from support.ports import free_port
from support.waiting import soon


@asynccontextmanager
async def client_of(url: str, token: str | None = None) -> AsyncIterator[HubClient]:
    """A client that keeps its link up until the end of the block."""
    async with aiohttp.ClientSession() as session:
        client = HubClient(session, url, token)
        task = asyncio.create_task(client.run())
        try:
            await client.up()
            yield client
        finally:
            task.cancel()
            await asyncio.wait([task])
            await client.close()


@asynccontextmanager
async def odd_server(answer: Callable[[web.WebSocketResponse], Awaitable[None]]) -> AsyncIterator[str]:
    """A server that does with a WebSocket what `answer` does."""

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await answer(socket)
        return socket

    app = web.Application()
    app.router.add_get("/api/v1/ws", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_no_event_is_lost_or_told_twice_over_a_broken_link(hub: HubProcess, call: Call) -> None:
    heard: list[str] = []
    async with client_of(url_of(hub)) as client:
        stop = client.listen("mail", ["pushed"], lambda event: heard.append(event["jobId"]))
        client.listen("other", ["paused"], lambda event: heard.append("paused"))
        await until(lambda: len(client._seen.asked) == 2, "subscribed")
        ids = [(await call("PUSH", queue="mail", data=n))["id"] for n in range(3)]
        await until(lambda: heard == ids, "three events")
        await client._drop()
        ids += [(await call("PUSH", queue="mail", data=n))["id"] for n in range(3)]
        await call("Pause", queue="other")
        ids += [(await call("PUSH", queue="mail", data=n))["id"] for n in range(3)]
        await until(lambda: len(heard) == len(ids) + 1, "the events that were missed")
        assert [each for each in heard if each != "paused"] == ids
        stop()
        await call("PUSH", queue="mail", data=1)
        await call("Resume", queue="other")
        await call("Pause", queue="other")
        await until(lambda: heard.count("paused") == 2, "an event of another listener")
        assert [each for each in heard if each != "paused"] == ids


async def test_events_of_all_queues_are_told(hub: HubProcess, call: Call) -> None:
    heard: list[str] = []
    async with client_of(url_of(hub)) as client:
        client.listen("*", ["pushed"], lambda event: heard.append(event["queue"]))
        await until(lambda: bool(client._seen.asked), "subscribed")
        await call("PUSH", queue="a", data=1)
        await call("PUSH", queue="b", data=1)
        await until(lambda: heard == ["a", "b"], "events")
        await client._drop()
        await call("PUSH", queue="c", data=1)
        await until(lambda: heard == ["a", "b", "c"], "the event that was missed")


async def test_a_hub_that_was_started_anew_says_that_events_are_missing(tmp_path: Path) -> None:
    kinds: list[str] = []
    links: list[bool] = []
    hub = hub_process(tmp_path, http_port=free_port())
    with hub:
        async with client_of(url_of(hub)) as client:
            client.on_link = links.append
            client.listen("mail", ["pushed"], lambda event: kinds.append(event["eventType"]))
            await until(lambda: bool(client._seen.asked), "subscribed")
            await client.call("PUSH", queue="mail", data=1)
            await until(lambda: kinds == ["pushed"], "an event")
            hub.kill()
            await until(lambda: links == [False], "the link is down")
            with pytest.raises(LinkDownError):
                await client.call("Ping")
            hub.start()
            await until(lambda: links == [False, True], "the link is up")
            await until(lambda: kinds == ["pushed", "gap"], "a gap")


async def test_a_long_poll_that_nobody_waits_for_takes_no_job(hub: HubProcess, call: Call) -> None:
    async with client_of(url_of(hub)) as client:
        poll = asyncio.create_task(client.call("PULL", queue="mail", owner="w", timeout=30_000))
        await client.call("Ping")
        poll.cancel()
        await asyncio.wait([poll])
        await client.call("Ping")
        await call("PUSH", queue="mail", data=1)
        assert (await call("PULL", queue="mail", owner="other"))["job"] is not None


async def test_who_waits_is_told_when_the_link_goes_down(hub: HubProcess) -> None:
    async with client_of(url_of(hub)) as client:
        poll = asyncio.create_task(client.call("PULL", queue="mail", owner="w", timeout=30_000))
        await client.call("Ping")
        await client._drop()
        with pytest.raises(LinkDownError):
            await poll


async def test_a_revoked_token_ends_the_client(tmp_path: Path) -> None:
    config = tmp_path / "hubqueue.yaml"
    config.write_text(f"data_path: {tmp_path}/hub.db\ntcp: {{port: 0, tokens: [boss]}}\n")
    with hub_process(tmp_path, config=config) as hub:
        async with aiohttp.ClientSession() as session:
            boss = await Connection.open(session, url_of(hub), "boss", lambda _: None)
            token = (await boss.call("TokenAdd", name="guest", scopes=["read"]))["token"]
            client = HubClient(session, url_of(hub), token)
            running = asyncio.create_task(client.run())
            await client.up()
            with pytest.raises(HubError) as refused:
                await client.call("PUSH", queue="mail", data=1)
            assert refused.value.code == "forbidden"
            await boss.call("TokenRevoke", name="guest")
            with pytest.raises(AuthError):
                await soon(running)
            await client.close()
            await boss.close()


async def test_a_side_that_does_not_answer_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "OPEN_S", 0.2)

    async def silent(socket: web.WebSocketResponse) -> None:
        await socket.receive()
        await socket.receive()

    async with odd_server(silent) as url, aiohttp.ClientSession() as session:
        with pytest.raises(LinkDownError):
            await Connection.open(session, url, None, lambda _: None)


async def test_half_a_character_is_refused_before_it_is_sent(hub: HubProcess) -> None:
    """The hub could not read whose command that was: nobody would hear its answer."""
    async with client_of(url_of(hub)) as client:
        halves: list[Any] = ["\ud800", "x\udfff", {"\ud83d": 1}, ["\U0001f600", "\ude00"]]
        for half in halves:
            for cmd, field in (("PUSH", "data"), ("ACK", "result"), ("FAIL", "error"), ("PUSH", "name")):
                with pytest.raises(HubError, match="This cannot be sent") as refused:
                    await client.call(cmd, queue="q", id="1", token="1.x", **{field: half})
                assert refused.value.code == "invalid"
        for whole in ("\U0001f600", "\\ud800", "\\\\ud83d", {"\U0001f600": "\\u"}):
            id = (await client.call("PUSH", queue="q", data=whole))["id"]
            assert (await client.call("GetJob", id=id))["job"]["data"] == whole


def test_what_cannot_be_sent_is_said_in_words() -> None:
    itself: list[Any] = []
    itself.append(itself)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value, words in (
        (float("nan"), "a number is not finite (NaN or infinity)"),
        ({"a": [float("-inf")]}, "a number is not finite (NaN or infinity)"),
        (itself, "it holds itself"),
        (deep, "it is nested too deeply"),
        ({(1, 2): 3}, "a key is no text"),
        ({1, 2}, "a set is no JSON"),
        (b"x", "a bytes is no JSON"),
        ("\ud800", "a text holds half a character (a lone surrogate)"),
    ):
        with pytest.raises(HubError) as refused:
            as_json(value)
        assert (refused.value.code, refused.value.message) == ("invalid", f"This cannot be sent: {words}")


@pytest.mark.parametrize("cmd", ["Drain", "ForwarderDrain", "Obliterate", "PromoteJobs", "PurgeDlq", "RetryDlq", None])
async def test_what_goes_through_a_whole_queue_may_take_longer(
    monkeypatch: pytest.MonkeyPatch, cmd: str | None
) -> None:
    """Whoever asks for it: an action, a button, a repair, an assistant."""

    async def polite(socket: web.WebSocketResponse) -> None:
        """Says hello, and nothing else."""
        await socket.send_json(hello((await socket.receive()).json()))
        ping = (await socket.receive()).json()
        await socket.send_json({"ok": True, "reqId": ping["reqId"], "data": {"pong": True, "time": 1.0}})
        while not socket.closed:
            await socket.receive()

    monkeypatch.setattr(connections, "ANSWER_S", 0.01)
    monkeypatch.setattr(connections, "QUEUE_S", 0.02)
    async with odd_server(polite) as url, aiohttp.ClientSession() as session:
        connection = await Connection.open(session, url, None, lambda _: None)
        with pytest.raises(LinkDownError, match=f"within {0.01 if cmd is None else 0.02} s"):
            await connection.call(cmd or "GetJobs")
        await connection.close()


async def test_a_link_that_stops_answering_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEARTBEAT_S", 0.05)
    monkeypatch.setattr(connections, "PONG_S", 0.05)
    monkeypatch.setattr(connections, "CLOSE_S", 0.05)

    async def frozen(socket: web.WebSocketResponse) -> None:
        request = (await socket.receive()).json()
        await socket.send_json(hello(request))
        await socket.send_bytes(b"not for us")
        await socket.send_json({"type": "news"})
        first = (await socket.receive()).json()
        await socket.send_json({"ok": True, "reqId": first["reqId"], "data": {"pong": True, "time": 1.0}})
        while not socket.closed:
            await socket.receive()

    async with odd_server(frozen) as url, aiohttp.ClientSession() as session:
        connection = await Connection.open(session, url, None, lambda _: None)
        await soon(connection.ended())
        await connection.close()


@pytest.mark.parametrize(
    "changed",
    [{"api": API - 1}, {"api": API + 1}, {"api": None}, {"server": "bunqueue"}],
    ids=["older", "newer", "of before", "other"],
)
async def test_what_is_no_hub_of_ours_is_refused(changed: dict[str, Any]) -> None:
    async def other(socket: web.WebSocketResponse) -> None:
        request = (await socket.receive()).json()
        assert request["api"] == API
        await socket.send_json({**hello(request), **changed})
        await socket.receive()

    async with odd_server(other) as url, aiohttp.ClientSession() as session:
        with pytest.raises(IncompatibleError):
            await Connection.open(session, url, None, lambda _: None)


async def test_a_place_without_a_hub_is_told_from_one_that_is_down(hub: HubProcess) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(IncompatibleError):
            await Connection.open(session, f"{url_of(hub)}/nowhere", None, lambda _: None)
        with pytest.raises(LinkDownError):
            await Connection.open(session, f"http://127.0.0.1:{free_port()}", None, lambda _: None)


def hello(request: dict[str, Any]) -> dict[str, Any]:
    return {
        "ok": True,
        "reqId": request["reqId"],
        "protocolVersion": 3,
        "server": "hubqueue",
        "api": API,
        "hubId": "x",
        "version": "0",
        "epoch": "e",
    }
