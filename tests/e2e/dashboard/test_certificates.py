"""The certificates of a forwarder in the dashboard: given as text, kept, and never shown again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from support.axe import serious
from support.browser import REFUSED, Visit
from support.certificates import make
from support.dashboard import Dashboard, Serve
from support.waiting import until_true


def test_the_certificate_of_a_forwarder_is_checked_kept_and_not_shown(
    tmp_path: Path, serve: Serve, visit: Visit
) -> None:
    house = serve(Dashboard(tmp_path))

    def shown() -> tuple[Any, ...]:
        found = house.ask("Forwarders")["forwarders"]
        return tuple(found[0][key] for key in ("hasClientCert", "serverName", "verify", "rate")) if found else ()

    page = visit(f"{house.url}/forwarders", allow=REFUSED)
    page.get_by_role("button", name="New forwarder").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Name").fill("night")
    form.get_by_label("Queue", exact=True).fill("photos")
    form.get_by_label("To", exact=True).fill("tls://127.0.0.1:1")
    form.get_by_text("More").click()
    form.get_by_label("This hub’s certificate and key").fill("no certificate")
    form.get_by_label("Its certificate is for").fill("central.example")
    form.get_by_text("Check the other hub’s certificate").click()
    assert serious(page) == []
    form.get_by_role("button", name="Save").click()
    expect(form.get_by_role("alert")).to_contain_text("no certificate in the client certificate")
    form.get_by_label("This hub’s certificate and key").fill(make(tmp_path / "pem").client.read_text())
    form.get_by_role("button", name="Save").click()
    until_true(lambda: shown() == (True, "central.example", False, None))
    page.get_by_role("button", name="Edit: night").click()
    form.get_by_label("Jobs a second").fill("5")
    form.get_by_role("button", name="Save").click()
    until_true(lambda: shown() == (True, "central.example", False, 5))
    assert "PRIVATE KEY" not in page.content()
