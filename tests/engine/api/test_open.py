"""Opening a hub in this process, and a client of one that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

import hubqueue
from hubqueue.errors import AlreadyOpen, Invalid, LinkDown
from support.served import served


async def test_jobs_are_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "edge.db"
    async with hubqueue.open(path) as hub:
        job = await hub.queue("mail").add("send", {"n": 1})
    async with hubqueue.open(path) as hub:
        assert (await hub.job(job.id).get()).data == {"n": 1}


async def test_a_hub_may_be_awaited_and_closed(tmp_path: Path) -> None:
    hub = await hubqueue.open(str(tmp_path / "edge.db"))
    await hub.queue("mail").add("send")
    await hub.close()
    await hub.close()
    with pytest.raises(Invalid, match="not open"):
        hub.queue("mail")


async def test_a_file_is_opened_once_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "edge.db"
    async with hubqueue.open(path):
        with pytest.raises(AlreadyOpen):
            await hubqueue.open(path)


async def test_settings_are_those_of_the_hub(tmp_path: Path) -> None:
    async with hubqueue.open(tmp_path / "edge.db", durable=True) as hub:
        assert hub.hub.settings.durable
    with pytest.raises(Invalid, match="durabel") as raised:
        hubqueue.open(tmp_path / "edge.db", durabel=True)
    assert "durable" in raised.value.hint


async def test_a_client_says_at_once_that_nobody_is_there() -> None:
    with pytest.raises(LinkDown, match="cannot be reached"):
        async with hubqueue.Client("tcp://127.0.0.1:1"):
            pass


async def test_a_client_knows_whether_it_is_connected(tmp_path: Path) -> None:
    async with served(tmp_path / "hub.db") as there:
        client = hubqueue.Client(there.url)
        seen = [client.connected]
        async with client:
            seen.append(client.connected)
        seen.append(client.connected)
        assert seen == [False, True, False]
        with pytest.raises(LinkDown, match="closed"):
            await client.queue("mail").add("send")


def test_the_token_of_a_client_is_not_shown() -> None:
    assert "secret" not in repr(hubqueue.Client(token="secret"))
