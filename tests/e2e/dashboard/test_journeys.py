"""The dashboard's pages in a real browser: what people come for, click by click, and what was done by it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from support.axe import COLOURS, serious
from support.browser import GERMAN, LOOKS, PHONE, REFUSED, Visit
from support.dashboard import Asker, Dashboard, Serve, die
from support.furniture import ODD, ODD_ID, furnish

SECRET = "uplink-token-of-central"
CONFIG = f"""
timezone: Europe/Berlin
forwarders:
  - {{name: central, queue: uplink, to: "tcp://127.0.0.1:1", token: {SECRET}}}
mqtt:
  url: mqtt://127.0.0.1:1
  rules:
    - {{topic: "sensors/{{kind}}/{{room}}", queue: readings, name: "{{kind}}"}}
    - {{topic: "alarms/#", queue: alarms, priority: 5, payload: {{kind: text}}}}
"""
PAGES = ("/queues/mail", "/queues/odd", "/queues/empty", "/dead", "/schedules", "/forwarders", "/rules", "/settings")


@pytest.fixture
def house(tmp_path: Path, serve: Serve) -> Dashboard:
    """A hub with something of everything, a forwarder without a receiver, and rules without a broker."""
    house = serve(Dashboard(tmp_path, config=CONFIG))
    house.ids = furnish(house.ask)  # type: ignore[attr-defined]
    return house


def ids(house: Dashboard) -> dict[str, str]:
    found: dict[str, str] = house.ids  # type: ignore[attr-defined]
    return found


def told(page: Page, text: str | re.Pattern[str]) -> None:
    expect(page.locator("#messages")).to_contain_text(text)


def test_a_job_is_enqueued_seen_edited_and_deleted(house: Dashboard, visit: Visit) -> None:
    page = visit(f"{house.url}/queues/errands", allow=REFUSED)
    expect(page.get_by_text("No jobs here")).to_be_visible()
    page.get_by_role("button", name="Enqueue a job").click()
    form = page.get_by_role("dialog")
    expect(form.get_by_label("Name", exact=True)).to_be_focused()
    form.get_by_label("Name", exact=True).fill("buy")
    form.get_by_label("Data").fill("{milk}")
    form.get_by_label("Delay", exact=True).fill("2")
    form.get_by_label("Unit of “Delay”").select_option("h")
    form.get_by_role("button", name="Enqueue").click()
    expect(form.get_by_role("alert")).to_contain_text("not valid JSON")
    form.get_by_label("Data").fill('{"what": "milk"}')
    form.get_by_role("button", name="Enqueue").click()
    told(page, "Enqueued as")
    page.get_by_role("link", name="buy").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("buy")
    expect(page.get_by_text("Runs in 1 h 59 min.")).to_be_visible()
    page.get_by_role("button", name="Edit data").click()
    page.get_by_role("dialog").get_by_label("Data").fill('{"what": "bread"}')
    page.get_by_role("button", name="Save").click()
    told(page, "Data saved.")
    expect(page.locator("#data")).to_contain_text("bread")
    page.get_by_role("button", name="Run now").click()
    told(page, "1 job runs now.")
    expect(page.get_by_role("button", name="Run now")).to_have_count(0)
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Delete 1 job").click()
    expect(page).to_have_url(f"{house.url}/queues/errands")
    told(page, "1 job deleted.")
    assert house.ask("Count", queue="errands")["count"] == 0


def test_all_dead_letters_of_one_kind_are_retried_with_the_number_in_the_dialog(house: Dashboard, visit: Visit) -> None:
    page = visit(f"{house.url}/dead")
    row = page.get_by_role("row", name="no route to host")
    row.get_by_role("button", name="Retry").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading")).to_have_text("Retry 5 jobs?")
    dialog.get_by_role("button", name="Retry 5 jobs").click()
    told(page, "5 jobs wait again.")
    expect(page.get_by_role("row", name="no route to host")).to_have_count(0)
    expect(page.get_by_role("row", name="550 no such mailbox")).to_have_count(1)
    assert house.ask("GetJobCounts", queue="mail")["counts"]["failed"] == 3


def test_a_deed_touches_no_more_dead_letters_than_its_question_named(house: Dashboard, visit: Visit) -> None:
    die(house.ask, "alarms", 3, "siren is gone")
    page = visit(f"{house.url}/dead")
    page.get_by_role("row", name="siren is gone").get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading")).to_contain_text("3 dead letters")
    die(house.ask, "alarms", 2, "siren is gone")
    dialog.get_by_role("button", name="Delete 3 dead letters").click()
    told(page, "3 dead letters deleted.")
    assert house.ask("GetJobCounts", queue="alarms")["counts"]["failed"] == 2


def test_some_dead_letters_of_a_kind_are_deleted_while_the_list_is_live(house: Dashboard, visit: Visit) -> None:
    page = visit(f"{house.url}/dead")
    page.get_by_role("link", name="550 no such mailbox").click()
    boxes = page.locator("tbody input[type=checkbox]")
    expect(boxes).to_have_count(3)
    boxes.nth(0).check()
    boxes.nth(2).check()
    with page.expect_response(lambda answer: "/dead/group" in answer.url):
        pass  # brought up to date once
    expect(boxes.nth(0)).to_be_checked()
    expect(boxes.nth(1)).not_to_be_checked()
    page.get_by_role("button", name="Delete dead letters").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete 2 dead letters").click()
    told(page, "2 dead letters deleted.")
    expect(boxes).to_have_count(1)


def test_dead_letters_are_saved_as_json_lines(house: Dashboard, visit: Visit) -> None:
    page = visit(f"{house.url}/dead?queue=mail")
    with page.expect_download() as download:
        page.get_by_role("link", name="Save as JSON lines").click()
    assert download.value.suggested_filename == "dead-letters-mail.jsonl"
    jobs = [json.loads(line) for line in Path(download.value.path()).read_text().splitlines()]
    assert [job["data"]["to"] for job in jobs] == [f"guest{number}@example.org" for number in range(8)]


def test_a_queue_is_paused_limited_filtered_and_emptied(house: Dashboard, visit: Visit) -> None:
    page = visit(f"{house.url}/queues/mail")
    page.get_by_role("button", name="Pause", exact=True).click()
    told(page, "Queue mail is paused.")
    expect(page.get_by_text("Paused: workers get no jobs.")).to_be_visible()
    assert house.ask("IsPaused", queue="mail")["paused"]
    page.get_by_role("button", name="Limits").click()
    page.get_by_role("dialog").get_by_label("Jobs in that time").fill("10")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("At most 10 jobs in 1 s.")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    told(page, "Queue mail goes on.")
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_visible()  # the focused button changes its word
    expect(page.get_by_role("link", name="prioritized 1")).to_be_visible()  # the tiles have moved
    page.get_by_role("link", name="completed 3").click()
    expect(page.locator("tbody tr")).to_have_count(3)
    page.get_by_label("Id, error or data").fill("no such thing")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("No job is like that")).to_be_visible()
    page.get_by_role("link", name="Clear").click()
    page.get_by_role("button", name="Delete what is queued").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete 5 jobs").click()
    told(page, "5 queued jobs deleted.")


def test_everything_that_a_search_finds_is_retried(house: Dashboard, visit: Visit) -> None:
    page = visit(f"{house.url}/queues/mail?text=mailbox")
    expect(page.locator("tbody tr")).to_have_count(3)
    page.get_by_label("With which jobs").select_option(label="all that this list finds")
    page.get_by_role("button", name="Retry").click()
    page.get_by_role("dialog").get_by_role("button", name="Retry 3 jobs").click()
    told(page, "3 jobs wait again.")
    assert house.ask("GetJobCounts", queue="mail")["counts"]["failed"] == 5


def test_a_job_tells_its_progress_its_log_and_its_errors(house: Dashboard, visit: Visit) -> None:
    page = visit(f"{house.url}/job?id={ids(house)['active']}")
    expect(page.get_by_label("Progress")).to_have_attribute("value", "50.0")
    expect(page.get_by_text("600 of 1200 sent")).to_be_visible()
    expect(page.get_by_role("cell", name="half of it is sent")).to_be_visible()
    expect(page.get_by_role("button", name="Retry")).to_have_count(0)
    page.goto(f"{house.url}/job?id={ids(house)['dead']}")
    expect(page.get_by_text("at send (mailer.js:12:3)")).to_be_hidden()
    page.get_by_text("Stack trace").click()
    expect(page.get_by_text("at send (mailer.js:12:3)")).to_be_visible()
    page.goto(f"{house.url}/job?id={ids(house)['parent']}")
    page.get_by_role("link", name="scan").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("scan")


def test_a_job_with_an_odd_id_has_a_page(house: Dashboard, visit: Visit) -> None:
    page = visit(f"{house.url}/queues/mail")
    page.get_by_role("link", name="parcel").click()
    expect(page.locator("#job-id")).to_have_text(ODD_ID)


def test_odd_payloads_break_no_page(house: Dashboard, visit: Visit) -> None:
    page = visit(f"{house.url}/queues/odd")
    expect(page.locator("tbody tr")).to_have_count(len(ODD))
    links = {name: page.get_by_role("link", name=name, exact=True).get_attribute("href") for name in ODD}
    for name, link in links.items():
        page.goto(f"{house.url}{link}")
        expect(page.get_by_role("heading", level=1)).to_have_text(name)


def test_a_schedule_is_made_explained_run_and_deleted(house: Dashboard, visit: Visit) -> None:
    page = visit(f"{house.url}/schedules")
    page.get_by_role("button", name="New schedule").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Name of the schedule").fill("evening")
    form.get_by_label("Queue").fill("reports")
    form.get_by_label("Cron pattern").fill("30 18 * * fri")
    expect(form.locator("#fires li")).to_have_text([re.compile(r"^Fri, .* 18:30:00 CES?T")] * 5)
    form.get_by_label("Cron pattern").fill("30 18 * *")
    expect(form.locator("#fires")).to_contain_text("5 fields")
    form.get_by_label("Cron pattern").fill("30 18 * * fri")
    form.get_by_role("button", name="Save").click()
    told(page, "Schedule evening saved.")
    page.get_by_role("button", name="Run now: evening").click()
    told(page, "Schedule evening has enqueued its job.")
    assert house.ask("Count", queue="reports")["count"] == 1
    page.get_by_role("button", name="Delete: evening").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete the schedule").click()
    told(page, "Schedule evening deleted.")
    assert [each["name"] for each in house.ask("CronList")["crons"]] == ["morning", "poll"]


def test_a_changed_schedule_keeps_what_the_form_does_not_show(house: Dashboard, visit: Visit) -> None:
    options = {"backoff": {"type": "fixed", "delay": 5000}, "tags": ["a"], "maxAttempts": 2}
    house.ask("Cron", name="morning", queue="reports", schedule="0 7 * * *", uniqueKey="k", jobOptions=options)
    page = visit(f"{house.url}/schedules")
    page.get_by_role("button", name="Edit: morning").click()
    page.get_by_role("dialog").get_by_label("Priority").fill("3")
    page.get_by_role("button", name="Save").click()
    told(page, "Schedule morning saved.")
    found = house.ask("CronGet", name="morning")["cron"]
    assert found["priority"] == 3
    assert found["uniqueKey"] == "k"
    assert found["jobOptions"]["tags"] == ["a"]
    assert found["jobOptions"]["backoff"]["type"] == "fixed"
    assert found["jobOptions"]["maxAttempts"] == 2


def test_a_forwarder_is_paused_made_and_deleted(house: Dashboard, visit: Visit) -> None:
    page = visit(f"{house.url}/forwarders", allow=REFUSED)
    expect(page.get_by_text("nothing is lost.").first).to_be_visible()
    page.get_by_role("button", name="Pause: central").click()
    told(page, "Forwarder central is paused.")
    expect(page.get_by_role("button", name="Resume: central")).to_be_visible()
    (central,) = house.ask("Forwarders")["forwarders"]
    assert central["paused"]
    page.get_by_role("button", name="New forwarder").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Name").fill("night")
    form.get_by_label("Queue", exact=True).fill("photos")
    form.get_by_label("To", exact=True).fill("tcp://127.0.0.1:1")
    form.get_by_text("More").click()
    form.get_by_label("Hours").fill("half past nine")
    form.get_by_role("button", name="Save").click()
    expect(form.get_by_role("alert")).not_to_be_empty()
    form.get_by_label("Hours").fill("22:00-06:00")
    form.get_by_role("button", name="Save").click()
    told(page, "Forwarder night saved.")
    page.get_by_role("button", name="Delete: night").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete the forwarder").click()
    told(page, "Forwarder night deleted.")
    assert SECRET not in page.content()


def test_a_message_is_tried_against_the_rules_and_against_a_new_one(house: Dashboard, visit: Visit) -> None:
    page = visit(f"{house.url}/rules", allow=REFUSED)
    result = page.locator("#result")
    page.get_by_label("Topic").fill("sensors/humidity/bath")
    page.get_by_label("Payload").fill('{"value": 61}')
    page.get_by_role("button", name="Try", exact=True).click()
    expect(result).to_contain_text("Enqueued in readings under the name humidity")
    expect(result).to_contain_text('"room": "bath"')
    page.get_by_label("Topic").fill("weather/now")
    expect(result).to_contain_text("No rule takes this topic.")
    page.get_by_label("Try a new rule").check()
    page.get_by_label("The rule").fill('topic: weather/{when}\nqueue: "outside"\npriority: 7')
    expect(result).to_contain_text("Enqueued in outside")
    page.get_by_label("The rule").fill("topic: weather/{when}\nqueu: outside")
    expect(page.locator("#messages")).to_contain_text("queu")
    assert house.ask("Count", queue="outside")["count"] == 0


def make_token(page: Page, name: str, scope: str) -> str:
    """By the form; the token as it is shown."""
    page.get_by_role("button", name="New token").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Name").fill(name)
    form.get_by_label(scope).check()
    form.get_by_role("button", name="Make the token").click()
    return page.locator("#token").inner_text()


def test_a_token_is_shown_once_and_revoked(house: Dashboard, visit: Visit) -> None:
    page = visit(f"{house.url}/settings")
    token = make_token(page, "landlord", "admin")
    assert token.startswith("hq_")
    page.goto(f"{house.url}/settings")  # from now on nobody comes in without one
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    other = make_token(page, "kitchen-tablet", "enqueue")
    page.get_by_role("button", name="Close").click()
    row = page.get_by_role("row", name="kitchen-tablet")
    expect(row).to_be_visible()
    assert token not in page.content()
    assert other not in page.content()
    row.get_by_role("button", name="Revoke: kitchen-tablet").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke", exact=True).click()
    told(page, "Token kitchen-tablet revoked.")
    expect(row).to_have_count(0)
    expect(page.get_by_role("row", name="landlord")).to_be_visible()


def test_who_revokes_its_own_token_is_signed_out(house: Dashboard, visit: Visit) -> None:
    page = visit(f"{house.url}/settings")
    admin, mine = make_token(page, "landlord", "admin"), "laptop"
    with Asker(house.process.port, admin) as ask:
        token = ask("TokenAdd", name=mine, scopes=["admin"])["token"]
    page.goto(f"{house.url}/settings")
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("row", name=mine).get_by_role("button", name=f"Revoke: {mine}").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke", exact=True).click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    told(page, "Token laptop revoked.")
    page.get_by_label("Token").fill(admin)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")


def test_a_backup_is_written_and_the_file_is_checked(house: Dashboard, visit: Visit) -> None:
    page = visit(f"{house.url}/settings")
    page.get_by_role("button", name="Back up now").click()
    path = Path(page.locator("#path").inner_text())
    assert path.stat().st_size > 0
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("region", name="Backups").get_by_role("row", name=path.name)).to_be_visible()
    page.get_by_role("button", name="Check the job file").click()
    expect(page.get_by_role("dialog").get_by_role("heading")).to_have_text("The job file is in order")


def test_the_configuration_is_shown_without_its_secrets(house: Dashboard, visit: Visit) -> None:
    page = visit(f"{house.url}/settings")
    row = page.get_by_role("row", name="forwarders[0].to tcp://127.0.0.1:1").first
    expect(row).to_contain_text("hubqueue.yaml")
    assert SECRET not in page.content()


def test_pages_speak_german(house: Dashboard, visit: Visit) -> None:
    page = visit(f"{house.url}/dead", **GERMAN)
    expect(page.get_by_role("heading", level=1)).to_have_text("Unzustellbare Aufträge")
    page.get_by_role("button", name="Alle wiederholen").click()
    expect(page.get_by_role("dialog").get_by_role("heading")).to_have_text("8 Aufträge wiederholen?")


def test_a_dialog_is_worked_by_keyboard_alone(house: Dashboard, visit: Visit) -> None:
    page = visit(f"{house.url}/queues/mail")
    page.get_by_role("button", name="Delete what is queued").focus()
    page.keyboard.press("Space")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="Delete what is queued")).to_be_focused()


@pytest.mark.parametrize("look", LOOKS)
def test_pages_are_good_for_everybody_and_fit(house: Dashboard, visit: Visit, look: str, tmp_path: Path) -> None:
    page = visit(f"{house.url}/queues/mail", **LOOKS[look])
    jobs = [f"/job?id={ids(house)[name]}" for name in ("active", "dead", "parent", "completed")]
    for number, path in enumerate((*PAGES, *jobs)):
        page.goto(house.url + path)
        page.screenshot(path=tmp_path / f"{look}-{number}.png", full_page=True)
        assert serious(page, rules=COLOURS if look == "dark" else ()) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} scrolls sideways"


@pytest.mark.parametrize("look", LOOKS)
def test_dialogs_are_good_for_everybody(house: Dashboard, visit: Visit, look: str) -> None:
    page = visit(f"{house.url}/queues/mail", **LOOKS[look])
    for path, button in (
        ("/queues/mail", "Enqueue a job"),
        ("/queues/mail", "Delete the queue"),
        ("/schedules", "New schedule"),
        ("/forwarders", "New forwarder"),
        ("/settings", "New token"),
    ):
        page.goto(house.url + path)
        page.get_by_role("button", name=button).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        page.get_by_role("dialog").evaluate("dialog => Promise.all(dialog.getAnimations().map(one => one.finished))")
        assert serious(page, rules=COLOURS if look == "dark" else ()) == [], button


def test_a_queue_is_worked_on_a_phone(house: Dashboard, visit: Visit) -> None:
    page = visit(f"{house.url}/queues/mail", **PHONE)
    page.locator("tbody input[type=checkbox]").first.check()
    page.get_by_role("button", name="Delete queued").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete 1 job").click()
    told(page, "1 job deleted.")
