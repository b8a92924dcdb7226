"""What the job file keeps of a client of the broker, and when it may be relied on."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubqueue.hub import life
from hubqueue.hub.hub import Hub
from hubqueue.hub.life import life_of
from hubqueue.mqtt.kept import OpenIds, Subscribed, every_client, forget, remember, subscribed
from hubqueue.store import backup

CLIENT = "hubqueue-h1"
ENTRIES = b"\0\7" + b"digested"


async def left(path: Path) -> bytes:
    """What the next process reads."""
    async with await Hub.open(path) as hub:
        return await OpenIds(hub, CLIENT).read()


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A job file with open packet ids."""
    path = tmp_path / "hub.db"
    async with await Hub.open(path) as hub:
        blob = OpenIds(hub, CLIENT).blob(ENTRIES)
        assert blob is not None
        await hub.settle([], blobs=[blob])
    return path


async def test_open_packet_ids_outlive_the_process(path: Path) -> None:
    assert await left(path) == ENTRIES


async def test_open_packet_ids_do_not_outlive_the_machine(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was committed and not synced is gone then: the ids that had left the file may be back in it."""
    boot = path.with_name("boot_id")
    boot.write_text("another\n")
    monkeypatch.setattr(life, "_BOOT", boot)
    assert await left(path) == b""


async def test_open_packet_ids_do_not_outlive_the_file(path: Path) -> None:
    async with await Hub.open(path) as hub:
        await hub.backup(path.with_name("copy"))
    backup.restore(path.with_name("copy"), path)
    assert await left(path) == b""


async def test_open_packet_ids_are_not_relied_on_while_a_connection_was_asked_for(path: Path) -> None:
    async with await Hub.open(path) as hub:
        blob = OpenIds(hub, CLIENT).blob(ENTRIES, unsure=True)
        assert blob is not None
        await hub.settle([], blobs=[blob])
    assert await left(path) == b""


def test_where_the_life_is_not_known_nothing_is_relied_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life, "_BOOT", tmp_path / "none")
    assert life_of(tmp_path) == ""


async def test_what_stands_there_is_not_written_again(path: Path) -> None:
    async with await Hub.open(path) as hub:
        ids = OpenIds(hub, CLIENT)
        await ids.read()
        assert ids.blob(ENTRIES) is None
        assert ids.blob(b"") is not None


async def test_clients_are_known_until_their_session_is_ended(tmp_path: Path) -> None:
    async with await Hub.open(tmp_path / "hub.db") as hub:
        known = Subscribed().numbered(["a", "b"]).having(["a"])
        await remember(hub, CLIENT, known)
        await remember(hub, f"{CLIENT}~1", Subscribed())
        assert await subscribed(hub, CLIENT) == known
        assert set(await every_client(hub)) == {CLIENT, f"{CLIENT}~1"}
        await forget(hub, CLIENT)
        assert set(await every_client(hub)) == {f"{CLIENT}~1"}
        assert await subscribed(hub, CLIENT) == Subscribed()


def test_a_number_is_never_given_to_another_filter() -> None:
    first = Subscribed().numbered(["a", "b"]).having(["a", "b"])
    assert first.numbers == {"a": 1, "b": 2}
    gone = first.numbered(["b"]).without(["a"]).numbered(["b"])
    assert gone.numbers == {"b": 2}
    assert gone.numbered(["a", "b", "c"]).numbers == {"a": 3, "b": 2, "c": 4}
