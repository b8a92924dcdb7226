"""A hub and nodes of different versions: the older side is named, nothing is lost, and it goes on once they fit."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from hubqueue import Client
from hubqueue.model.apinumber import API
from support.browser import DESKTOP, GERMAN
from support.hub_process import HubProcess
from support.node_red import NodeRed, enqueue, function, inject, node, result, server, tab, worker
from support.other_api import program
from support.ports import free_port
from support.red_editor import Editor

pytestmark = pytest.mark.slow

OLDER, NEWER = API - 1, API + 1
SAYS = {OLDER: "hubqueue.status.updateHub", NEWER: "hubqueue.status.updateNodes"}


@pytest.mark.parametrize("other", [OLDER, NEWER], ids=["older", "newer"])
async def test_a_hub_of_another_version_loses_nothing_and_is_used_once_it_fits(
    red: NodeRed, tmp_path: Path, other: int
) -> None:
    port = free_port()
    where = ("--tcp-port", str(port))
    flow = [
        tab(),
        server(port),
        inject("in", "put"),
        enqueue("put", "stored"),
        function("stored", "seen(['stored', msg.payload]);"),
        node("caught", "catch", "wrong", scope=None, uncaught=False),
        function("wrong", "seen(['wrong', msg.error.code]);"),
        node("look", "status", "says", scope=["put", "work"]),
        function("says", "seen(['status', msg.status.source.id, msg.status.text, msg.status.fill]);"),
        worker("work", "end"),
        result("end", "done"),
        function("done", "seen(['done', msg.payload, msg.job.outcome]);"),
    ]
    with HubProcess(tmp_path, *where, program=program(other)) as hub:
        red.deploy(flow)
        for id in ("put", "work"):
            red.wait_for(lambda id=id: ["status", id, SAYS[other], "red"] in red.seen())
        for number in range(3):
            red.inject("in", number)
        red.wait_for(red.outboxes)
        for id in ("put", "work"):
            last = [told for told in red.seen() if told[:2] == ["status", id]][-1]
            assert last[2:] == [SAYS[other], "red"]
        assert f"speaks API {other}, these nodes {API} (update the {'hub' if other < API else 'nodes'}" in red.log()
        hub.stop()
    assert [told for told in red.seen() if told[0] != "status"] == []
    with HubProcess(tmp_path, *where):  # updated: it goes on by itself
        told = red.wait_for(lambda: len(found := of_flow(red)) >= 6 and found)
        assert sorted(told) == sorted([["stored", n] for n in range(3)] + [["done", n, "complete"] for n in range(3)])
        assert [each[1] for each in told if each[0] == "stored"] == [0, 1, 2]
        async with Client(f"tcp://127.0.0.1:{port}") as client:
            counts = await client.queue("q").counts()
        assert (counts.completed, counts.waiting) == (3, 0)
    with HubProcess(tmp_path, *where, program=program(other)):  # and back, with jobs out of the way
        red.wait_for(lambda: [told for told in red.seen() if told[:2] == ["status", "work"]][-1][2] == SAYS[other])


def of_flow(red: NodeRed) -> list[list[object]]:
    return [told for told in red.seen() if told[0] != "status"]


@pytest.mark.browser
@pytest.mark.parametrize(("look", "words"), [(DESKTOP, "update the nodes"), (GERMAN, "Nodes aktualisieren")])
def test_the_editor_says_which_side_to_update(
    red: NodeRed, browser: Browser, tmp_path: Path, look: dict[str, object], words: str
) -> None:
    with HubProcess(tmp_path, program=program(NEWER)) as hub:
        red.deploy([tab(), server(hub.port), enqueue("put"), worker("work", "end"), result("end")])
        editor = Editor(browser, red, look)
        for id in ("put", "work"):
            editor.page.wait_for_function(
                "([id, words]) => $(`[id=${id}] .red-ui-flow-node-status-label`).text() === words", arg=[id, words]
            )
        editor.shot("status", tmp_path)
        tray = editor.open_config("hubqueue-server", "hub")
        tray.locator("#hubqueue-test").click()
        editor.page.wait_for_function("$('#hubqueue-test-answer').text().includes('update the nodes')")
        editor.shot("test", tmp_path)
        editor.cancel()
        assert editor.errors == []
        editor.close()
