"""The editor in a real browser: the palette, every dialog, a flow that is built by hand, deployed and run."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from support import axe
from support.browser import DESKTOP
from support.dashboard import Asker
from support.hub_process import HubProcess
from support.node_red import PACKAGE, Node, NodeRed, enqueue, inject, node, result, server, tab, worker
from support.red_editor import Editor

pytestmark = pytest.mark.browser

TYPES = ["enqueue", "worker", "result", "forward", "control", "events"]


def everything(port: int) -> list[Node]:
    """A flow with one node of each type."""
    nodes = [
        {**tab(), "label": "hubqueue"},
        server(port, name=""),
        enqueue("enqueue", group="", groupType="str", dedup="", dedupType="str", store="payload"),
        worker("worker", "result", settle="result"),
        result("result", outcome="message", result="payload", resultType="msg"),
        node(
            "forward",
            "hubqueue-forward",
            [],
            [],
            server="hub",
            to="tcp://127.0.0.1:1",
            queue="out",
            dedup="",
            dedupType="str",
        ),
        node("control", "hubqueue-control", server="hub", action="", queue="", queueType="str"),
        node("events", "hubqueue-events", server="hub", queue="*", queueType="str", mode="events", kinds=[]),
        inject("in", "enqueue"),
    ]
    places = [(0, 0), (0, 0), (460, 80), (160, 180), (460, 180), (160, 280), (460, 280), (160, 380), (160, 80)]
    return [{**each, "x": x, "y": y} if "z" in each else each for each, (x, y) in zip(nodes, places, strict=True)]


def test_palette_help_and_every_dialog(hub: HubProcess, red: NodeRed, browser: Browser, tmp_path: Path) -> None:
    """As everybody can use them, in light and dark; in German too: test_fields."""
    red.deploy(everything(hub.port))
    editor = Editor(browser, red, DESKTOP)
    editor.palette()
    header = editor.page.locator("#red-ui-palette-header-hubqueue")
    header.wait_for()
    assert "hub queue" in header.inner_text().replace("\N{NO-BREAK SPACE}", " ")
    shown = editor.page.locator("#red-ui-palette-hubqueue .red-ui-palette-node:visible")
    assert sorted(each.get_attribute("data-palette-type") or "" for each in shown.all()) == sorted(
        f"hubqueue-{each}" for each in TYPES
    )
    for type in [*TYPES, "server"]:
        help: str = editor.page.evaluate("type => RED.nodes.getNodeHelp('hubqueue-' + type)", type)
        assert "<h3>Details</h3>" in help
    editor.page.wait_for_function("$('.red-ui-flow-node-status-group:visible').length >= 4")
    editor.shot("palette", tmp_path)
    for type in TYPES:
        editor.open(type)
        editor.show_more()
        check_dialog(editor, type, tmp_path)
        editor.cancel()
    tray = editor.open_config("hubqueue-server", "hub")
    editor.show_more()
    tray.locator("#hubqueue-test").click()
    editor.page.wait_for_function("$('#hubqueue-test-answer').text().includes('Hub ')")
    assert hub.hub_id in tray.locator("#hubqueue-test-answer").inner_text()
    assert tray.locator("#node-config-input-keep").is_checked()  # as the runtime reads a flow without it
    check_dialog(editor, "server", tmp_path)
    editor.cancel()
    assert editor.errors == []
    editor.close()


def check_dialog(editor: Editor, name: str, folder: Path) -> None:
    """axe finds nothing serious, in whatever colours."""
    ours = ".red-ui-tray:last-child .form-row"
    assert axe.serious(editor.page, ours) == [], name
    editor.shot(f"{name}-light", folder)
    editor.page.emulate_media(color_scheme="dark")
    editor.page.wait_for_function("document.documentElement.matches('.nr-theme-dark')")
    assert axe.serious(editor.page, ours, axe.COLOURS) == [], name
    editor.shot(f"{name}-dark", folder)
    editor.page.emulate_media(color_scheme="light")


def test_a_flow_is_built_by_hand_deployed_and_run(
    hub: HubProcess, red: NodeRed, browser: Browser, tmp_path: Path
) -> None:
    red.deploy([tab()])
    editor = Editor(browser, red, DESKTOP)
    page = editor.page
    editor.palette()
    made = {type: editor.drag(f"hubqueue-{type}", x, y) for type, x, y in (("worker", 200, 200), ("result", 460, 200))}
    editor.wire(made["worker"], made["result"])
    # the first dialog makes the server too
    tray = editor.open(made["worker"])
    tray.locator(".red-ui-typedInput-input").first.fill("by-hand")
    editor.add_server()
    page.locator("#node-config-input-host").fill("127.0.0.1")
    page.locator("#node-config-input-port").fill(str(hub.port))
    page.locator("#hubqueue-test").click()
    page.wait_for_function("$('#hubqueue-test-answer').text().includes('Hub ')")
    page.locator("#node-config-dialog-ok").click()
    page.locator("#node-dialog-ok").click()
    page.wait_for_function("document.querySelectorAll('.red-ui-tray').length === 0")
    made["enqueue"] = editor.drag("hubqueue-enqueue", 300, 320)
    tray = editor.open(made["enqueue"])
    tray.locator("#node-input-server").select_option(label=f"127.0.0.1:{hub.port}")
    tray.locator(".red-ui-typedInput-input").first.fill("other")
    page.locator("#node-dialog-ok").click()
    page.wait_for_function("document.querySelectorAll('.red-ui-tray').length === 0")
    editor.deploy()
    page.wait_for_function(
        "id => $(document.getElementById(id)).find('.red-ui-flow-node-status-label').text() === 'idle'",
        arg=made["worker"],
    )
    with Asker(hub.port) as ask:
        pushed = ask("PUSH", queue="by-hand", name="job", data={"n": 1})["id"]
        red.wait_for(lambda: ask("GetState", id=pushed)["state"] == "completed")
        assert ask("GetResult", id=pushed)["result"] == {"n": 1}
    page.wait_for_function(
        "id => $(document.getElementById(id)).find('.red-ui-flow-node-status-label').text() === 'completed'",
        arg=made["result"],
    )
    editor.shot("by-hand", tmp_path)
    # the queue names of the hub are offered while one types
    tray = editor.open(made["enqueue"])
    field = tray.locator(".red-ui-typedInput-input").first
    field.fill("")
    field.press_sequentially("by")
    page.locator(".red-ui-autoComplete-container, .red-ui-menu-dropdown").get_by_text("by-hand").first.wait_for()
    editor.shot("names", tmp_path)
    editor.page.keyboard.press("Escape")
    assert editor.errors == []
    editor.close()


def test_the_button_of_a_worker_pauses_it(hub: HubProcess, red: NodeRed, browser: Browser) -> None:
    red.deploy(everything(hub.port))
    editor = Editor(browser, red, DESKTOP)
    label = "$(document.getElementById('worker')).find('.red-ui-flow-node-status-label').text()"
    editor.page.wait_for_function(f"{label} === 'idle'")
    editor.page.locator('[id="worker"] .red-ui-flow-node-button-button').click()
    editor.page.wait_for_function(f"{label} === 'paused'")
    editor.close()


def test_examples_are_in_the_import_menu(red: NodeRed) -> None:
    listed = red.request("GET", "/library/examples/flows/@hubqueue/node-red-hubqueue")
    assert "01 First job" in [each.get("fn") if isinstance(each, dict) else each for each in listed]


def test_examples_share_the_server_node_as_it_is_set(red: NodeRed, browser: Browser) -> None:
    red.deploy([])
    editor = Editor(browser, red, DESKTOP)
    page = editor.page
    servers = "RED.nodes.filterNodes({type: 'hubqueue-worker'}).map(each => RED.nodes.node(each.server))"
    for number, path in enumerate(sorted((PACKAGE / "examples").glob("0*.json"))):
        page.evaluate("RED.actions.invoke('core:show-import-dialog')")
        text = page.locator("#red-ui-clipboard-dialog-import-text")
        text.fill(path.read_text())
        text.press("End")  # a key: the editor looks at the text when one is let go
        page.locator("#red-ui-clipboard-dialog-ok").click()
        if number:
            page.get_by_role("button", name="Import copy").click()
        page.wait_for_function(
            "count => RED.nodes.filterNodes({type: 'hubqueue-worker'}).length === count", arg=number + 1
        )
        if not number:
            page.evaluate(f"{servers}[0].host = 'mine'")
    assert page.evaluate(f"{servers}.map(each => each.host)") == ["mine", "mine"]
    editor.close()
