"""Pages of queues, jobs, dead letters, schedules and settings on a real hub: what they show, whatever is in it."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hubqueue.client.local import LocalHub
from hubqueue.commands.table import BY_NAME
from hubqueue.hub.verbs import schedule
from hubqueue.hub.verbs.queues import bury_new
from hubqueue.ingest.unread import unread_job
from hubqueue.model.decode import Payload
from hubqueue.model.job import ENDLESS, NewJob, Options
from hubqueue.model.outcome import Complete, Retry, Settlement
from hubqueue.model.schedule import Schedule
from hubqueue.model.state import State
from hubqueue.mqtt.envelope import kept as kept_of
from hubqueue.mqtt.reroute import RulesAgain
from hubqueue.mqtt.rules import Rule
from hubqueue.mqttclient.message import Message
from hubqueue.store.queues import EXPIRED
from hubqueue.ui.bulkactions import BULK_ACTIONS
from hubqueue.ui.job import CHANGES
from hubqueue.wire.jobmap import JobMap
from support.furniture import BROKEN, ODD, ODD_ID
from support.pages import Pages, pages_of
from support.waiting import until

QUEUE = ("/queues/q", "/queues/q/enqueue", "/queues/q/limits", "/queues/q/sweep/drain")
OTHERS = ("/dead", "/schedules", "/schedules/form", "/forwarders/form", "/settings", "/settings/tokens/form")


async def post(pages: Pages, path: str, **form: Any) -> tuple[int, str, dict[str, Any]]:
    """As htmx posts a form: status, text, and what the page is told."""
    async with pages.client.post(pages.url + path, data=form, headers={"HX-Request": "true"}) as answer:
        told = json.loads(answer.headers.get("HX-Trigger", "{}")).get("hubqueue:message", {})
        return answer.status, await answer.text(), told


@pytest.mark.parametrize("path", [*QUEUE, *OTHERS])
async def test_pages_of_an_empty_hub(pages: Pages, path: str) -> None:
    assert "<h1" in await pages.html(path)
    await pages.html(path, swap=True)


@pytest.mark.parametrize(
    "path",
    [
        "/queues/no%20queue",
        "/job",
        "/job?id=nobody",
        "/job/change/colour?id=x",
        "/job/do/dance?id=x",
        "/dead/group",
        "/dead?queue=no%20queue",
        "/queues/q/sweep/dust",
        "/schedules/form?name=nobody",
        "/schedules/delete?name=nobody",
    ],
)
async def test_what_is_not_there_is_told_so(pages: Pages, path: str) -> None:
    assert "error-page" in await pages.html(path, status=404)


@pytest.mark.parametrize("name", [*ODD, *BROKEN])
async def test_an_odd_payload_breaks_no_page(pages: Pages, name: str) -> None:
    (id,) = await pages.hub.enqueue("q", [NewJob(name=name, data=(ODD | BROKEN)[name])])
    text = await pages.html(f"/job?id={id}")
    assert "<script>alert" not in text
    assert name in await pages.html("/queues/q")
    changeable = name in ("null", "markup")
    assert ("change/data" in text) is changeable, "what JSON cannot say exactly must not be put back"


async def test_odd_payloads_and_broken_ones_are_exported_line_by_line(pages: Pages) -> None:
    payloads = ODD | BROKEN
    jobs = [NewJob(name=name, data=data, max_attempts=1) for name, data in payloads.items()]
    ids = await pages.hub.enqueue("q", jobs)
    for id in ids:
        status, _, _ = await post(pages, f"/job/do/discard?id={id}")
        assert status == 204
    lines = (await pages.html("/dead/export?queue=q")).splitlines()
    assert [json.loads(line)["name"] for line in lines] == list(payloads)


async def test_a_job_is_found_under_any_id(pages: Pages) -> None:
    await pages.hub.enqueue("q", [NewJob(name="parcel", custom_id=ODD_ID)])
    async with pages.client.get(pages.url + "/job", params={"id": ODD_ID}) as answer:
        assert answer.status == 200
        text = await answer.text()
    assert "<b>" not in text
    status, _, told = await post(pages, "/job/do/cancel?id=shelf%2F17%3Fa%3Db%26c%3D%252F%23top%20%22%27%3Cb%3E")
    assert status == 204
    assert (await pages.hub.counts("q")).waiting == 0
    assert told == {}  # on the next page: this one is gone


async def test_the_number_in_the_question_is_that_of_the_deed(pages: Pages) -> None:
    await pages.hub.enqueue("q", [NewJob(delay_ms=60_000) for _ in range(7)] + [NewJob()])
    _, question, _ = await post(pages, "/queues/q/ask/promote", of="all")
    assert "Run 7 jobs now?" in question
    status, _, told = await post(pages, "/queues/q/do/promote", of="all")
    assert (status, told["text"]) == (204, "7 jobs run now.")
    assert (await pages.hub.counts("q")).waiting == 8


async def test_a_search_by_text_touches_only_what_it_finds(pages: Pages) -> None:
    jobs = [NewJob(name="a", data=b"\xa3abc"), NewJob(name="b", data=b"\xa3xyz"), NewJob(name="a", data=b"\xa3xyz")]
    await pages.hub.enqueue("q", jobs)
    _, question, _ = await post(pages, "/queues/q/ask/cancel", of="all", name="a", text="xyz")
    assert "Delete 1 job?" in question
    await post(pages, "/queues/q/do/cancel", of="all", name="a", text="xyz")
    page = await pages.hub.list_jobs("q")
    assert [(job.name, job.data) for job in page.jobs] == [("a", b"\xa3abc"), ("b", b"\xa3xyz")]


async def test_a_search_by_tags_shows_and_touches_only_what_carries_all_of_them(pages: Pages) -> None:
    marked = {"both": ("a", "b c"), "one": ("a",), "none": ()}
    await pages.hub.enqueue("q", [NewJob(name=name, options=Options(tags=tags)) for name, tags in marked.items()])
    html = await pages.html("/queues/q?tags=b+c%2C+a%2C")
    assert [name for name in marked if f">{name}</a>" in html] == ["both"]
    assert 'name="tags" type="search" value="b c, a,"' in html
    assert "state=waiting&amp;tags=b" in html  # the tiles keep it
    _, question, _ = await post(pages, "/queues/q/ask/cancel", of="all", state="waiting", tags="a")
    assert "Delete 2 jobs?" in question
    await post(pages, "/queues/q/do/cancel", of="all", state="waiting", tags="a")
    assert [job.name for job in (await pages.hub.list_jobs("q")).jobs] == ["none"]


async def test_how_far_a_job_is_stays_on_its_page_until_it_is_completed(pages: Pages) -> None:
    (id,) = await pages.hub.enqueue("q", [NewJob(max_attempts=3)])
    (leased,) = await pages.hub.lease("q", owner="w")
    assert "<progress" in await pages.html(f"/job?id={id}")
    await pages.hub.progress(id, leased.token, 50, "light.garden is not available")
    await pages.hub.settle([Settlement(id, leased.token, Retry(600, "no route"))])
    text = await pages.html(f"/job?id={id}")
    assert "light.garden is not available" in text
    assert 'value="50' in text
    await pages.hub.promote(id)
    (leased,) = await pages.hub.lease("q", owner="w")
    await pages.hub.settle([Settlement(id, leased.token, Complete())])
    assert "<progress" not in await pages.html(f"/job?id={id}")


async def test_a_job_is_snoozed_from_its_page(pages: Pages) -> None:
    (id,) = await pages.hub.enqueue("q", [NewJob()])
    assert "Snooze" in await pages.html(f"/job?id={id}")
    assert "no attempt is counted" in await pages.html(f"/job/change/snooze?id={id}")
    status, _, told = await post(pages, f"/job/change/snooze?id={id}", delay="10", delay_unit="min")
    assert (status, told["text"]) == (204, "Snoozed.")
    job = await pages.hub.get(id)
    assert (job.state, job.attempts, job.run_at_ms - job.created_at_ms >= 600_000) == (State.DELAYED, 0, True)


async def test_nothing_ticked_is_told_and_nothing_done(pages: Pages) -> None:
    await pages.hub.enqueue("q", [NewJob()])
    status, text, _ = await post(pages, "/queues/q/ask/cancel")
    assert (status, "No job is ticked" in text) == (422, True)
    await post(pages, "/queues/q/do/cancel")
    assert (await pages.hub.counts("q")).waiting == 1


async def test_a_job_that_went_on_meanwhile_is_left_alone_and_counted(pages: Pages) -> None:
    first, second = await pages.hub.enqueue("q", [NewJob(), NewJob()])
    await pages.hub.lease("q", owner="w")
    form = [("id", first), ("id", second)]
    headers = {"HX-Request": "true"}
    async with pages.client.post(pages.url + "/queues/q/do/cancel", data=form, headers=headers) as answer:
        told = json.loads(answer.headers["HX-Trigger"])["hubqueue:message"]
    assert told == {"text": "Done for 1. 1 had gone on meanwhile and stay as they are.", "kind": "warn"}


async def test_a_queue_that_cannot_be_retried_stops_no_other(pages: Pages) -> None:
    for queue in ("_unroutable", "q"):  # there are no rules in this hub
        await pages.hub.run(partial(bury_new, queue=queue, dead=[(NewJob(), "x", "y")]))
    status, _, told = await post(pages, "/dead/do/retry", of="all")
    assert (status, told["kind"]) == (204, "warn")
    assert [(await pages.hub.counts(queue)).failed for queue in ("_unroutable", "q")] == [1, 0]


async def test_messages_that_became_no_job_are_routed_again_and_counted(tmp_path: Path) -> None:
    rules = [Rule(topic="s/{room}", queue="{room}", payload=Payload("number"))]
    router: Any = RulesAgain(rules)
    async with await LocalHub.open(tmp_path / "hub.db", router=router) as hub, pages_of(hub) as pages:
        kept = [unread_job(kept_of(Message(f"s/{room}", b"21"), 0)) for room in ("hall", "_x", "bath")]
        ids = await hub.run(lambda tx: bury_new(tx, "_unroutable", [(job, "no_rule", "no rule") for job in kept]))
        form = {"queue": "_unroutable", "of": "all"}
        _, _, told = await post(pages, "/dead/do/retry", **form)
        assert told["text"].startswith("2 routed, 0 left out by rules, 1 still unroutable. queue name '_x' is internal")
        assert told["kind"] == "warn"
        _, _, told = await post(pages, "/dead/do/retry", queue="_unroutable", id=ids[1])
        assert told["text"].startswith("0 routed, 0 left out by rules, 1 still unroutable.")
        assert (await hub.counts("hall")).waiting == (await hub.counts("bath")).waiting == 1


@pytest.mark.parametrize(
    ("form", "wrong"),
    [
        ({"data": "{"}, "not valid JSON"),
        ({"priority": "high"}, "whole number"),
        ({"delay": "soon"}, "not a number"),
        ({"delay": "1e300"}, "too large"),
        ({"attempts": "0"}, "attempts must be at least 1"),
    ],
)
async def test_a_wrong_field_is_named(pages: Pages, form: dict[str, str], wrong: str) -> None:
    status, text, _ = await post(pages, "/queues/q/enqueue", **form)
    assert (status, wrong in text) == (422, True), text
    assert (await pages.hub.counts("q")).waiting == 0


async def test_cron_patterns_are_explained_in_their_zone(pages: Pages) -> None:
    fires = await pages.html("/schedules/explain?cron=0+7+*+*+*&timezone=Asia/Tokyo", swap=True)
    assert fires.count("07:00:00") == 5
    assert "JST" in fires
    assert "unknown time zone" in await pages.html("/schedules/explain?cron=0+7+*+*+*&timezone=Moon", swap=True)
    assert "field-error" in await pages.html("/schedules/explain?cron=often", swap=True)


async def test_data_of_a_schedule_that_json_cannot_say_survives_a_change(pages: Pages) -> None:
    odd = ODD["bytes"]
    await pages.hub.upsert_schedule(Schedule(key="s", queue="q", every_ms=60_000, data=odd))
    form = await pages.html("/schedules/form?name=s")
    assert 'name="keep_data"' in form
    put = {"known": "1", "key": "s", "queue": "q", "kind": "every", "every": "5", "every_unit": "min", "keep_data": "1"}
    status, text, _ = await post(pages, "/schedules/put", **put)
    assert status == 204, text
    (found,) = await pages.hub.run(schedule.every)
    assert (found.data, found.every_ms) == (odd, 300_000)


async def test_how_long_a_job_is_tried_is_shown_and_why_it_ended(pages: Pages, hub: LocalHub) -> None:
    form = {"name": "say", "data": '"hi"', "keep_trying": "2", "keep_trying_unit": "h", "attempts": "", "priority": "0"}
    status, _, told = await post(pages, "/queues/q/enqueue", **form)
    assert status == 204, told
    (kept,) = (await hub.list_jobs("q")).jobs
    assert (kept.options.keep_trying_ms, kept.max_attempts) == (7_200_000, ENDLESS)
    shown = await pages.html(f"/job?id={kept.id}")
    assert "Is kept trying for" in shown
    assert "2 h" in shown
    assert ">Until<" in shown
    assert str(ENDLESS) not in shown
    assert str(ENDLESS) not in await pages.html("/queues/q")
    late = Options(keep_trying_ms=1)
    (dead,) = await hub.enqueue("q", [NewJob(name="late", created_at_ms=1, max_attempts=ENDLESS, options=late)])
    await hub.enqueue("q", [NewJob(created_at_ms=1, options=Options(ttl_ms=1))])
    row = hub.store.queues.by_name["q"]
    await until(lambda: row.n[State.FAILED] == 1 and row.n[EXPIRED] == 1)
    page = await pages.html(f"/job?id={dead}")
    assert "It was not done in its time." in page
    assert "it was never tried" in page
    assert "1 job expired" in await pages.html("/queues/q")
    assert ">expired<" in await pages.html("/")


async def test_a_schedule_that_is_kept_trying_keeps_that_in_its_form(pages: Pages, hub: LocalHub) -> None:
    form = {
        "key": "s",
        "queue": "q",
        "kind": "every",
        "every": "1",
        "every_unit": "h",
        "keep_trying": "90",
        "keep_trying_unit": "s",
    }
    status, _, told = await post(pages, "/schedules/put", **form, priority="0", attempts="", data="")
    assert status == 204, told
    shown = await pages.html("/schedules/form?name=s")
    assert str(ENDLESS) not in shown
    assert 'name="keep_trying" inputmode="decimal" value="90"' in shown
    status, _, told = await post(pages, "/schedules/put", **form, known="1", priority="5", attempts="", data="")
    assert status == 204, told
    (stored,) = await hub.run(schedule.every)
    assert stored.options is not None
    assert (stored.priority, stored.options.keep_trying_ms, stored.max_attempts) == (5, 90_000, ENDLESS)


async def test_a_new_schedule_never_replaces_one(pages: Pages) -> None:
    await pages.hub.upsert_schedule(Schedule(key="s", queue="q", every_ms=60_000))
    status, text, _ = await post(pages, "/schedules/put", key="s", queue="other", kind="cron", cron="0 7 * * *")
    assert (status, "already" in text) == (422, True)
    (found,) = await pages.hub.run(schedule.every)
    assert found.queue == "q"


async def test_pages_say_which_scope_the_table_of_commands_wants() -> None:
    for deed in BULK_ACTIONS.values():
        for state in deed.states:
            command, _ = deed.command(_job(state))
            assert BY_NAME[command].row.needs == (deed.scope,), (deed.name, command)
        for command in deed.whole.values():
            assert BY_NAME[command].row.needs == (deed.scope,), (deed.name, command)
    named = {"data": "Update", "priority": "ChangePriority", "snooze": "Snooze"}
    assert {name: (scope,) for name, (_, scope) in CHANGES.items()} == {
        name: BY_NAME[command].row.needs for name, command in named.items()
    }


def _job(state: str) -> JobMap:
    job = JobMap("i", "q", "n", b"", 0, 0, 0, None, None, 0, 3, 0, 0, 0, 0, None, 1, ())  # type: ignore[arg-type]
    job.state = state
    return job
