"""Who gets in by HTTP: tokens, the login form and its cookie, other sites, borrowed names, ingress, and the headers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from hubqueue.app import App
from hubqueue.config.settings import GivenToken, Ingress
from hubqueue.model.access import Grant, Scope
from support.http import app_of, base_of, browser
from support.waiting import in_time, soon, until

ADMIN, READER = "admin-secret", "reader-secret"
TOKENS = (ADMIN, GivenToken(READER, Grant("reader", frozenset({Scope.READ}))))
PAGES = ("/", "/login", "/nowhere", "/api/v1/queues", "/api/v1/nothing", "/static/nothing.js", "/health")


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[App]:
    async with app_of(tmp_path, tokens=TOKENS) as app:
        yield app


@pytest.fixture
async def unguarded(tmp_path: Path) -> AsyncIterator[App]:
    async with app_of(tmp_path) as app:
        yield app


async def log_in(session: aiohttp.ClientSession, token: str = ADMIN) -> str:
    """Log in; the token that its forms must send along."""
    async with session.post("/login", data={"token": token, "next": "/"}, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/")
    async with session.get("/") as answer:
        found = re.search(r'name="csrf-token" content="([^"]+)"', await answer.text())
        assert found is not None
        return found.group(1)


# tokens


async def test_a_stranger_is_sent_to_the_login_page_and_programs_get_a_problem(guarded: App) -> None:
    async with browser(base_of(guarded)) as session:
        async with session.get("/", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/login")
        async with session.get("/api/v1/queues") as answer:
            assert answer.status == 401
            assert (await answer.json(content_type=None))["code"] == "not_authenticated"


async def test_a_bearer_token_is_good_for_its_scopes(guarded: App) -> None:
    async with browser(base_of(guarded), {"Authorization": f"Bearer {READER}"}) as session:
        async with session.get("/api/v1/queues") as answer:
            assert answer.status == 200
        async with session.post("/api/v1/queues/q/jobs", json={"name": "n", "data": 1}) as answer:
            problem = await answer.json(content_type=None)
            assert (answer.status, problem["code"]) == (403, "forbidden")
            assert "reader" in problem["detail"]
            assert "enqueue" in problem["detail"]


async def test_a_wrong_token_is_refused_and_stands_in_no_log(guarded: App, caplog: pytest.LogCaptureFixture) -> None:
    async with (
        browser(base_of(guarded), {"Authorization": "Bearer guessed-secret"}) as session,
        session.get("/api/v1/queues") as answer,
    ):
        assert answer.status == 401
        assert "guessed-secret" not in await answer.text()
    assert "token refused" in caplog.text
    assert "guessed-secret" not in caplog.text


async def test_many_wrong_tokens_at_once_are_not_looked_at(guarded: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hubqueue.commands.auth.MAX_HELD", 3)
    async with browser(base_of(guarded), {"Authorization": "Bearer wrong"}) as session:

        async def status() -> int:
            async with session.get("/api/v1/queues") as answer:
                return answer.status

        statuses = await asyncio.gather(*(status() for _ in range(8)))
    assert sorted(statuses) == [401] * 3 + [429] * 5


async def test_wrong_tokens_by_http_slow_the_same_address_down_on_tcp(guarded: App) -> None:
    async with browser(base_of(guarded), {"Authorization": "Bearer wrong"}) as session:
        for _ in range(3):
            async with session.get("/api/v1/queues") as answer:
                assert answer.status == 401
    context = guarded.tcp._context
    assert context.authenticator.failed("127.0.0.1") >= 0.8


# the login


async def test_who_logs_in_gets_a_cookie_that_scripts_cannot_read(guarded: App) -> None:
    async with (
        browser(base_of(guarded)) as session,
        session.post("/login", data={"token": ADMIN}, allow_redirects=False) as answer,
    ):
        cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert ADMIN not in cookie


async def test_a_wrong_token_leads_back_to_the_form(guarded: App) -> None:
    async with browser(base_of(guarded)) as session:
        async with session.post("/login", data={"token": "wrong", "next": "/queues?a=b"}) as answer:
            text = await answer.text()
            assert answer.status == 401
            assert 'value="/queues?a=b"' in text
        async with session.get("/api/v1/queues") as answer:
            assert answer.status == 401


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "/login"])
async def test_the_login_leads_to_no_other_site(guarded: App, target: str) -> None:
    async with (
        browser(base_of(guarded)) as session,
        session.post("/login", data={"token": ADMIN, "next": target}, allow_redirects=False) as answer,
    ):
        assert answer.headers["Location"] == "/"


async def test_who_logs_out_is_a_stranger_again(guarded: App) -> None:
    async with browser(base_of(guarded)) as session:
        csrf = await log_in(session)
        cookies = {cookie.key: cookie.value for cookie in session.cookie_jar}
        async with session.post("/logout", data={"csrf": csrf}, allow_redirects=False) as answer:
            assert answer.headers["Location"] == "/login"
        async with session.get("/api/v1/queues", cookies=cookies) as answer:  # a kept cookie is worth nothing either
            assert answer.status == 401


async def test_a_large_login_form_is_refused(guarded: App) -> None:
    async with browser(base_of(guarded)) as session, session.post("/login", data={"token": "x" * 100_000}) as answer:
        assert answer.status == 413


async def test_a_cookie_needs_the_csrf_token_to_change_anything(guarded: App) -> None:
    body = {"name": "n", "data": 1}
    async with browser(base_of(guarded)) as session:
        csrf = await log_in(session)
        async with session.get("/api/v1/queues") as answer:
            assert answer.status == 200
        for headers in ({}, {"X-CSRF-Token": "wrong"}, {"X-CSRF-Token": csrf[:-1] + "ä"}):
            async with session.post("/api/v1/queues/q/jobs", json=body, headers=headers) as answer:
                assert answer.status == 403
        async with session.post("/logout", data={"csrf": "wrong"}) as answer:
            assert answer.status == 403
        async with session.post("/api/v1/queues/q/jobs", json=body, headers={"X-CSRF-Token": csrf}) as answer:
            assert answer.status == 201


async def test_a_login_ends_with_its_token(guarded: App) -> None:
    secret = await guarded.hub.run(lambda tx: guarded.hub.access.add(tx, "phone", (Scope.READ,)))
    async with browser(base_of(guarded)) as session:
        await log_in(session, secret)
        async with session.get("/api/v1/queues") as answer:
            assert answer.status == 200
        await guarded.hub.run(lambda tx: guarded.hub.access.revoke(tx, "phone"))
        async with session.get("/api/v1/queues") as answer:
            assert answer.status == 401


async def test_what_runs_with_a_token_ends_when_it_is_revoked(guarded: App) -> None:
    hub = guarded.hub
    secret = await hub.run(lambda tx: hub.access.add(tx, "worker", (Scope.WORK,)))
    async with browser(base_of(guarded), {"Authorization": f"Bearer {secret}"}) as session:
        poll = asyncio.ensure_future(session.post("/api/v1/queues/q/lease", json={"owner": "w", "timeout": 30000}))
        await until(lambda: hub.served("q"))
        await hub.run(lambda tx: hub.access.revoke(tx, "worker"))
        with pytest.raises(aiohttp.ClientError):
            await soon(poll)


async def test_who_revokes_its_own_token_by_http_is_answered(guarded: App) -> None:
    hub = guarded.hub
    secret = await hub.run(lambda tx: hub.access.add(tx, "own", (Scope.ADMIN,)))
    async with browser(base_of(guarded), {"Authorization": f"Bearer {secret}"}) as session:
        async with session.delete("/api/v1/tokens/own") as answer:
            assert answer.ok
        async with session.get("/api/v1/tokens") as answer:
            assert answer.status == 401


async def test_websockets_and_streams_end_with_their_token(guarded: App) -> None:
    hub = guarded.hub
    secret = await hub.run(lambda tx: hub.access.add(tx, "page", (Scope.READ,)))
    async with browser(base_of(guarded)) as session:
        await log_in(session, secret)
        async with (
            session.ws_connect("/api/v1/ws") as by_cookie,
            session.ws_connect("/api/v1/ws", headers={"Authorization": f"Bearer {secret}"}) as by_header,
            browser(base_of(guarded)) as other,
            other.ws_connect("/api/v1/ws") as by_message,
            session.get("/api/v1/events") as stream,
        ):
            await by_message.send_json({"cmd": "Auth", "token": secret})
            assert (await by_message.receive_json())["ok"]
            assert stream.status == 200
            await hub.run(lambda tx: hub.access.revoke(tx, "page"))
            for socket in (by_cookie, by_header, by_message):
                message = await socket.receive(timeout=60)
                assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
            with pytest.raises(aiohttp.ClientError):
                async with in_time():
                    await stream.read()


# other sites


FOREIGN = (
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Origin": "http://["},
)


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_another_site_changes_nothing_where_no_token_is_needed(unguarded: App, headers: dict[str, str]) -> None:
    async with browser(base_of(unguarded), headers) as session:
        async with session.post("/api/v1/queues/q/jobs", json={"name": "n", "data": 1}) as answer:
            assert answer.status == 403
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect("/api/v1/ws")
        assert refused.value.status == 403
    assert await unguarded.hub.queues() == []


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_another_site_can_use_no_login_and_make_none(guarded: App, headers: dict[str, str]) -> None:
    async with browser(base_of(guarded)) as session:
        csrf = await log_in(session)
        sent = {**headers, "X-CSRF-Token": csrf}
        async with session.post("/api/v1/queues/q/jobs", json={"name": "n", "data": 1}, headers=sent) as answer:
            assert answer.status == 403
        async with session.post("/login", data={"token": ADMIN}, headers=headers) as answer:
            assert answer.status == 403


async def test_our_own_pages_and_programs_pass(unguarded: App) -> None:
    base = base_of(unguarded)
    for headers in ({}, {"Origin": base}, {"Sec-Fetch-Site": "same-origin", "Origin": "https://proxy.example"}):
        async with (
            browser(base, headers) as session,
            session.post("/api/v1/queues/q/jobs", json={"name": "n", "data": 1}) as answer,
        ):
            assert answer.status == 201


@pytest.mark.parametrize("path", ["/", "/api/v1/queues", "/static/x.css", "/login"])
async def test_a_name_that_another_site_has_pointed_here_is_refused(unguarded: App, path: str) -> None:
    async with browser(base_of(unguarded)) as session:
        for host in ("evil.example", "evil.example:6790", "localhost.evil.example", "192.168.1.5", "[::2]", "x y"):
            async with session.get(path, headers={"Host": host}) as answer:
                assert answer.status == 403, host


async def test_names_of_this_machine_and_configured_ones_are_answered(tmp_path: Path) -> None:
    async with app_of(tmp_path, names=("hub.local",)) as app, browser(base_of(app)) as session:
        for host in ("localhost:6790", "127.0.0.1", "127.9.9.9:1", "[::1]:6790", "hub.local", "HUB.local:80"):
            async with session.get("/api/v1/queues", headers={"Host": host}) as answer:
                assert answer.status == 200, host


async def test_with_tokens_any_name_will_do(guarded: App) -> None:
    headers = {"Host": "hub.example", "Authorization": f"Bearer {READER}"}
    async with browser(base_of(guarded)) as session, session.get("/api/v1/queues", headers=headers) as answer:
        assert answer.status == 200


# ingress


@asynccontextmanager
async def ingress_of(folder: Path, trusted: str) -> AsyncIterator[tuple[App, str]]:
    wanted = Ingress(port=0, host="127.0.0.1", trusted=trusted)
    async with app_of(folder, tokens=TOKENS, ingress=wanted) as app:
        assert app.doors.ingress is not None
        yield app, f"http://127.0.0.1:{app.doors.ingress.port}"


async def test_ingress_answers_the_supervisor_alone(tmp_path: Path) -> None:
    async with ingress_of(tmp_path, "172.30.32.2") as (_, base), browser(base) as session:
        for path in ("/", "/api/v1/queues", "/health"):
            async with session.get(path, headers={"Authorization": f"Bearer {ADMIN}"}) as answer:
                assert answer.status == 403


async def test_ingress_needs_no_token_and_its_links_stay_below_its_path(tmp_path: Path) -> None:
    async with ingress_of(tmp_path, "127.0.0.1") as (_, base), browser(base) as session:
        headers = {"X-Ingress-Path": "/api/hassio_ingress/Abc-_1", "X-Remote-User-Name": "ada"}
        async with session.get("/", headers=headers) as answer:
            text = await answer.text()
            assert answer.status == 200
            assert 'href="/api/hassio_ingress/Abc-_1/static/' in text
            assert not re.search(r'(?:href|src|action)="/(?!api/hassio_ingress/)', text)
            assert "X-Frame-Options" not in answer.headers
            assert "frame-ancestors" not in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "path", ["//evil.example", "https://evil.example", '/a"b', "/a b", "/a/../b", "/.", "a", "/a?b"]
)
async def test_an_ingress_path_that_is_none_is_refused(tmp_path: Path, path: str) -> None:
    async with (
        ingress_of(tmp_path, "127.0.0.1") as (_, base),
        browser(base) as session,
        session.get("/api/v1/queues", headers={"X-Ingress-Path": path}) as answer,
    ):
        assert answer.status == 422


async def test_other_sites_cannot_use_ingress(tmp_path: Path) -> None:
    async with ingress_of(tmp_path, "127.0.0.1") as (_, base), browser(base) as session:
        for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 201)):
            headers = {"Sec-Fetch-Site": site, "Origin": "https://home.example:8123"}
            async with session.post("/api/v1/queues/q/jobs", json={"name": "n", "data": 1}, headers=headers) as answer:
                assert answer.status == status


async def test_the_ingress_headers_mean_nothing_at_the_other_port(guarded: App) -> None:
    headers = {"X-Ingress-Path": "/x", "X-Remote-User-Name": "ada", "X-Forwarded-For": "172.30.32.2"}
    async with browser(base_of(guarded), headers) as session, session.get("/", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/login")


# headers


@pytest.mark.parametrize("path", PAGES)
async def test_every_answer_has_the_headers(guarded: App, path: str) -> None:
    async with browser(base_of(guarded)) as session, session.get(path, allow_redirects=False) as answer:
        headers = answer.headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'self'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "SAMEORIGIN"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cache-Control"]
        assert headers["Server"] == "hubqueue"


async def test_pages_have_no_inline_script_or_style(unguarded: App) -> None:
    async with browser(base_of(unguarded)) as session:
        for path in ("/", "/login", "/nowhere"):
            async with session.get(path) as answer:
                text = await answer.text()
                assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", text), path


# odd ways in


async def test_who_is_logged_in_may_log_in_again_as_somebody_else(guarded: App) -> None:
    async with browser(base_of(guarded)) as session:
        csrf = await log_in(session, READER)
        form = {"token": ADMIN, "next": "/queues", "csrf": csrf}
        async with session.post("/login", data=form, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/queues")


async def test_who_may_not_hear_the_result_does_not_make_the_job_either(tmp_path: Path) -> None:
    device = GivenToken("device-secret", Grant("device", frozenset({Scope.ENQUEUE})))
    async with (
        app_of(tmp_path, tokens=(ADMIN, device)) as app,
        browser(base_of(app), {"Authorization": "Bearer device-secret"}) as session,
    ):
        async with session.post("/api/v1/queues/q/invoke/open?wait=1s") as answer:
            assert answer.status == 403
        assert await app.hub.queues() == []
        async with session.post("/api/v1/queues/q/invoke/open") as answer:
            assert answer.status == 202
