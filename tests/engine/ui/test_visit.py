"""What every page has: language, colours, base path, who may see it, and errors in the same dress."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from hubqueue.hub.hub import Hub
from hubqueue.ui.render import environment
from support.pages import Pages, pages_of

TOKEN = "a-token-that-nobody-guesses"
NOTHING = "/nothing-is-here"  # an error page: the same frame as every other, and it asks the hub nothing


@pytest.fixture
async def locked(hub: Hub) -> AsyncIterator[Pages]:
    async with pages_of(hub, tokens=(TOKEN,)) as pages:
        yield pages


async def test_an_unknown_page_says_so_in_the_same_dress(pages: Pages) -> None:
    html = await pages.html(NOTHING, status=404)
    assert "There is nothing here" in html
    assert 'aria-label="Pages"' in html
    assert 'href="#main"' in html


async def test_a_wrong_method_says_which_one_is_right(pages: Pages) -> None:
    async with pages.client.delete(pages.url + "/login") as answer:
        assert answer.status == 405
        assert "GET" in answer.headers["Allow"]
        assert "That cannot be done here" in await answer.text()


async def test_the_browsers_language_is_spoken(pages: Pages) -> None:
    html = await pages.html(NOTHING, status=404, **{"Accept-Language": "de-DE,de;q=0.9,en;q=0.5"})
    assert '<html lang="de"' in html
    assert "Hier ist nichts" in html


async def test_a_chosen_language_is_kept_and_leads_back(pages: Pages) -> None:
    async with pages.client.get(f"{pages.url}{NOTHING}?lang=de&q=x", allow_redirects=False) as answer:
        assert answer.status == 303
        assert answer.headers["Location"] == f"{NOTHING}?q=x"
    assert '<html lang="de"' in await pages.html(NOTHING, status=404)


async def test_chosen_colours_are_kept(pages: Pages) -> None:
    await pages.html(f"{NOTHING}?theme=dark", status=404)
    assert 'data-theme="dark"' in await pages.html(NOTHING, status=404)


@pytest.mark.parametrize("choice", ["lang=xx", "theme=pink", "lang=%3Cb%3E"])
async def test_a_choice_that_there_is_not_changes_nothing(pages: Pages, choice: str) -> None:
    html = await pages.html(f"{NOTHING}?{choice}", status=404)
    assert '<html lang="en" data-theme="auto">' in html


async def test_a_stranger_is_led_to_the_login_and_back(locked: Pages) -> None:
    async with locked.client.get(f"{locked.url}/queues/mail?q=1", allow_redirects=False) as answer:
        assert answer.status == 303
        assert answer.headers["Location"] == "/login?next=%2Fqueues%2Fmail%3Fq%3D1"
    html = await locked.html("/login?next=%2Fqueues%2Fmail%3Fq%3D1")
    assert 'name="next" value="/queues/mail?q=1"' in html
    assert 'aria-label="Pages"' not in html


async def test_a_stranger_learns_nothing_about_what_there_is(locked: Pages) -> None:
    async with locked.client.get(locked.url + NOTHING, allow_redirects=False) as answer:
        assert answer.status == 303


async def test_a_piece_for_a_stranger_leads_the_whole_page_to_the_login(locked: Pages) -> None:
    async with locked.client.get(locked.url + "/", headers={"HX-Request": "true"}) as answer:
        assert answer.status == 401
        assert answer.headers["HX-Redirect"] == "/login"


async def test_a_wrong_token_is_told_and_a_right_one_lets_in(locked: Pages) -> None:
    form = {"token": "wrong", "next": NOTHING}
    async with locked.client.post(locked.url + "/login", data=form) as answer:
        assert "This token is not valid." in await answer.text()
    async with locked.client.post(locked.url + "/login", data={**form, "token": TOKEN}) as answer:
        assert answer.status == 404
        assert "There is nothing here" in await answer.text()


async def test_whoever_is_in_does_not_see_the_login(pages: Pages) -> None:
    async with pages.client.get(pages.url + "/login", allow_redirects=False) as answer:
        assert answer.status == 303
        assert answer.headers["Location"] == "/"


async def test_behind_ingress_every_address_starts_with_its_path(hub: Hub) -> None:
    base = "/api/hassio_ingress/abc"
    async with pages_of(hub, trusted_proxy="127.0.0.1") as pages:
        html = await pages.html(NOTHING, status=404, **{"X-Ingress-Path": base})
        addresses = [part.split('"', 1)[0] for part in html.replace("src=", "href=").split('href="')[1:]]
        assert len(addresses) > 10
        assert [address for address in addresses if not address.startswith((base + "/", "#"))] == []
        headers = {"X-Ingress-Path": base}
        async with pages.client.get(f"{pages.url}/?lang=de", headers=headers, allow_redirects=False) as answer:
            assert answer.headers["Location"] == base + "/"
            assert f"Path={base}/" in answer.headers["Set-Cookie"]


async def test_an_error_of_a_piece_is_one_line_of_text(pages: Pages) -> None:
    async with pages.client.get(pages.url + NOTHING, headers={"HX-Request": "true"}) as answer:
        assert answer.status == 404
        assert answer.content_type == "text/plain"
        assert await answer.text() == "There is nothing here"


async def test_the_first_visitor_makes_nobody_wait(pages: Pages) -> None:
    environment.cache_clear()
    visit = asyncio.create_task(pages.html("/"))
    turns = 0
    while not visit.done():
        await asyncio.sleep(0.005)  # what the hub does meanwhile
        turns += 1
    assert "Overview" in await visit
    assert turns > 10  # while the templates were compiled, which takes a fifth of a second
