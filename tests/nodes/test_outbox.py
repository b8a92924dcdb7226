"""What waits for a hub is not lost: stops, kills, power cuts, full disks, other hubs; a real Node-RED and real hubs."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hubqueue import Client
from support import disk
from support.hub_process import HubProcess
from support.node_red import Node, NodeRed, enqueue, function, inject, node, server, tab
from support.ports import free_port
from support.waiting import until

pytestmark = pytest.mark.slow

SEND = "for (const n of msg.payload) { node.send([{payload: n}, null]); } return [null, msg];"


def flow(port: int, **fields: Any) -> list[Node]:
    """`in` sends each of a list to `put`; it is told what was stored, what was refused, and what `put` shows."""
    return [
        tab(),
        server(port, **fields),
        inject("in", "each"),
        function("each", SEND, ["put"], ["sent"]),
        function("sent", "seen(['sent', msg.payload]);"),
        enqueue("put", "stored"),
        function("stored", "seen(['stored', msg.payload]);"),
        node("complete", "complete", "completed", scope=["put"]),
        function("completed", "seen(['complete', msg.payload]);"),
        node("caught", "catch", "wrong", scope=["put"], uncaught=False),
        function("wrong", "seen([msg.error.code, msg.payload]);"),
        node("status", "status", "shown", scope=["put"]),
        function("shown", "seen(['shown', msg.status.text]);"),
    ]


def told(red: NodeRed, word: str) -> list[Any]:
    return [what for kind, what in red.seen() if kind == word]


def wait_shown(red: NodeRed, text: str) -> None:
    """What a node says it holds is on the disk."""
    red.wait_for(lambda: told(red, "shown")[-1:] == [text])


async def jobs(hub: HubProcess) -> list[Any]:
    async with Client(hub.url) as client:
        return [view.data async for view in client.queue("q").jobs("waiting")]


async def until_stored(hub: HubProcess, red: NodeRed, expected: list[Any]) -> None:
    """Each once, in order; and nothing is left of them in Node-RED."""

    async def there() -> bool:
        return len(await jobs(hub)) >= len(expected) and not red.outboxes()

    try:
        await until(there)
    except TimeoutError:
        raise AssertionError(f"{await jobs(hub)} {red.outboxes()}\n{red.log()[-4000:]}") from None
    assert await jobs(hub) == expected


@contextmanager
def kept_in(red: NodeRed, folder: Path) -> Iterator[None]:
    """What waits in that Node-RED is kept there."""
    shutil.rmtree(red.kept, ignore_errors=True)
    red.kept.symlink_to(folder)
    try:
        yield
    finally:
        red.kept.unlink()


@contextmanager
def beside(red: NodeRed, log: Path) -> Iterator[None]:
    """Another Node-RED with the same user folder."""
    with log.open("wb") as out:
        second = subprocess.Popen([*red.command(), "--port", str(free_port())], cwd=red.folder, stdout=out, stderr=out)
    try:
        yield
    finally:
        second.kill()
        second.wait()


def connected(red: NodeRed) -> None:
    red.wait_for(lambda: "connected host" in red.log())


@pytest.mark.parametrize("end", [NodeRed.stop, NodeRed.kill])
async def test_what_waits_survives_the_end_of_node_red(
    hub: HubProcess, red: NodeRed, end: Callable[[NodeRed], int]
) -> None:
    red.deploy(flow(hub.port))
    connected(red)
    hub.kill()
    red.inject("in", list(range(200)))
    wait_shown(red, "offline 200")
    (file,) = red.outboxes()
    assert (file.stat().st_mode & 0o777, red.kept.stat().st_mode & 0o777) == (0o600, 0o700)
    end(red)
    red.start()
    red.wait_for(lambda: "messages from before the start wait for the hub: 200, the oldest since 20" in red.log())
    red.inject("in", [200, 201])
    hub.start()
    await until_stored(hub, red, list(range(202)))
    red.wait_for(lambda: "the messages from before the start have been answered: 200" in red.log())


async def test_an_orderly_stop_keeps_what_has_just_come(hub: HubProcess, red: NodeRed) -> None:
    red.deploy(flow(hub.port))
    connected(red)
    hub.signal(signal.SIGSTOP)  # the link seems to be up
    red.inject("in", [1, 2, 3])
    red.wait_for(lambda: told(red, "sent"))
    assert red.stop() == 0
    hub.kill()
    red.start()
    hub.start()
    await until_stored(hub, red, [1, 2, 3])


async def test_a_power_cut_takes_nothing_that_a_node_says_it_holds(
    hub: HubProcess, red: NodeRed, tmp_path: Path
) -> None:
    power = disk.Powered(tmp_path, "xfs")
    red.deploy(flow(hub.port))
    connected(red)
    hub.kill()
    with kept_in(red, power.mount):
        with power.on():
            for number in range(10):
                red.inject("in", [number])
                wait_shown(red, f"offline {number + 1}")
            power.cut()
            red.kill()
        with power.on():
            red.start()
            hub.start()
            await until_stored(hub, red, list(range(10)))
            red.kill()


async def test_a_hub_that_hangs_fills_the_buffer_and_no_more(hub: HubProcess, red: NodeRed) -> None:
    red.deploy(flow(hub.port, bufferMessages="100"))
    connected(red)
    hub.signal(signal.SIGSTOP)
    red.inject("in", list(range(300)))
    red.wait_for(lambda: told(red, "HQ_BUFFER_FULL") == list(range(100, 300)))
    wait_shown(red, "buffer full 100")
    hub.signal(signal.SIGCONT)
    await until_stored(hub, red, list(range(100)))
    assert told(red, "stored") == list(range(100))


@pytest.fixture
def small_disk(red: NodeRed, tmp_path: Path) -> Iterator[Path]:
    """Where that Node-RED keeps what waits: 1 MB."""
    with disk.small(tmp_path / "small", 1) as folder, kept_in(red, folder):
        yield folder
        red.kill()


async def test_a_full_disk_is_told_and_what_waits_is_kept_when_there_is_room(
    hub: HubProcess, red: NodeRed, small_disk: Path
) -> None:
    red.deploy(flow(hub.port))
    connected(red)
    hub.kill()
    red.inject("in", [0])
    wait_shown(red, "offline 1")
    filler = disk.fill(small_disk)
    red.inject("in", [1, "x" * 10_000])
    wait_shown(red, "not on disk 3")
    assert "they are in memory only: ENOSPC" in red.log()
    filler.unlink()
    wait_shown(red, "offline 3")
    red.kill()
    red.start()
    hub.start()
    await until_stored(hub, red, [0, 1, "x" * 10_000])


async def test_a_file_in_the_place_of_the_folder_keeps_nothing_else_from_working(hub: HubProcess, red: NodeRed) -> None:
    red.kill()
    shutil.rmtree(red.kept, ignore_errors=True)
    red.kept.write_text("no folder")
    try:
        red.start()
        red.deploy(flow(hub.port))
        red.inject("in", [1])
        red.wait_for(lambda: told(red, "stored") == [1])
        hub.kill()
        red.inject("in", [2])
        wait_shown(red, "not on disk 1")
    finally:
        red.kept.unlink()
    wait_shown(red, "offline 1")


async def test_with_keep_off_a_stop_loses_what_waits_and_says_so(hub: HubProcess, red: NodeRed) -> None:
    red.deploy(flow(hub.port, keep=False))
    connected(red)
    hub.kill()
    red.inject("in", [1, 2])
    wait_shown(red, "offline 2")
    assert red.outboxes() == []
    red.stop()
    assert "in memory only, a stop of Node-RED loses them: 2" in red.log()


async def test_what_waits_goes_to_no_other_hub(hub: HubProcess, central: HubProcess, red: NodeRed) -> None:
    red.deploy(flow(hub.port))
    connected(red)
    hub.kill()
    red.inject("in", [1, 2])
    wait_shown(red, "offline 2")
    red.deploy(flow(central.port))
    red.wait_for(lambda: f"accepted for another hub, {hub.hub_id} at 127.0.0.1:{hub.port}: 2, in /" in red.log())
    red.inject("in", [3])
    red.wait_for(lambda: told(red, "stored") == [3])
    red.kill()  # they still know whose they are
    hub.start()
    red.start()
    red.wait_for(lambda: red.log().count("accepted for another hub") == 2)
    red.deploy(flow(hub.port))
    await until_stored(hub, red, [1, 2])
    assert await jobs(central) == [3]


async def test_what_a_removed_server_node_has_left_goes_with_another_one(hub: HubProcess, red: NodeRed) -> None:
    red.deploy(flow(hub.port))
    connected(red)
    hub.kill()
    red.inject("in", [1, 2])
    wait_shown(red, "offline 2")
    red.deploy([tab()])
    assert red.log().count("for a hub that no server node reaches: 2, in /") == 1
    red.kill()
    red.start()
    assert red.log().count("for a hub that no server node reaches: 2, in /") == 2
    hub.start()
    red.deploy([tab(), {**server(hub.port), "id": "new"}, enqueue("put", server="new")])
    await until_stored(hub, red, [1, 2])


@pytest.mark.parametrize("kind", ["full", "flows", "nodes"])
async def test_messages_that_wait_go_on_in_the_flow_that_was_deployed(hub: HubProcess, red: NodeRed, kind: str) -> None:
    nodes = flow(hub.port)
    red.deploy(nodes)
    connected(red)
    hub.kill()
    red.inject("in", [1, 2, 3])
    wait_shown(red, "offline 3")
    for name in ("another", "again"):
        red.deploy([{**each, "name": name} if each["id"] == "put" else each for each in nodes], kind)
    hub.start()
    await until_stored(hub, red, [1, 2, 3])
    red.wait_for(lambda: len(told(red, "complete")) == 3)
    assert (told(red, "stored"), told(red, "complete")) == ([1, 2, 3], [1, 2, 3])


async def test_a_message_that_went_on_after_a_deploy_can_be_stored_again(hub: HubProcess, red: NodeRed) -> None:
    again = "seen(['stored', msg.payload]); if (msg.payload < 10) { msg.payload += 10; return msg; }"
    loop = function("stored", again, "put")
    nodes = [loop if each["id"] == "stored" else each for each in flow(hub.port)]
    red.deploy(nodes)
    connected(red)
    hub.kill()
    red.inject("in", [1])
    wait_shown(red, "offline 1")
    red.deploy(nodes, "full")
    hub.start()
    await until_stored(hub, red, [1, 11])


async def test_what_a_forward_node_holds_goes_on_after_a_deploy(hub: HubProcess, red: NodeRed) -> None:
    out = {"server": "hub", "to": f"tcp://127.0.0.1:{free_port()}", "queue": "out", "dedup": "", "dedupType": "str"}
    put = node("put", "hubqueue-forward", ["stored"], [], **out)
    nodes = [put if each["id"] == "put" else each for each in flow(hub.port)]
    red.deploy(nodes)
    connected(red)
    hub.kill()
    red.inject("in", [1, 2])
    wait_shown(red, "offline 2")
    red.deploy(nodes, "full")
    hub.start()
    red.wait_for(lambda: len(told(red, "complete")) == 2 and not red.outboxes())
    assert (told(red, "stored"), told(red, "complete")) == ([1, 2], [1, 2])


async def test_a_message_of_before_that_the_hub_refuses_is_told_and_kept_to_read(hub: HubProcess, red: NodeRed) -> None:
    refused = "node.send({payload: 'bad', enqueue: {keepTrying: '1s', delay: '1h'}});"  # a rule that only the hub knows
    nodes = [*flow(hub.port), inject("worse", "make"), function("make", refused, "put")]
    red.deploy(nodes)
    connected(red)
    hub.kill()
    red.inject("in", [1])
    red.inject("worse")
    red.inject("in", [2])
    wait_shown(red, "offline 3")
    red.kill()
    red.start()
    hub.start()
    await until_stored(hub, red, [1, 2])
    red.wait_for(lambda: "the hub refused a message for good, id once:" in red.log())
    (file,) = red.kept.glob("*.refused")
    kept = json.loads(file.read_text())
    assert (kept["job"]["data"], kept["queue"]) == ("bad", "q")


async def test_a_second_node_red_with_the_same_folder_changes_nothing(
    hub: HubProcess, red: NodeRed, tmp_path: Path
) -> None:
    red.deploy(flow(hub.port))
    connected(red)
    hub.kill()
    red.inject("in", [1, 2])
    wait_shown(red, "offline 2")
    (file,) = red.outboxes()
    before = file.read_bytes()
    log = tmp_path / "second.log"
    with beside(red, log):
        red.wait_for(lambda: "another Node-RED uses" in log.read_text())
    assert file.read_bytes() == before
    hub.start()
    await until_stored(hub, red, [1, 2])


async def test_messages_for_an_address_that_was_wrong_go_when_it_is_put_right(hub: HubProcess, red: NodeRed) -> None:
    red.deploy(flow(free_port()))
    red.inject("in", [1, 2])
    wait_shown(red, "offline 2")
    red.deploy(flow(hub.port))
    await until_stored(hub, red, [1, 2])
    assert "messages that were accepted before go to it: 2" in red.log()
