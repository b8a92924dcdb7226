"""enrich over HTTP, against a real server that is slow, wrong, or gone."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hubqueue.errors import LinkDown
from support import certificates
from support.oracle import Oracle, oracle
from support.pipelines import Bench, mistakes
from support.waiting import until


@pytest.fixture
async def server() -> AsyncIterator[Oracle]:
    async with oracle() as found:
        yield found


class Asking(Bench):
    """A chain with one look-up, closed in the end."""

    def __init__(self, folder: Path, server: Oracle, http: str = "", more: str = "into: found") -> None:
        url = f'url: "{server.url}{{{{ data.id }}}}"'
        super().__init__(folder, f"- enrich: {{http: {{{url}{', ' if http else ''}{http}}}, {more}}}")

    async def __aenter__(self) -> Asking:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.chain.aclose()


async def test_records_get_what_the_server_says(tmp_path: Path, server: Oracle) -> None:
    async with Asking(
        tmp_path, server, 'headers: {X-Key: k}, token: "s"', "pick: {number: n, deep: in.deep}"
    ) as asking:
        assert await asking.prepared({"id": "a"}) == [{"id": "a", "number": 1, "deep": [1]}]
    assert server.headers[0]["X-Key"] == "k"
    assert server.headers[0]["Authorization"] == "Bearer s"


async def test_records_of_a_batch_share_one_request_and_answers_are_kept(tmp_path: Path, server: Oracle) -> None:
    async with Asking(tmp_path, server, more="pick: [n]") as asking:
        first = await asking.prepared(*[{"id": n % 3} for n in range(30)])
        assert sorted(server.asked) == ["/0", "/1", "/2"]
        assert await asking.prepared(*[{"id": n % 3} for n in range(30)]) == first
        assert len(server.asked) == 3


async def test_no_more_requests_than_allowed_are_made_at_once(tmp_path: Path, server: Oracle) -> None:
    server.held.clear()
    async with Asking(tmp_path, server, "concurrency: 3, timeout: 5m") as asking:
        batch = asyncio.create_task(asking.prepared(*[{"id": n} for n in range(12)]))
        await until(lambda: server.waiting == 3)
        server.held.set()
        assert len(await batch) == 12
    assert server.most == 3


async def test_an_answer_is_asked_for_again_when_its_time_is_over(tmp_path: Path, server: Oracle) -> None:
    async with Asking(tmp_path, server, "ttl: 0", "pick: [n]") as asking:
        assert [(await asking.prepared({"id": "a"}))[0]["n"] for _ in range(3)] == [1, 2, 3]


async def test_only_so_many_answers_are_kept(tmp_path: Path, server: Oracle) -> None:
    async with Asking(tmp_path, server, "entries: 2, concurrency: 1", "pick: [of]") as asking:
        batch = [{"id": n} for n in range(5)]
        assert [each["of"] for each in await asking.prepared(*batch)] == ["0", "1", "2", "3", "4"]
        await asking.prepared({"id": 3}, {"id": 4})
        assert len(server.asked) == 5
        await asking.prepared({"id": 0})
        assert len(server.asked) == 6


async def test_a_kept_answer_is_used_while_the_server_is_gone(tmp_path: Path, server: Oracle) -> None:
    async with Asking(tmp_path, server, "ttl: 0", "pick: [n]") as asking:
        before = await asking.prepared({"id": "a"})
        server.gone = True
        assert await asking.prepared({"id": "a"}) == before
        with pytest.raises(LinkDown, match="no answer"):
            await asking.prepared({"id": "a"}, {"id": "new"})
        server.gone = False

        async def again() -> bool:
            return bool((await asking.prepared({"id": "a"}))[0]["n"] > 1)

        await until(again)


@pytest.mark.parametrize(
    ("down", "outcome"),
    [("refuse", "enrich: the look-up got no answer: no connection: Connection refused"), ("keep", {"id": "new"})],
)
async def test_what_becomes_of_records_while_the_server_is_gone(
    tmp_path: Path, server: Oracle, down: str, outcome: Any
) -> None:
    await server.stop()
    async with Asking(tmp_path, server, f"down: {down}") as asking:
        assert await asking.prepared({"id": "new"}) == [outcome]


async def test_a_server_that_does_not_answer_is_left_alone(tmp_path: Path, server: Oracle) -> None:
    server.held.clear()
    async with Asking(tmp_path, server, "timeout: 50ms, concurrency: 1, down: keep") as asking:
        batch = [{"id": n} for n in range(100)]
        assert await asking.prepared(*batch) == batch
        assert len(server.asked) < 20  # each would have cost its time-out


async def test_a_key_that_the_server_does_not_know_is_treated_as_told(tmp_path: Path, server: Oracle) -> None:
    server.status = 404
    async with Asking(tmp_path, server) as asking:
        assert await asking.prepared({"id": "x"}) == ["enrich: the server that was asked knows nothing of it"]
        await asking.prepared({"id": "x"})
        assert len(server.asked) == 1
    async with Asking(tmp_path, server, more="into: found, missing: null") as asking:
        assert await asking.prepared({"id": "x"}) == [{"id": "x", "found": None}]


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (500, None, "status 500"),
        (302, None, "status 302"),
        (200, b"<html>", "not JSON that can be carried"),
        (200, b"", "not JSON that can be carried"),
        (200, b"[99999999999999999999999]", "not JSON that can be carried"),
        (200, b"[" * 100_000, "not JSON that can be carried"),
        (200, b'"' + b"x" * 300_000 + b'"', "larger than 256 kB"),
    ],
)
async def test_a_wrong_answer_refuses_its_record_and_no_other(
    tmp_path: Path, server: Oracle, status: int, body: bytes | None, reason: str
) -> None:
    async with Asking(tmp_path, server, more="into: found, pick: [of]") as asking:
        good = await asking.prepared({"id": "good"})
        server.status, server.body = status, body
        found = await asking.prepared({"id": "bad"}, {"id": "good"})
        assert found[0].startswith("enrich: the look-up got no answer: ")
        assert reason in found[0]
        assert found[1:] == good
    assert all(not asked.startswith("//") for asked in server.asked)


@pytest.mark.parametrize("status", [401, 403, 429, 503])
async def test_records_wait_for_a_server_that_answers_nobody(tmp_path: Path, server: Oracle, status: int) -> None:
    server.status = status
    async with Asking(tmp_path, server) as asking:
        with pytest.raises(LinkDown, match=str(status)):
            await asking.prepared({"id": "a"})


@pytest.mark.parametrize("id", ["../x", "a/../../b", "a?b=c#d", "x y", "ü", "%2e%2e", "@host"])
async def test_data_cannot_choose_where_a_question_goes(tmp_path: Path, server: Oracle, id: str) -> None:
    async with Asking(tmp_path, server, more="pick: [of]") as asking:
        assert await asking.prepared({"id": id}) == [{"id": id, "of": id}]
    assert server.asked[0].count("/") == 1
    assert "?" not in server.asked[0]


async def test_dots_alone_are_no_place(tmp_path: Path, server: Oracle) -> None:
    async with Asking(tmp_path, server) as asking:
        for dots in (".", ".."):
            (found,) = await asking.prepared({"id": dots})
            assert found.startswith("enrich: its URL cannot be worked out")
        (found,) = await asking.prepared({})
        assert found.startswith("enrich: its URL cannot be worked out")
    assert server.asked == []


async def test_what_a_step_before_makes_is_what_is_asked_for(tmp_path: Path, server: Oracle) -> None:
    url = f'"{server.url}{{{{ data.place }}}}"'
    bench = Bench(
        tmp_path,
        f"""
- filter: "data.v > 0"
- map: {{compute: {{place: "data.site|lower"}}}}
- flag: {{rate: {{v: {{max: 1, per: 1s}}}}}}
- enrich: {{http: {{url: {url}}}, pick: {{of: of}}}}
- enrich: {{http: {{url: "{server.url}again-{{{{ data.of }}}}"}}, pick: {{again: of}}}}
""",
    )
    try:
        first, second = await bench.prepared({"v": 1, "site": "HALL"}, {"v": 1, "site": "Hall"}, {"v": 0, "site": "x"})
        assert first == {"v": 1, "site": "HALL", "place": "hall", "flags": [], "of": "hall", "again": "again-hall"}
        assert second["again"] == "again-hall"
        assert server.asked == ["/hall", "/again-hall"]
    finally:
        await bench.chain.aclose()


async def test_a_server_may_have_a_certificate_of_a_private_ca(tmp_path: Path) -> None:
    files = certificates.make(tmp_path / "tls")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(files.cert, files.key)
    async with oracle(tls) as server:
        async with Asking(tmp_path, server, f"ca_file: {files.ca}", "pick: [of]") as asking:
            assert await asking.prepared({"id": "a"}) == [{"id": "a", "of": "a"}]
        async with Asking(tmp_path, server, f"ca_file: {files.other_ca}, down: refuse") as asking:
            (refused,) = await asking.prepared({"id": "a"})
            assert "its certificate is not trusted" in refused
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("steps", "path", "words"),
    [
        ("- enrich: {http: {url: 'https://h/', ca_file: p.yaml}}", "steps[0].enrich.http.ca_file", "must be PEM text"),
        ("- enrich: {}", "steps[0].enrich", "needs table or http"),
        ("- enrich: {table: p.yaml, http: {url: 'http://h/'}}", "steps[0].enrich", "one of the two"),
        (
            "- enrich: {http: {url: 'http://{{ data.host }}/x'}}",
            "steps[0].enrich.http.url",
            "cannot come from the data",
        ),
        (
            "- enrich: {http: {url: 'http://host{{ data.x }}/'}}",
            "steps[0].enrich.http.url",
            "cannot come from the data",
        ),
        ("- enrich: {http: {url: 'ftp://h/'}}", "steps[0].enrich.http.url", "must begin with http://"),
        ("- enrich: {http: {url: 'http://h/{{ dta.x }}'}}", "steps[0].enrich.http.url", "did you mean 'data'"),
        ("- enrich: {http: {url: 'http://h/'}, key: 'x'}", "steps[0].enrich.key", "belongs to table"),
        ("- enrich: {table: p.yaml}", "steps[0].enrich.key", "is missing"),
        ('- enrich: {http: {url: "http://h/", headers: {A: "b\\nc"}}}', "steps[0].enrich.http.headers", "line break"),
    ],
)
def test_mistakes_are_found(tmp_path: Path, steps: str, path: str, words: str) -> None:
    found = mistakes(tmp_path, steps)
    assert list(found) == [path]
    assert words in found[path]


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    found = mistakes(tmp_path, "- enrich: {http: {url: 'http://h/', token: 12345}}")
    assert found == {"steps[0].enrich.http.token": "must be text (put it in quotes)"}
