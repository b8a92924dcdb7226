"""The overview in a real browser: what is told, live updates that disturb nobody, sorting, charts, languages."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import APIResponse, Page, Request, Route, expect

from support.axe import COLOURS, serious
from support.browser import DARK, DESKTOP, GERMAN, LOOKS, PHONE, Visit
from support.dashboard import Dashboard, Serve, die, push
from support.waiting import until_true

OFFLINE = ("ERR_INTERNET_DISCONNECTED", "htmx:")  # what the browser and htmx write into the console


def names(page: Page) -> list[str]:
    return page.locator("table.queues tbody th a").all_inner_texts()


def test_it_tells_what_is_wrong_and_leads_there(dashboard: Dashboard, visit: Visit) -> None:
    page = visit(dashboard.url)
    dead = page.locator(".alert", has_text="37 dead letters in mail.")
    expect(dead.get_by_role("link", name="Show")).to_have_attribute("href", "/dead?queue=mail")
    expect(page.locator(".alert", has_text="Queue garden is paused: 20 jobs wait.")).to_be_visible()
    expect(page).to_have_title("(2) Overview · hubqueue")
    expect(page.locator(".tile", has_text="dead letters")).to_contain_text("37")


def test_what_happens_is_seen_without_a_reload_and_disturbs_nobody(dashboard: Dashboard, visit: Visit) -> None:
    page = visit(dashboard.url)
    search = page.get_by_label("Search queues")
    search.fill("m")
    expect(page.locator("table.queues tbody tr")).to_have_count(2)  # mail, camera
    search.press("End")
    page.evaluate("document.querySelector('table.queues tbody tr').marked = true")
    page.evaluate("scrollTo(0, 120)")
    push(dashboard.ask, "camera", [{"name": "frame", "data": None}] * 5)
    row = page.locator("#queue-camera td").first
    expect(row).to_have_text("5")
    expect(search).to_be_focused()
    expect(search).to_have_value("m")
    assert page.evaluate("document.querySelector('table.queues tbody tr').marked")  # the same row, not another one
    assert page.evaluate("scrollY") == 120


def test_selected_text_stays_selected(dashboard: Dashboard, visit: Visit) -> None:
    page = visit(dashboard.url)
    page.locator("#queue-mail th a").evaluate("element => getSelection().selectAllChildren(element)")
    with page.expect_response(lambda answer: "history.json" in answer.url):
        page.get_by_role("link", name="15 min").click()
    push(dashboard.ask, "mail", [{"name": "x", "data": None}])
    page.wait_for_timeout(2500)  # longer than the live parts wait between two looks
    assert page.evaluate("getSelection().toString()") == "mail"


def test_live_updates_can_be_stopped(dashboard: Dashboard, visit: Visit) -> None:
    page = visit(dashboard.url)
    button = page.get_by_role("button", name="Pause live updates")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.headers.get("hx-request") else None)
    page.wait_for_timeout(2500)
    assert asked == []
    button.click()
    push(dashboard.ask, "camera", [{"name": "frame", "data": None}])
    expect(page.locator("#queue-camera td").first).to_have_text("1")


def test_a_hub_that_answers_slowly_is_shown_and_not_asked_again_before(dashboard: Dashboard, visit: Visit) -> None:
    page = visit("about:blank")
    page.clock.install()
    page.goto(dashboard.url)
    page.clock.pause_at(time.time() + 60)
    expect(page.locator("#live.htmx-request")).to_have_count(0)  # the jump may have asked once, and is answered
    asked: list[Route] = []
    page.route(lambda url: True, lambda route: asked.append(route) if live(route.request) else route.continue_())
    page.clock.run_for(3_000)
    until_true(lambda: page.evaluate("true") and asked)
    page.clock.run_for(10_000)
    page.evaluate("htmx.trigger(document.body, 'hubqueue:changed')")  # what was asked for may be of before the change
    push(dashboard.ask, "camera", [{"name": "frame", "data": None}])
    assert len(asked) == 1
    asked.pop().continue_()
    expect(page.locator("#queue-camera td").first).to_have_text("1")
    until_true(lambda: page.evaluate("true") and asked)
    push(dashboard.ask, "camera", [{"name": "frame", "data": None}])
    asked.pop().continue_()
    expect(page.locator("#queue-camera td").first).to_have_text("2")


def test_a_page_that_is_brought_up_to_date_fades_no_button(dashboard: Dashboard, visit: Visit) -> None:
    page = visit(f"{dashboard.url}/dead")
    page.route(lambda url: True, lambda route: None if live(route.request) else route.continue_())
    expect(page.locator("#live.htmx-request")).to_have_count(1)
    faded = "() => [...document.querySelectorAll('button')].filter(one => getComputedStyle(one).opacity !== '1').length"
    assert page.evaluate(faded) == 0
    page.unroute_all()  # lets go what is held
    expect(page.locator("#live.htmx-request")).to_have_count(0)


def live(request: Request) -> bool:
    """Whether it asks for the live part of the page."""
    return request.headers.get("hx-target") == "live"


def test_a_lost_connection_is_told_and_so_is_its_return(dashboard: Dashboard, visit: Visit) -> None:
    page = visit(dashboard.url, allow=OFFLINE)
    page.context.set_offline(True)
    expect(page.get_by_role("status")).to_contain_text("The connection to the hub is lost.")
    page.context.set_offline(False)
    expect(page.get_by_role("status")).to_contain_text("The connection is back.")
    expect(page.get_by_role("status")).not_to_contain_text("is lost")


def test_what_htmx_cannot_get_is_told_and_can_be_dismissed(dashboard: Dashboard, visit: Visit) -> None:
    page = visit(dashboard.url, allow=("404", "htmx:"))
    page.evaluate("htmx.ajax('GET', '/nothing', {target: '#live', source: 'h1'})")
    status = page.get_by_role("status")
    expect(status).to_contain_text("There is nothing here")
    status.get_by_role("button", name="Dismiss").click()
    expect(status).to_be_empty()
    expect(page.locator("table.queues")).to_be_visible()


def test_columns_sort_by_mouse_and_keyboard_and_survive_a_reload(dashboard: Dashboard, visit: Visit) -> None:
    page = visit(dashboard.url)
    assert names(page) == ["camera", "garden", "mail", "readings"]
    head = page.get_by_role("columnheader", name="Waiting")
    head.get_by_role("link").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    assert names(page)[:2] == ["readings", "garden"]
    head.get_by_role("link").press("Enter")
    expect(head).to_have_attribute("aria-sort", "ascending")
    page.reload()
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert names(page)[-1] == "readings"
    page.go_back()
    expect(head).to_have_attribute("aria-sort", "descending")


def test_charts_are_drawn_and_have_their_figures_as_a_table(dashboard: Dashboard, visit: Visit) -> None:
    page = visit(dashboard.url)
    expect(page.locator("[data-charts][data-ready=yes]")).to_be_visible()
    figures = page.locator("figure")
    expect(figures).to_have_count(4)
    backlog = page.locator("figure", has_text="Backlog")
    backlog.get_by_text("As a table").click()
    expect(backlog.locator("tbody tr").first).to_be_visible()
    day = page.get_by_role("link", name="24 h")
    with page.expect_response(lambda answer: "span=24h" in answer.url):
        day.click()
    expect(day).to_have_attribute("aria-current", "true")


def test_the_keyboard_reaches_the_content_at_once(dashboard: Dashboard, visit: Visit) -> None:
    page = visit(dashboard.url)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_language_and_colours_are_chosen_and_kept(dashboard: Dashboard, visit: Visit) -> None:
    page = visit(dashboard.url)
    page.get_by_role("button", name="Language and colours").click()
    page.get_by_role("link", name="Deutsch").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Übersicht")
    expect(page.locator(".alert", has_text="37 unzustellbare Aufträge in mail.")).to_be_visible()
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Sprache und Farben").click()
    page.get_by_role("link", name="Dunkel").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_the_browsers_language_needs_no_choice(dashboard: Dashboard, visit: Visit) -> None:
    expect(visit(dashboard.url, **GERMAN).get_by_role("heading", level=1)).to_have_text("Übersicht")


def test_on_a_phone_navigation_folds_and_nothing_is_cut_off(dashboard: Dashboard, visit: Visit) -> None:
    page = visit(dashboard.url, **PHONE)
    link = page.get_by_role("link", name="Dead letters", exact=True)
    expect(link).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    expect(link).to_be_visible()
    page.keyboard.press("Escape")
    expect(link).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_an_answer_that_comes_after_its_button_would_have_gone_is_told(dashboard: Dashboard, visit: Visit) -> None:
    """The page is brought up to date between what was asked for and its answer."""
    page = visit(f"{dashboard.url}/queues/errands", allow=("ERR_FAILED", "htmx:"))
    held: list[tuple[Route, APIResponse]] = []
    page.route("**/job/do/promote*", lambda route: held.append((route, route.fetch())))
    for arrives, words in ((True, "1 job runs now."), (False, "That did not work")):
        page.goto(f"{dashboard.url}/job?id={dashboard.ask('PUSH', queue='errands', data=1, delay=3_600_000)['id']}")
        page.get_by_role("button", name="Run now").click()
        for _ in range(2):  # the second one was asked for when the job had been promoted
            with page.expect_response(lambda response: "/job?" in response.url):
                pass
        (route, answer) = held.pop()
        route.fulfill(response=answer) if arrives else route.abort()
        expect(page.locator("#messages")).to_contain_text(words)
        expect(page.get_by_role("button", name="Run now")).to_have_count(0)


def test_a_hub_without_jobs_says_what_to_expect(tmp_path: Path, serve: Serve, visit: Visit) -> None:
    dashboard = serve(Dashboard(tmp_path))
    page = visit(dashboard.url)
    expect(page.get_by_text("All is well.")).to_be_visible()
    expect(page.get_by_text("No queues yet")).to_be_visible()
    die(dashboard.ask, "mail", 1, "no")
    expect(page.get_by_text("1 dead letter in mail.")).to_be_visible()
    expect(page).to_have_title("(1) Overview · hubqueue")


def test_a_lost_uplink_says_since_when_by_the_visitors_clock(tmp_path: Path, serve: Serve, visit: Visit) -> None:
    config = "forwarders: [{name: central, queue: readings, to: 'tcp://127.0.0.1:1'}]"  # nobody listens there
    dashboard = serve(Dashboard(tmp_path, config=config))
    push(dashboard.ask, "readings", [{"name": "reading", "data": 1}] * 1204)
    page = visit(dashboard.url, timezone_id="Pacific/Auckland", locale="de-DE")
    alert = page.locator(".alert.bad")
    expect(alert).to_contain_text("1.204 Aufträge warten, nichts ist verloren.")
    at = alert.locator("time")
    here = "moment => new Date(moment).toLocaleTimeString('de-DE', {hour: '2-digit', minute: '2-digit'})"
    assert at.inner_text() == page.evaluate(here, at.get_attribute("datetime"))
    page.evaluate("document.querySelector('.alert time').marked = true")
    push(dashboard.ask, "readings", [{"name": "reading", "data": 1}])
    expect(alert).to_contain_text("1.205 Aufträge")
    assert at.evaluate("time => time.marked && !time.textContent.includes('UTC')")


def test_an_unknown_page_has_the_same_dress(dashboard: Dashboard, visit: Visit) -> None:
    page = visit(f"{dashboard.url}/nothing", allow=("404",))
    expect(page.get_by_role("heading", level=1)).to_have_text("There is nothing here")
    assert serious(page) == []


@pytest.mark.parametrize("look", LOOKS)
def test_everybody_can_use_it(dashboard: Dashboard, visit: Visit, look: str, tmp_path: Path) -> None:
    options: dict[str, Any] = LOOKS[look]
    page = visit(dashboard.url, **options)
    expect(page.locator("[data-charts][data-ready=yes]")).to_be_visible()
    page.screenshot(path=tmp_path / f"overview-{look}.png", full_page=True)
    assert serious(page, rules=COLOURS if look == "dark" else ()) == []


def test_motion_is_left_out_where_it_is_not_wanted(dashboard: Dashboard, visit: Visit) -> None:
    page = visit(dashboard.url, **{**DESKTOP, "reduced_motion": "reduce"})
    assert page.locator(".tile").first.evaluate("element => getComputedStyle(element).transitionDuration") == "0s"
    page = visit(dashboard.url, **DARK)
    assert page.locator(".tile").first.evaluate("element => getComputedStyle(element).transitionDuration") != "0s"
