"""The first page: with nothing, with many queues, sorted, searched, as a piece, and its history."""

from __future__ import annotations

import re

import pytest

from hubqueue.client.local import LocalHub
from hubqueue.model.job import NewJob
from support.pages import Pages


async def fill(hub: LocalHub, **counts: int) -> None:
    for queue, count in counts.items():
        await hub.enqueue(queue, [NewJob() for _ in range(count)])


def rows(html: str) -> list[str]:
    return re.findall(r'<th scope="row"><a [^>]*>([^<]+)</a>', html)


async def test_a_fresh_hub_is_well_and_says_what_comes_first(pages: Pages) -> None:
    html = await pages.html("/")
    assert "All is well." in html
    assert "No queues yet" in html
    assert "<title>Overview · hubqueue</title>" in html


async def test_queues_are_listed_by_name_and_lead_to_their_pages(pages: Pages) -> None:
    await fill(pages.hub, mail=2, alarm=30, camera=1)
    html = await pages.html("/")
    assert rows(html) == ["alarm", "camera", "mail"]
    assert 'href="/queues/alarm"' in html


async def test_a_click_on_a_column_puts_the_most_first_and_a_second_the_least(pages: Pages) -> None:
    await fill(pages.hub, mail=2, alarm=30, camera=1)
    html = await pages.html("/?sort=-waiting")
    assert rows(html) == ["alarm", "mail", "camera"]
    assert 'aria-sort="descending"' in html
    assert 'href="/?sort=waiting"' in html
    assert rows(await pages.html("/?sort=waiting")) == ["camera", "mail", "alarm"]
    assert rows(await pages.html("/?sort=-name")) == ["mail", "camera", "alarm"]


async def test_a_sort_that_there_is_not_is_by_name(pages: Pages) -> None:
    await fill(pages.hub, b=1, a=1)
    assert rows(await pages.html("/?sort=-paused'")) == ["a", "b"]


async def test_the_search_finds_queues_by_a_part_of_their_name(pages: Pages) -> None:
    await fill(pages.hub, mail=2, Email=1, camera=1)
    assert rows(await pages.html("/?q=MAIL")) == ["Email", "mail"]
    assert "No queue is named like “&lt;b&gt;”" in await pages.html("/?q=<b>")


async def test_of_many_queues_the_first_are_shown_and_the_search_finds_the_others(pages: Pages) -> None:
    await fill(pages.hub, **{f"q{number:04}": 1 for number in range(1100)})
    html = await pages.html("/")
    assert len(rows(html)) == 100
    assert "and 1,000 more queues: search to see them" in html
    assert rows(await pages.html("/?q=q1099")) == ["q1099"]


async def test_the_piece_for_htmx_has_the_title_and_no_frame(pages: Pages) -> None:
    await fill(pages.hub, mail=1)
    html = await pages.html("/?sort=-waiting", swap=True)
    assert html.lstrip().startswith("<title>Overview · hubqueue</title>")
    assert 'id="live"' in html
    assert 'hx-get="/?sort=-waiting"' in html
    assert "<html" not in html


async def test_the_number_of_alerts_stands_in_the_title(pages: Pages) -> None:
    await fill(pages.hub, mail=1)
    await pages.hub.pause("mail")
    html = await pages.html("/")
    assert "<title>(1) Overview · hubqueue</title>" in html
    assert "Queue mail is paused: 1 job waits." in html


async def test_it_speaks_german(pages: Pages) -> None:
    html = await pages.html("/", **{"Accept-Language": "de"})
    assert "Alles in Ordnung." in html
    assert "Noch keine Warteschlangen" in html


@pytest.mark.parametrize("span", ["15m", "1h", "6h", "24h", "", "1y"])
async def test_the_history_of_a_span_is_there_for_the_charts(pages: Pages, span: str) -> None:
    async with pages.client.get(f"{pages.url}/history.json?span={span}") as answer:
        assert answer.status == 200
        history = await answer.json()
    series = re.findall(r'data-series="(\w+)"', await pages.html("/"))
    assert set(series) == {
        *("enqueued", "completed", "failed", "waiting", "oldestMs"),
        *("waitP50Ms", "waitP95Ms", "runP50Ms", "runP95Ms", "lagMs"),
    }
    assert {name: len(history["series"][name]) for name in series} == dict.fromkeys(series, len(history["times"]))
