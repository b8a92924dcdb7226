"""The editor in a real browser: the palette, every dialog, a flow that is built by hand, deployed and run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Locator, Page, sync_playwright

from support import axe
from support.browser import ACTION_MS, ARGUMENTS, CHROMIUM, DARK, DESKTOP, GERMAN
from support.dashboard import Asker
from support.hub_process import HubProcess
from support.node_red import Node, NodeRed, enqueue, inject, node, result, server, tab, worker

pytestmark = pytest.mark.browser

TYPES = ["enqueue", "worker", "result", "forward", "control", "events"]
LOOKS = {"light": DESKTOP, "dark": DARK, "german": GERMAN}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=ARGUMENTS)
        yield started
        started.close()


class Editor:
    """A page with the editor open."""

    def __init__(self, browser: Browser, red: NodeRed, look: dict[str, Any]) -> None:
        wide = {"viewport": {"width": 1500, "height": 1000}}
        self.context = browser.new_context(**{**look, **wide}, service_workers="block")
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(ACTION_MS)
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda told: self.errors.append(told.text) if told.type == "error" else None)
        if look["color_scheme"] == "dark":
            self.page.add_init_script("localStorage.setItem('view-dark-theme', 'dark')")
        self.page.goto(red.url)
        self.page.wait_for_function("window.RED && RED.nodes && RED.workspaces && RED.workspaces.active()")
        self.page.wait_for_selector("#red-ui-palette-search input")
        self.page.wait_for_selector('.red-ui-palette-node[data-palette-type="hubqueue-worker"]', state="attached")

    def palette(self) -> None:
        """Show only our nodes in the palette."""
        self.page.locator("#red-ui-palette-search input").press_sequentially("hubqueue")
        self.page.wait_for_function("$('.red-ui-palette-node[data-palette-type=inject]').is(':hidden')")

    def open(self, id: str) -> Locator:
        """Open the dialog of a node, and wait until it stands still."""
        self.page.evaluate("id => RED.editor.edit(RED.nodes.node(id))", id)
        return self.tray()

    def open_config(self, type: str, id: str) -> Locator:
        self.page.evaluate("([type, id]) => RED.editor.editConfig('', type, id)", [type, id])
        return self.tray()

    def tray(self) -> Locator:
        tray = self.page.locator(".red-ui-tray").last
        tray.locator(".form-row").first.wait_for()
        self.page.wait_for_function(
            "!document.querySelector('.red-ui-tray.red-ui-tray-moving') && $(':animated').length === 0"
        )
        return tray

    def add_server(self) -> None:
        """Press the button until its dialog opens: Node-RED does nothing while it still makes the one before."""
        host = self.page.locator("#node-config-input-host")
        for _ in range(8):
            with suppress(Error):
                self.page.locator("#node-input-btn-server-add").click(timeout=2_000)
                host.wait_for(timeout=2_000)
            if host.is_visible():
                return
        raise AssertionError("the dialog of the server does not open")

    def cancel(self) -> None:
        self.page.locator(".red-ui-tray").last.locator("#node-dialog-cancel, #node-config-dialog-cancel").click()
        self.page.wait_for_function("document.querySelectorAll('.red-ui-tray').length === 0")

    def drag(self, type: str, x: int, y: int) -> str:
        """Drag a node from the palette to the workspace; its id."""
        known = set(self.ids())
        source = self.page.locator(f'.red-ui-palette-node[data-palette-type="{type}"]')
        source.scroll_into_view_if_needed()
        box = source.bounding_box()
        chart = self.page.locator("#red-ui-workspace-chart").bounding_box()
        assert box is not None
        assert chart is not None
        mouse = self.page.mouse
        mouse.move(box["x"] + 40, box["y"] + box["height"] / 2)
        mouse.down()
        mouse.move(chart["x"] + x, chart["y"] + y, steps=12)
        mouse.up()
        self.page.wait_for_function("count => RED.nodes.filterNodes({}).length > count", arg=len(known))
        (new,) = set(self.ids()) - known
        return new

    def wire(self, source: str, target: str) -> None:
        """Draw a wire with the mouse from the output of one node to the input of another."""
        out = self.page.locator(f'[id="{source}"] .red-ui-flow-port-output rect').first.bounding_box()
        into = self.page.locator(f'[id="{target}"] .red-ui-flow-port-input rect').first.bounding_box()
        assert out is not None
        assert into is not None
        mouse = self.page.mouse
        mouse.move(out["x"] + 5, out["y"] + 5)
        mouse.down()
        mouse.move(into["x"] + 5, into["y"] + 5, steps=10)
        mouse.up()
        self.page.wait_for_function(
            "([a, b]) => RED.nodes.filterLinks({source: {id: a}, target: {id: b}}).length === 1", arg=[source, target]
        )

    def ids(self) -> list[str]:
        found: list[str] = self.page.evaluate("RED.nodes.filterNodes({}).map(node => node.id)")
        return found

    def deploy(self) -> None:
        self.page.locator("#red-ui-header-button-deploy").click()
        self.page.wait_for_function("!RED.nodes.dirty()")

    def shot(self, name: str, folder: Path) -> None:
        self.page.screenshot(path=folder / f"{name}.png")

    def close(self) -> None:
        self.context.close()


def everything(port: int) -> list[Node]:
    """A flow with one node of each type."""
    nodes = [
        {**tab(), "label": "hubqueue"},
        server(port, name=""),
        enqueue("enqueue", key="", keyType="str", store="payload"),
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
            key="",
            keyType="str",
        ),
        node("control", "hubqueue-control", server="hub", action="", queue="", queueType="str"),
        node("events", "hubqueue-events", server="hub", queue="*", queueType="str", mode="events", kinds=[]),
        inject("in", "enqueue"),
    ]
    places = [(0, 0), (0, 0), (460, 80), (160, 180), (460, 180), (160, 280), (460, 280), (160, 380), (160, 80)]
    return [{**each, "x": x, "y": y} if "z" in each else each for each, (x, y) in zip(nodes, places, strict=True)]


UNNAMED = """
tray => [...tray.querySelectorAll('.form-row :is(input, select, textarea, button)')]
  .filter(field => field.offsetParent !== null && field.type !== 'hidden')
  .filter(field => {
    const labels = (field.getAttribute('aria-labelledby') || '').split(' ').filter(Boolean);
    const named = labels.length && labels.every(id => (document.getElementById(id) || {}).textContent);
    const label = field.id && document.querySelector(`label[for="${CSS.escape(field.id)}"]`);
    const text = (label && label.textContent.trim()) || field.getAttribute('aria-label') || field.title
      || (field.tagName === 'BUTTON' && field.textContent.trim());
    return !named && !text;
  })
  .map(field => field.outerHTML.slice(0, 160))
"""


@pytest.mark.parametrize("look", list(LOOKS))
def test_palette_and_every_dialog(hub: HubProcess, red: NodeRed, browser: Browser, look: str, tmp_path: Path) -> None:
    red.deploy(everything(hub.port))
    editor = Editor(browser, red, LOOKS[look])
    editor.palette()
    header = editor.page.locator("#red-ui-palette-header-hubqueue")
    header.wait_for()
    assert "hub queue" in header.inner_text().replace("\N{NO-BREAK SPACE}", " ")
    shown = editor.page.locator("#red-ui-palette-hubqueue .red-ui-palette-node:visible")
    assert sorted(each.get_attribute("data-palette-type") or "" for each in shown.all()) == sorted(
        f"hubqueue-{each}" for each in TYPES
    )
    editor.page.wait_for_function("$('.red-ui-flow-node-status-group:visible').length >= 4")
    editor.shot(f"{look}-palette", tmp_path)
    for type in TYPES:
        tray = editor.open(type)
        for more in tray.locator("details.hubqueue-more").all():
            more.locator("summary").click()
        check_dialog(editor, tray)
        editor.shot(f"{look}-{type}", tmp_path)
        editor.cancel()
    tray = editor.open_config("hubqueue-server", "hub")
    tray.locator("details.hubqueue-more summary").click()
    tray.locator("#hubqueue-test").click()
    editor.page.wait_for_function("$('#hubqueue-test-answer').text().includes('Hub ')")
    assert hub.hub_id in tray.locator("#hubqueue-test-answer").inner_text()
    check_dialog(editor, tray)
    editor.shot(f"{look}-server", tmp_path)
    editor.cancel()
    assert editor.errors == []
    editor.close()


def check_dialog(editor: Editor, tray: Locator) -> None:
    """Every field has a name for those who do not see it, every text is translated, and axe finds nothing serious."""
    assert "hubqueue." not in tray.inner_text()
    assert tray.evaluate(UNNAMED) == []
    editor.page.evaluate(axe.install().read_text(encoding="utf-8"))
    found = editor.page.evaluate(
        "rules => axe.run({include: ['.red-ui-tray:last-child .form-row']}, {runOnly: {type: 'tag', values: rules}})",
        axe.RULES,
    )
    ours = [
        f"{finding['id']}: {each['html'][:200]}"
        for finding in found["violations"]
        if finding["impact"] in axe.SERIOUS
        for each in finding["nodes"]
    ]
    assert ours == []


def test_the_help_is_there(red: NodeRed, browser: Browser) -> None:
    editor = Editor(browser, red, DESKTOP)
    for type in [*TYPES, "server"]:
        text: str = editor.page.evaluate("type => RED.nodes.getNodeHelp('hubqueue-' + type)", type)
        assert "<h3>Details</h3>" in text
    assert editor.errors == []
    editor.close()


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
    page.wait_for_load_state("networkidle")
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
