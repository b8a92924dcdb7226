"""The dialog of the forward node in the real editor: its TLS configuration and its address judge each other."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from support.browser import DESKTOP
from support.hub_process import HubProcess
from support.node_red import NodeRed, node, server, tab
from support.red_editor import Editor

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_tls_configuration_and_an_unencrypted_address_do_not_go_together(
    hub: HubProcess, red: NodeRed, browser: Browser, tmp_path: Path
) -> None:
    authority = {"id": "tls", "type": "tls-config", "name": "central", "verifyservercert": True}
    send = node("send", "hubqueue-forward", server="hub", to="tcp://127.0.0.1:1", tls="tls")
    red.deploy([tab(), server(hub.port), send, authority])
    editor = Editor(browser, red, DESKTOP)
    assert not editor.page.evaluate("RED.editor.validateNode(RED.nodes.node('send'))")
    tray = editor.open("send")
    tls, to = tray.locator("#node-input-tls"), tray.locator("#node-input-to")
    editor.shot("open", tmp_path)
    assert "TLS" in tls.evaluate("field => [...field.labels].map((label) => label.innerText).join()")
    assert tls.input_value() == "tls"
    expect(tray.locator(".input-error")).not_to_have_count(0)
    editor.shot("wrong", tmp_path)
    to.fill("127.0.0.1:1")
    to.blur()
    expect(tray.locator(".input-error")).to_have_count(0)
    to.fill("tcp://127.0.0.1:1")
    to.blur()
    expect(tray.locator(".input-error")).not_to_have_count(0)
    tls.select_option(index=0 if tls.locator("option").first.get_attribute("value") != "tls" else 1)
    assert tls.input_value() in ("", "_ADD_")
    expect(tray.locator(".input-error")).to_have_count(0)
    editor.shot("right", tmp_path)
    tray.locator("#node-dialog-ok").click()
    editor.page.wait_for_function("document.querySelectorAll('.red-ui-tray').length === 0")
    assert editor.page.evaluate("RED.nodes.node('send').tls") == ""
    assert editor.page.evaluate("RED.editor.validateNode(RED.nodes.node('send'))")
    assert editor.errors == []
    editor.close()
