"""What goes wrong in real life: kills, a hub that is away, flows that drop messages, nodes that say nothing."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from hubqueue import Client
from support.hub_process import HubProcess
from support.node_red import NodeRed, enqueue, function, inject, node, result, server, tab, worker
from support.ports import free_port
from support.waiting import PATIENCE_S, until

pytestmark = pytest.mark.slow

HOLD_FIRST = """
seen(['took', msg.payload, msg.job.attemptsMade, msg.job.redelivered]);
return env.get('ROUND') === '1' ? null : msg;
"""


KEEP = """
seen(['took', msg.payload]);
flow.set('all', [...(flow.get('all') || []), msg]);
"""


async def test_a_kill_with_jobs_in_flight_delivers_each_once_more(
    hub: HubProcess, red: NodeRed, client: Client
) -> None:
    nodes = [
        tab(),
        server(hub.port),
        worker("work", "hold", concurrency="5"),
        function("hold", HOLD_FIRST, "end"),
        result("end"),
    ]
    red.environ["ROUND"] = "1"
    red.stop()
    red.start()
    red.deploy(nodes)
    handles = await client.queue("q").add_many([(str(number), number) for number in range(5)])
    red.wait_seen(5)
    red.kill()
    red.environ["ROUND"] = "2"
    red.start()
    for handle in handles:
        await handle.result(PATIENCE_S)
    again = red.wait_seen(10)[5:]
    assert sorted(again) == [["took", number, 0, True] for number in range(5)]  # lost, not failed: no attempt is used
    view = await client.queue("q").get(handles[0].id)
    assert (view.job.attempts, view.job.lost_count) == (0, 1)


async def test_messages_wait_for_a_hub_that_is_away_in_order_and_once(hub: HubProcess, red: NodeRed) -> None:
    red.deploy(
        [
            tab(),
            server(hub.port),
            inject("in", "put"),
            enqueue("put", "stored"),
            function("stored", "seen(['stored', msg.payload]);"),
            inject("go", "burst"),
            function("burst", "for (let n = 0; n < 200; n++) { node.send({payload: n}); }", "put"),
        ]
    )
    red.inject("in", "before")
    red.wait_seen(1)
    red.inject("go")  # in full flight ...
    hub.kill()
    for number in range(200, 210):
        red.inject("in", number)
    hub.start()
    told = [each[1] for each in red.wait_seen(211)[1:]]
    assert told == list(range(210))
    async with Client(hub.url) as client:
        stored = [view.data async for view in client.queue("q").jobs("waiting")]
    assert stored == ["before", *range(210)]


async def test_what_waits_for_the_hub_survives_a_deploy(hub: HubProcess, red: NodeRed) -> None:
    nodes = [tab(), server(hub.port), inject("in", "put"), enqueue("put")]
    red.deploy(nodes)
    red.wait_for(lambda: "connected host" in red.log())
    hub.stop()
    red.inject("in", 1)
    red.inject("in", 2)
    red.deploy(nodes, "full")
    red.inject("in", 3)
    hub.start()
    async with Client(hub.url) as client:

        async def all_there() -> bool:
            return [view.data async for view in client.queue("q").jobs("waiting")] == [1, 2, 3]

        await until(all_there)


async def test_a_full_buffer_is_an_error_that_catch_sees(red: NodeRed) -> None:
    red.deploy(
        [
            tab(),
            server(free_port(), bufferMessages="2"),
            inject("in", "put"),
            enqueue("put", "stored"),
            function("stored", "seen(['stored', msg.payload]);"),
            node("caught", "catch", "wrong", scope=["put"], uncaught=False),
            function("wrong", "seen([msg.error.code, msg.payload]);"),
        ]
    )
    for number in range(3):
        red.inject("in", number)
    assert red.wait_seen(1) == [["HQ_BUFFER_FULL", 2]]


async def test_results_wait_for_a_hub_that_is_started_again(hub: HubProcess, red: NodeRed) -> None:
    red.deploy(
        [
            tab(),
            server(hub.port),
            worker("work", "hold", concurrency="5"),
            function(
                "hold",
                KEEP,
            ),
            inject("go", "send"),
            function("send", "for (const msg of flow.get('all')) { node.send(msg); }", "end"),
            result("end", "tell"),
            function("tell", "seen(['end', msg.job.outcome]);"),
            node("caught", "catch", "wrong", scope=["end"], uncaught=False),
            function("wrong", "seen(['error', msg.error.code]);"),
        ]
    )
    async with Client(hub.url) as client:
        handles = await client.queue("q").add_many([(str(number), number) for number in range(5)])
    red.wait_seen(5)
    hub.kill()
    red.inject("go")  # settled while the hub is away
    hub.start()
    told = red.wait_seen(10)[5:]
    assert told == [["end", "complete"]] * 5
    async with Client(hub.url) as client:
        for handle in handles:
            view = await client.queue("q").get(handle.id)
            assert (view.state, view.job.attempts) == ("completed", 0)


async def test_two_branches_settle_a_job_once(hub: HubProcess, red: NodeRed, client: Client) -> None:
    red.deploy(
        [
            tab(),
            server(hub.port),
            worker("work", "good", "bad", "good2"),
            result("good", "tell"),
            result("good2", "tell"),
            result("bad", "tell", outcome="reject"),
            function("tell", "seen(msg.job.outcome);"),
            node("caught", "catch", "wrong", scope=None, uncaught=False),
            function("wrong", "seen(['error', msg.error.code]);"),
        ]
    )
    for number in range(10):
        assert await (await client.queue("q").add("job", number)).result(PATIENCE_S) == number
    assert red.wait_seen(10) == ["complete"] * 10  # the flow hears of it after the hub has said so


async def test_a_message_that_the_flow_drops_is_tried_again(hub: HubProcess, red: NodeRed, client: Client) -> None:
    red.deploy(
        [
            tab(),
            server(hub.port),
            worker("work", "look", timeout="1s"),
            function("look", "seen(msg.job.attemptsMade); return msg;", "switch"),
            node(
                "switch",
                "switch",
                "end",
                property="job.attemptsMade",
                propertyType="msg",
                rules=[{"t": "eq", "v": "1", "vt": "num"}],
                checkall="true",
                outputs=1,
            ),
            result("end"),
        ]
    )
    handle = await client.queue("q").add("job", 1)
    await handle.result(PATIENCE_S)
    assert red.seen() == [0, 1]
    assert "was not settled within 1 s" in red.log()


async def test_a_result_after_the_timeout_is_told_that_it_is_too_late(
    hub: HubProcess, red: NodeRed, client: Client
) -> None:
    red.deploy(
        [
            tab(),
            server(hub.port),
            worker("work", "slow", timeout="500ms"),
            function("slow", "setTimeout(() => node.send(msg), msg.job.attemptsMade === 0 ? 2500 : 0);", "end"),
            result("end", "tell"),
            function("tell", "seen(msg.job.outcome);"),
            node("caught", "catch", "wrong", scope=["end"], uncaught=False),
            function("wrong", "seen(msg.error.code);"),
        ]
    )
    handle = await client.queue("q").add("job", 1)
    await handle.result(PATIENCE_S)
    assert sorted(red.wait_seen(2)) == ["HQ_LEASE_LOST", "complete"]


class Answers(BaseHTTPRequestHandler):
    """`/200`, `/404`, `/503`: answers with that status."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(int(self.path[1:]))
        if self.path == "/503":
            self.send_header("Retry-After", "3600")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("senderr", [False, True], ids=["all on the output", "errors only to catch"])
async def test_http_requests_are_settled_by_what_they_say(
    hub: HubProcess, red: NodeRed, client: Client, senderr: bool
) -> None:
    web = HTTPServer(("127.0.0.1", 0), Answers)
    thread = Thread(target=web.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    closed = free_port()
    try:
        red.deploy(
            [
                tab(),
                server(hub.port),
                worker("work", "make", concurrency="4"),
                function("make", "msg.url = msg.payload; return msg;", "ask"),
                node("ask", "http request", "end", method="POST", ret="txt", senderr=senderr),
                node("caught", "catch", "end", scope=["ask"], uncaught=False),
                result("end", outcome="message"),
            ]
        )
        here = f"http://127.0.0.1:{web.server_port}"
        urls = {
            "completed": f"{here}/200",
            "failed": f"{here}/404",
            "delayed": f"{here}/503",
            "refused": f"http://127.0.0.1:{closed}/",
        }
        ids = {state: (await client.queue("q").add("post", url, attempts=5)).id for state, url in urls.items()}

        async def ended() -> bool:
            views = {state: await client.queue("q").get(id) for state, id in ids.items()}
            return views["refused"].job.attempts > 0 and [
                views[name].state for name in ("completed", "failed", "delayed")
            ] == [
                "completed",
                "failed",
                "delayed",
            ]

        await until(ended)
        later = await client.queue("q").get(ids["delayed"])
        assert later.job.attempts == 1
        refused = await client.queue("q").get(ids["refused"])
        assert refused.state in ("delayed", "waiting", "active")
        assert "ECONNREFUSED" in str(refused.error)
    finally:
        web.shutdown()
        web.server_close()
        thread.join()


async def test_mqtt_without_a_broker_keeps_the_job(hub: HubProcess, red: NodeRed, client: Client) -> None:
    broker = {
        "id": "broker",
        "type": "mqtt-broker",
        "broker": "127.0.0.1",
        "port": str(free_port()),
        "clientid": "",
        "autoConnect": True,
        "protocolVersion": "4",
        "keepalive": "60",
        "cleansession": True,
    }
    red.deploy(
        [
            tab(),
            server(hub.port),
            broker,
            worker("work", "look", timeout="1s"),
            function("look", "seen(msg.job.attemptsMade); return msg;", "publish"),
            node("publish", "mqtt out", topic="t", qos="1", retain="false", broker="broker"),
            node("done", "complete", "end", scope=["publish"]),
            result("end"),
        ]
    )
    handle = await client.queue("q").add("job", 1)
    assert red.wait_seen(2)[:2] == [0, 1]  # neither Complete nor Catch fires: the job timeout keeps it
    view = await client.queue("q").get(handle.id)
    assert view.state in ("active", "delayed", "waiting")


async def test_jobs_that_end_at_receipt_and_by_themselves(hub: HubProcess, red: NodeRed, client: Client) -> None:
    red.deploy(
        [
            tab(),
            server(hub.port),
            worker("atonce", "look", queue="once", settle="receipt"),
            function("look", "seen([msg.payload, msg.job.token]);"),
            worker("quiet", "slow", queue="quiet", settle="quiet"),
            function("slow", "setTimeout(() => { seen('slow'); node.send(msg); node.done(); }, 100);", "split"),
            function("split", "return [msg, msg];", ["last"], ["fails"]),
            function("last", "await null; return msg;"),
            function("fails", "if (msg.payload === 'bad') { throw new Error('no good'); }"),
        ]
    )
    once = await client.queue("once").add("job", 1)
    await once.result(PATIENCE_S)
    assert red.wait_seen(1) == [[1, None]]
    good = await client.queue("quiet").add("job", "good")
    await good.result(PATIENCE_S)
    assert red.wait_seen(2)[1:] == ["slow"]
    bad = await client.queue("quiet").add("job", "bad", attempts=1)

    async def dead() -> bool:
        return (await client.queue("quiet").get(bad.id)).state == "failed"

    await until(dead)


async def test_cancelled_jobs_free_their_place(hub: HubProcess, red: NodeRed, client: Client) -> None:
    red.deploy(
        [
            tab(),
            server(hub.port),
            worker("work", "hold"),
            function("hold", "seen(msg.payload); if (msg.payload === 2) { return msg; }", "end"),
            result("end"),
            inject("in", "ask"),
            node("ask", "hubqueue-control", server="hub", action="cancel", queue="", queueType="str"),
        ]
    )
    first = await client.queue("q").add("a", 1)
    second = await client.queue("q").add("b", 2)
    red.wait_seen(1)
    red.inject("in", first.id)
    await second.result(PATIENCE_S)
    assert (await client.queue("q").get(first.id)).state == "failed"
