"""The dashboard behind a login and behind Home Assistant's ingress."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from support.axe import serious
from support.browser import Visit
from support.dashboard import Dashboard, Serve, seed
from support.ingress import PREFIX, IngressProxy
from support.ports import free_port

TOKEN = "a-token-that-nobody-guesses"


def test_a_token_opens_the_page_and_signing_out_closes_it(tmp_path: Path, serve: Serve, visit: Visit) -> None:
    dashboard = serve(Dashboard(tmp_path, config=f"tcp: {{tokens: [{TOKEN}]}}", token=TOKEN))
    page = visit(f"{dashboard.url}/?sort=-waiting", allow=("401",))
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert serious(page) == []
    page.screenshot(path=tmp_path / "login.png")
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("This token is not valid.")
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    assert page.url == f"{dashboard.url}/?sort=-waiting"
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto(dashboard.url)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_behind_ingress_everything_is_below_its_path(tmp_path: Path, serve: Serve, visit: Visit) -> None:
    port = free_port()
    config = f"http: {{ingress: {{host: 127.0.0.1, port: {port}, trusted: 127.0.0.1}}}}"
    dashboard = serve(Dashboard(tmp_path, config=config))
    proxy = serve(IngressProxy(f"http://127.0.0.1:{port}"))
    seed(dashboard.ask)
    page = visit("about:blank")
    outside: list[str] = []
    page.on("request", lambda request: outside.append(request.url) if PREFIX not in request.url else None)
    page.goto(f"{proxy.url}/")
    expect(page.locator(".alert", has_text="37 dead letters in mail.")).to_be_visible()
    expect(page.locator("[data-charts][data-ready=yes]")).to_be_visible()
    page.get_by_role("columnheader", name="Waiting").get_by_role("link").click()
    expect(page.get_by_role("columnheader", name="Waiting")).to_have_attribute("aria-sort", "descending")
    page.get_by_role("button", name="Language and colours").click()
    page.get_by_role("link", name="Deutsch").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Übersicht")
    assert page.url.startswith(f"{proxy.url}/")
    assert serious(page) == []
    assert outside == []
