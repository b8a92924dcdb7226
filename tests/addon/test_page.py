"""The dashboard as Home Assistant shows it: in a browser, through the ingress path, from the app's container."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from support.browser import ACTION_MS, ARGUMENTS, CHROMIUM
from support.container import AppContainer
from support.dashboard import seed
from support.ingress import PREFIX, IngressProxy
from support.supervisor import FakeSupervisor


def test_the_page_is_there_through_ingress(image: str, tmp_path: Path, supervisor: FakeSupervisor) -> None:
    with AppContainer(image, tmp_path, supervisor, options={"mqtt": False}) as app:
        with app.ask() as ask:
            seed(ask)
        with IngressProxy(f"http://127.0.0.1:{app.ingress}") as proxy, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            page = browser.new_page()
            page.set_default_timeout(ACTION_MS)
            outside: list[str] = []
            page.on("request", lambda request: outside.append(request.url) if PREFIX not in request.url else None)
            page.goto(f"{proxy.url}/")
            expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
            expect(page.locator(".alert", has_text="37 dead letters in mail.")).to_be_visible()
            assert outside == []
            browser.close()
