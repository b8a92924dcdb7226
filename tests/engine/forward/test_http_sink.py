"""The HTTP sink against real servers: what is sent, how it signs in, what it does not tell to others."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import msgspec
import pytest

from hubqueue.forward.sink import Batch
from hubqueue.forward.verdict import Rejected
from hubqueue.hub.hub import Hub
from hubqueue.model.job import NewJob
from support import certificates
from support.answering import Answer, Answering, answering, json_answer
from support.onward import forwarder_of
from support.waiting import soon, until
from support.writing import batch, down, sink_of, written


@pytest.fixture
async def there() -> AsyncIterator[Answering]:
    async with answering() as found:
        yield found


async def test_each_job_is_a_request_with_its_own_key(there: Answering) -> None:
    async with sink_of(f"{there.url}/jobs?site=7") as sink:
        assert sink.target == f"{there.url}/jobs"
        assert await written(sink, batch({"n": 1}, "text", None, b"\x00\xff", {"raw": b"\x01"})) == [None] * 5
    assert {(each.method, each.path, each.query["site"]) for each in there.asked} == {("POST", "/jobs", "7")}
    assert [each.headers["Idempotency-Key"] for each in there.asked] == [f"fwd:edge:readings:{n}" for n in range(1, 6)]
    first, text, null, raw, nested = there.asked
    assert (first.json, text.json, null.json, raw.body) == ({"n": 1}, "text", None, b"\x00\xff")
    assert nested.json == {"raw": {"$bytes": "AQ=="}}
    assert first.headers["Content-Type"] == "application/json"
    assert raw.headers["Content-Type"] == "application/octet-stream"


async def test_a_batch_is_one_request_whose_key_is_made_of_all_ids(there: Answering) -> None:
    async with sink_of(there.url, http={"batch": True, "body": "envelope"}) as sink:
        assert await written(sink, batch({"n": 1}, {"n": 2})) == [None, None]
    (asked,) = there.asked
    assert [each["id"] for each in asked.json] == ["fwd:edge:readings:1", "fwd:edge:readings:2"]
    assert asked.json[0] == {
        "id": "fwd:edge:readings:1",
        "name": "reading",
        "queue": "readings",
        "at": 0,
        "data": {"n": 1},
    }
    key = hashlib.sha256(b"fwd:edge:readings:1\nfwd:edge:readings:2").hexdigest()
    assert asked.headers["Idempotency-Key"] == key


async def test_the_receiver_of_a_batch_may_refuse_single_jobs(there: Answering) -> None:
    there.answers = [
        json_answer(200, {"rejected": [{"index": 1, "reason": "odd"}, {"id": "fwd:edge:readings:4"}, {"index": 99}]})
    ]
    async with sink_of(there.url, http={"batch": True}) as sink:
        results = await written(sink, batch(1, 2, 3, 4))
    assert results == [None, Rejected("invalid", "odd"), None, Rejected("invalid", "refused")]
    assert len(there.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        json_answer(200, {"rejected": "all"}),
        json_answer(200, [1]),
        Answer(200, b"{", {"Content-Type": "application/json"}),
        Answer(200, b'{"rejected": [{"index": 0}]}', {"Content-Type": "text/plain"}),
        Answer(200, b"\xff" * (2 * 1024 * 1024), {"Content-Type": "application/json"}),
    ],
)
async def test_an_answer_of_another_form_refuses_nothing(there: Answering, answer: Answer) -> None:
    there.answers = [answer]
    async with sink_of(there.url, http={"batch": True}) as sink:
        assert await written(sink, batch(1, 2)) == [None, None]


async def test_a_batch_that_is_refused_is_narrowed_to_the_odd_job(there: Answering) -> None:
    there.tell = lambda asked: Answer(422, b"17 is odd") if 17 in asked.json else Answer()
    async with sink_of(there.url, http={"batch": True}) as sink:
        results = await written(sink, batch(*range(40)))
    assert [place for place, result in enumerate(results) if result is not None] == [17]
    assert sorted(n for asked in there.asked if 17 not in asked.json for n in asked.json) == [
        n for n in range(40) if n != 17
    ]


async def test_a_single_job_that_is_refused_leaves_the_others(there: Answering) -> None:
    there.tell = lambda asked: Answer(413) if asked.json == 2 else Answer()
    async with sink_of(there.url) as sink:
        results = await written(sink, batch(1, 2, 3))
    assert [None if each is None else each.code for each in results] == [None, "payload_too_large", None]


async def test_what_is_through_is_not_sent_again_when_the_link_goes_down(there: Answering, tmp_path: Path) -> None:
    """A receiver that takes seven requests at a time gets each job once, in order."""
    turns = count(1)
    there.tell = lambda asked: Answer(429, headers={"Retry-After": "0"}) if next(turns) % 8 == 0 else Answer()
    async with await Hub.open(tmp_path / "hub.db") as hub:
        await hub.enqueue("readings", [NewJob(data=msgspec.msgpack.encode(n)) for n in range(60)])
        keys = {"to": there.url, "backoff": "1ms", "backoff_cap": "5ms", "batch": 50}
        async with forwarder_of(hub, "readings", keys) as forwarder:

            async def through() -> bool:
                return (await forwarder.status()).forwarded == 60

            await until(through)
        assert (await hub.counts("readings")).failed == 0
    taken = [asked.json for turn, asked in enumerate(there.asked, 1) if turn % 8]
    assert taken == list(range(60))


async def test_a_wait_is_passed_on(there: Answering) -> None:
    there.answers = [Answer(429, headers={"Retry-After": "17"})]
    async with sink_of(there.url) as sink:
        found = await down(sink, batch(1))
    assert (found.reason.value, found.retry_after_s) == ("quota", 17.0)


@pytest.mark.parametrize(
    ("login", "expected"),
    [
        ({"token": "s3cret"}, "Bearer s3cret"),
        ({"username": "ann", "password": "bö:b"}, "Basic " + base64.b64encode("ann:bö:b".encode()).decode()),
        ({"headers": {"Authorization": "Splunk abc"}}, "Splunk abc"),
    ],
)
async def test_every_way_to_sign_in_works(there: Answering, login: dict[str, object], expected: str) -> None:
    async with sink_of(there.url, http=login) as sink:
        await written(sink, batch(1))
    assert there.asked[0].headers["Authorization"] == expected


async def test_a_login_in_the_address_is_used_and_never_shown(there: Answering) -> None:
    async with sink_of(there.url.replace("://", "://ann:b%40b@") + "/a?key=hush") as sink:
        await written(sink, batch(1))
        assert sink.target == f"{there.url}/a"
        there.answers = [Answer(401)]
        found = await down(sink, batch(1))
    assert there.asked[0].headers["Authorization"] == "Basic " + base64.b64encode(b"ann:b@b").decode()
    assert "hush" not in found.error
    assert "b@b" not in found.error


async def test_own_headers_go_along(there: Answering) -> None:
    async with sink_of(there.url, http={"headers": {"X-Site": "7"}, "method": "PUT"}) as sink:
        await written(sink, batch(1))
    (asked,) = there.asked
    assert (asked.method, asked.headers["X-Site"]) == ("PUT", "7")


async def test_what_is_worth_it_is_compressed(there: Answering) -> None:
    async with sink_of(there.url, http={"gzip": True}) as sink:
        await written(sink, batch("short", "long" * 1000))
    short, long = there.asked
    assert "Content-Encoding" not in short.headers
    assert long.headers["Content-Encoding"] == "gzip"
    assert int(long.headers["Content-Length"]) < 200
    assert long.json == "long" * 1000


async def test_a_redirect_on_the_same_server_is_followed_with_the_whole_request(there: Answering) -> None:
    there.answers = [Answer(308, headers={"Location": "/moved"})]
    async with sink_of(f"{there.url}/old", http={"token": "s3cret"}) as sink:
        assert await written(sink, batch({"n": 1})) == [None]
    assert [each.path for each in there.asked] == ["/old", "/moved"]
    assert there.asked[1].json == {"n": 1}
    assert there.asked[1].headers["Authorization"] == "Bearer s3cret"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_another_server_is_not_followed(there: Answering, status: int) -> None:
    async with answering() as stranger:
        there.answers = [Answer(status, headers={"Location": f"{stranger.url}/take"})]
        async with sink_of(there.url, http={"token": "s3cret"}) as sink:
            found = await down(sink, batch(1))
        assert stranger.asked == []
    assert found.reason.value == "protocol"
    assert stranger.url in found.error


async def test_a_server_that_redirects_for_ever_is_a_trouble_of_the_link(there: Answering) -> None:
    there.tell = lambda asked: Answer(307, headers={"Location": asked.path + "a"})
    async with sink_of(there.url) as sink:
        assert (await down(sink, batch(1))).reason.value == "protocol"
    assert len(there.asked) == 5


async def test_tls_is_checked(tmp_path: Path) -> None:
    files = certificates.make(tmp_path)
    async with answering(files) as there:
        async with sink_of(there.url, ca_file=str(files.ca), http={"token": "s3cret"}) as sink:
            assert await written(sink, batch(1)) == [None]
        for keys in ({}, {"ca_file": str(files.other_ca)}):
            async with sink_of(there.url, http={"token": "s3cret"}, **keys) as sink:
                assert (await down(sink, batch(1))).reason.value == "tls"
        assert len(there.asked) == 1


async def test_nobody_there_is_no_reason_for_an_alert() -> None:
    async with answering() as there:
        url = there.url
    async with sink_of(url) as sink:
        found = await down(sink, batch(1))
    assert (found.reason.value, found.alert) == ("unreachable", False)


@asynccontextmanager
async def saying(answer: bytes, *, to: int) -> AsyncIterator[str]:
    """A server that says this after so many bytes, whatever was asked; its URL."""
    ended = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(to)
        writer.write(answer)
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
        ended.set()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await soon(ended.wait())


async def test_a_server_that_does_not_answer_is_given_up_in_time() -> None:
    async with saying(b"", to=-1) as url, sink_of(url, write_timeout="100ms") as sink:
        assert (await down(sink, batch(1))).reason.value == "timeout"


async def test_a_server_that_speaks_something_else_is_no_reason_to_refuse_jobs() -> None:
    async with saying(b"220 mail.example ESMTP\r\n", to=1) as url, sink_of(url) as sink:
        assert (await down(sink, batch(1))).reason.value == "unreachable"


async def test_data_that_is_no_messagepack_is_refused_alone(there: Answering) -> None:
    given = batch(1, 2)
    broken = msgspec.structs.replace(given.parcels[1], data=b"\xc1")
    async with sink_of(there.url) as sink:
        first, second = await written(sink, Batch(given.queue, (given.parcels[0], broken)))
    assert first is None
    assert second is not None
    assert second.code == "invalid"
