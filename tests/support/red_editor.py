"""The editor of Node-RED in a real browser, as a page with words for what a person does there."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Error, Locator, Page

from support.browser import ACTION_MS
from support.node_red import NodeRed
from support.waiting import until_true


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
        self.page.add_init_script("localStorage.setItem('view-dark-theme', 'auto')")  # as the look has it
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
        # Node-RED puts the focus there last of all: what is typed before goes astray
        self.page.wait_for_function("$('.red-ui-tray').last().has(document.activeElement).length === 1")
        return tray

    def add_server(self) -> None:
        """Press the button until its dialog opens: Node-RED does nothing while it still makes the one before."""
        host = self.page.locator("#node-config-input-host")

        def opened() -> bool:
            with suppress(Error):
                self.page.locator("#node-input-btn-server-add").click(timeout=2_000)
                host.wait_for(timeout=2_000)
            return host.is_visible()

        until_true(opened)

    def show_more(self) -> None:
        """Unfold what the dialog hides at first."""
        for more in self.page.locator(".red-ui-tray").last.locator("details.hubqueue-more:not([open]) > summary").all():
            more.click()

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
