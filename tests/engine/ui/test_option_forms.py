"""Forms of jobs and schedules: every option of the table has its field, and what is shown is stored as it was."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from hubqueue.client.local import LocalHub
from hubqueue.hub.verbs import schedule
from hubqueue.model.job import Options
from hubqueue.model.option import Door
from hubqueue.model.options import new_job, options_at
from hubqueue.model.schedule import Schedule
from hubqueue.ui import joboptions
from support.job_options import SAMPLES
from support.pages import Pages


class Form(HTMLParser):
    """What a browser would send of a form as it is shown, and which of its fields have a label."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.sent: dict[str, str] = {}
        self.names: set[str] = set()
        self.labelled: set[str] = set()
        self._ids: dict[str, str] = {}
        self._choosing: str | None = None
        self._text: str | None = None
        self._in_label = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name = given.get("name", "")
        if tag == "label":
            self.labelled.add(given.get("for", ""))
            self._in_label = True
        if tag in ("input", "select", "textarea") and name:
            self.names.add(name)
            self._ids[name] = given.get("id", "")
            if self._in_label or "aria-label" in given:
                self._ids[name] = name
                self.labelled.add(name)
        if tag == "input" and name and (given.get("type") not in ("checkbox", "radio") or "checked" in given):
            self.sent[name] = given.get("value", "")
        if tag == "select":
            self._choosing = name
        if tag == "option" and self._choosing and ("selected" in given or self._choosing not in self.sent):
            self.sent[self._choosing] = given.get("value", "")
        if tag == "textarea":
            self._text, self.sent[name] = name, ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._choosing = None
        if tag == "textarea":
            self._text = None
        if tag == "label":
            self._in_label = False

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self.sent[self._text] += data

    def unlabelled(self, names: set[str]) -> set[str]:
        return {name for name in names if self._ids[name] not in self.labelled}


async def post(pages: Pages, path: str, form: dict[str, str]) -> None:
    async with pages.client.post(pages.url + path, data=form, headers={"HX-Request": "true"}) as answer:
        assert answer.status == 204, await answer.text()


@pytest.mark.parametrize(("path", "schedule"), [("/queues/q/enqueue", False), ("/schedules/form", True)])
async def test_every_option_has_a_field_with_a_label(pages: Pages, path: str, schedule: bool) -> None:
    form = Form(await pages.html(path))
    names = {field.name for field in joboptions.fields({}, schedule=schedule)}
    assert names <= form.names
    assert form.unlabelled(names) == set()


async def test_a_form_that_is_left_as_it_is_makes_a_plain_job(pages: Pages, hub: LocalHub) -> None:
    await post(pages, "/queues/q/enqueue", Form(await pages.html("/queues/q/enqueue")).sent)
    (job,) = (await hub.list_jobs("q")).jobs
    assert (job.options, job.priority, job.max_attempts) == (Options(), 0, 3)


ALL = {option.name: SAMPLES[option.name] for option in options_at(Door.SCHEDULE)}


@pytest.mark.parametrize("name", [*ALL, "all"])
async def test_a_schedule_that_is_saved_as_it_is_shown_stays_as_it_was(pages: Pages, hub: LocalHub, name: str) -> None:
    given = ALL if name == "all" else {name: ALL[name]} | ({"group": ALL["group"]} if name == "group_max_size" else {})
    job = new_job("n", None, given)
    options = job.options or Options()
    numbers = {"priority": job.priority, "delay_ms": job.delay_ms, "max_attempts": job.max_attempts}
    await hub.upsert_schedule(Schedule(key="s", queue="q", every_ms=90_000, options=options, **numbers))
    before = await hub.run(schedule.every)
    await post(pages, "/schedules/put", Form(await pages.html("/schedules/form?name=s")).sent)
    assert await hub.run(schedule.every) == before
