"""Workers over plain HTTP: long-polls, batches, tokens, and clients that hang up."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

from hubqueue.client.local import LocalHub
from hubqueue.hub.verbs.queues import bury_new
from hubqueue.model.job import NewJob
from hubqueue.model.state import State
from support.rest import Rest
from support.waiting import soon, until

NOTHING = {"count": 0, "passed": 0, "kept": 0, "why": None}


async def enqueue(rest: Rest, *names: str) -> list[str]:
    return list((await rest.post("/queues/q/jobs/batch", {"jobs": [{"name": name} for name in names]}))["ids"])


async def lease(rest: Rest, **options: Any) -> tuple[list[str], list[str]]:
    found = await rest.post("/queues/q/lease", options)
    return [job["id"] for job in found["jobs"]], found["tokens"]


async def states(hub: LocalHub, ids: list[str]) -> list[State]:
    return [(await hub.get(id)).state for id in ids]


async def test_a_worker_takes_and_completes_jobs(rest: Rest) -> None:
    made = await enqueue(rest, "a", "b", "c")
    ids, tokens = await lease(rest, count=2)
    assert ids == made[:2]
    done = await rest.post(f"/jobs/{ids[0]}/complete", {"token": tokens[0], "result": {"ok": 1}})
    assert done == {"applied": True}
    assert await rest.get(f"/jobs/{ids[0]}/result") == {"id": ids[0], "state": "completed", "result": {"ok": 1}}
    again = await rest.post(f"/jobs/{ids[0]}/complete", {"token": tokens[0]})
    assert again == {"applied": False}


async def test_a_stale_token_is_refused(rest: Rest) -> None:
    await enqueue(rest, "a")
    (id,), (token,) = await lease(rest)
    await rest.post(f"/jobs/{id}/release", {"token": token})
    await lease(rest)
    for deed, body in (
        ("complete", {}),
        ("fail", {}),
        ("release", {}),
        ("extend", {"duration": 5000}),
        ("progress", {"progress": 1}),
    ):
        answer = await rest.ask("POST", f"/jobs/{id}/{deed}", {"token": token, **body})
        assert (answer.status, answer.body["code"]) == (409, "lock_lost"), deed


async def test_a_long_poll_is_answered_when_a_job_comes(rest: Rest) -> None:
    poll = asyncio.ensure_future(lease(rest, timeout=30_000))
    await until(lambda: "q" in rest.hub._waiters.parked)
    made = await enqueue(rest, "late")
    assert (await soon(poll))[0] == made


async def test_a_long_poll_ends_with_nothing(rest: Rest) -> None:
    assert await lease(rest, timeout=20) == ([], [])
    assert await rest.post("/queues/q/lease") == {"jobs": [], "tokens": []}


async def test_who_hangs_up_while_waiting_takes_nothing(rest: Rest) -> None:
    poll = asyncio.ensure_future(lease(rest, timeout=30_000))
    await until(lambda: "q" in rest.hub._waiters.parked)
    poll.cancel()
    await until(lambda: "q" not in rest.hub._waiters.parked)
    made = await enqueue(rest, "a")
    assert (await lease(rest))[0] == made


async def test_jobs_go_back_when_the_client_hung_up_before_its_answer(rest: Rest) -> None:
    """A connection is closed, and at any moment around that the job comes that it waited for."""
    body = json.dumps({"timeout": 30_000, "lockTtl": 86_400_000}).encode()
    head = "POST /api/v1/queues/q/lease HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    for turns in range(40):
        client = socket.create_connection(("127.0.0.1", rest.port))
        client.setblocking(False)
        await asyncio.get_running_loop().sock_sendall(client, request)
        await until(lambda: len(rest.hub._waiters.everyone()) == 1)
        made = asyncio.ensure_future(rest.hub.enqueue("q", [NewJob(name="n")]))
        for _ in range(turns):
            await asyncio.sleep(0)
        try:
            answered = bool(client.recv(1))
        except BlockingIOError:
            answered = False
        client.close()
        (id,) = await made
        if not answered:
            await until(lambda id=id: comes_back(rest.hub, id))
            assert (await rest.hub.get(id)).attempts == 0
        await rest.hub.obliterate("q")


async def comes_back(hub: LocalHub, id: str) -> bool:
    return hub.held_count == 0 and await states(hub, [id]) == [State.WAITING]


async def test_a_lease_outlives_the_request_that_took_it(rest: Rest) -> None:
    await enqueue(rest, "a")
    (id,), (token,) = await lease(rest)
    assert rest.hub.held_count == 0  # by no connection: none that ends gives it back
    assert (await rest.post(f"/jobs/{id}/extend", {"token": token, "duration": 60_000}))["renewal"] == "renewed"


async def test_a_failure_retries_and_then_dies(rest: Rest) -> None:
    job = {"name": "a", "attempts": 2, "backoff": 0}
    id = (await rest.post("/queues/q/jobs", job))["id"]
    for _ in range(2):
        (found,), (token,) = await lease(rest, timeout=5000)
        assert found == id
        await rest.post(f"/jobs/{id}/fail", {"token": token, "error": "no lamp"})
    assert await rest.get(f"/jobs/{id}/result") == {"id": id, "state": "failed", "error": "no lamp"}
    (dead,) = (await rest.get("/queues/q/dlq"))["entries"]
    assert (dead["job"]["id"], dead["error"]) == (id, "no lamp")
    (group,) = (await rest.get("/dlq/reasons?queue=q"))["reasons"]
    assert (group["count"], group["sampleId"]) == (1, id)
    assert await rest.post("/queues/q/dlq/retry", {"reason": "nothing_like_it"}) == NOTHING
    assert await rest.post("/queues/q/dlq/retry", {"ids": [id, "no such id"]}) == {**NOTHING, "count": 1}


async def test_a_retry_that_cannot_be_says_why(rest: Rest) -> None:
    job = {"name": "a", "attempts": 1, "dedup": "k"}
    id = (await rest.post("/queues/q/jobs", job))["id"]
    (_,), (token,) = await lease(rest)
    await rest.post(f"/jobs/{id}/fail", {"token": token, "error": "no lamp"})
    await rest.post("/queues/q/jobs", job)
    why = "the job cannot be run again: its deduplication key is another job's now"
    assert await rest.post("/queues/q/dlq/retry") == {**NOTHING, "kept": 1, "why": why}
    assert await rest.post("/queues/q/dlq/retry", {"ids": [id]}) == {**NOTHING, "kept": 1, "why": why}
    refused = await rest.ask("POST", f"/jobs/{id}/retry")
    assert (refused.status, refused.body["code"], refused.body["detail"]) == (409, "wrong_state", f"{why} (job {id!r})")
    assert (await rest.get(f"/jobs/{id}"))["state"] == "failed"


async def test_messages_that_no_rule_took_are_not_parked_where_there_are_no_rules(rest: Rest) -> None:
    (id,) = await rest.hub.run(
        lambda tx: bury_new(tx, "_unroutable", [(NewJob(name="unroutable", data=b"\x01"), "no_rule", "no rule")])
    )
    for path, body in (("/queues/_unroutable/dlq/retry", None), (f"/jobs/{id}/retry", None)):
        refused = await rest.ask("POST", path, json=body)
        assert (refused.status, refused.body["code"]) == (409, "wrong_state")
        assert "this hub has none" in refused.body["detail"]
    assert (await rest.get(f"/jobs/{id}"))["state"] == "failed"


async def test_progress_and_logs_are_shown(rest: Rest) -> None:
    await enqueue(rest, "a")
    (id,), (token,) = await lease(rest)
    await rest.post(f"/jobs/{id}/progress", {"token": token, "progress": 50, "message": "half"})
    await rest.post(f"/jobs/{id}/logs", {"message": "lamp answered", "level": "warn"})
    assert await rest.get(f"/jobs/{id}/progress") == {"progress": 50, "message": "half"}
    logs = await rest.get(f"/jobs/{id}/logs")
    assert [(line["level"], line["message"]) for line in logs["logs"]] == [("warn", "lamp answered")]


async def test_batches_are_completed_extended_and_settled(rest: Rest) -> None:
    await enqueue(rest, *"abcd")
    ids, tokens = await lease(rest, count=4)
    renewed = await rest.post("/leases/extend", {"ids": ids, "tokens": tokens, "duration": 60_000})
    assert renewed["renewals"] == ["renewed"] * 4
    body = {"ids": ids[:2], "tokens": tokens[:2], "results": [1, {"b": 2}]}
    assert await rest.post("/leases/complete", body) == {"ignoredIds": []}
    assert await rest.post("/leases/complete", body) == {"ignoredIds": ids[:2]}
    settled = await rest.post(
        "/leases/settle",
        {
            "settlements": [
                {"id": ids[2], "token": tokens[2], "outcome": "complete", "result": 3},
                {"id": ids[3], "token": tokens[3], "outcome": "release"},
            ],
            "outputs": [{"queue": "next", "jobs": [{"name": "n", "data": [1]}]}],
        },
    )
    assert await states(rest.hub, ids) == [State.COMPLETED] * 3 + [State.WAITING]
    assert (await rest.get(f"/jobs/{settled['ids'][0]}"))["data"] == [1]
    wrong = await rest.ask("POST", "/leases/settle", {"settlements": [{"id": ids[3], "token": "x", "outcome": "fail"}]})
    assert wrong.status == 409


async def test_waiting_for_a_result_ends_when_it_comes(rest: Rest) -> None:
    (id,) = await enqueue(rest, "a")
    early = await rest.ask("GET", f"/jobs/{id}/result?timeout=10")
    assert (early.status, early.body) == (202, {"id": id, "state": "waiting"})
    wait = asyncio.ensure_future(rest.get(f"/jobs/{id}/result?timeout=30000"))
    (_,), (token,) = await lease(rest)
    await rest.post(f"/jobs/{id}/complete", {"token": token, "result": "done"})
    assert (await soon(wait))["result"] == "done"


async def test_invoke_waits_for_its_handler(rest: Rest) -> None:
    call = asyncio.ensure_future(rest.post("/queues/q/invoke/switch?wait=30s", {"data": {"on": True}}))
    found = await rest.post("/queues/q/lease", {"timeout": 10_000})
    (job,), (token,) = found["jobs"], found["tokens"]
    assert (job["name"], job["data"]) == ("switch", {"on": True})
    await rest.post(f"/jobs/{job['id']}/complete", {"token": token, "result": {"on": True}})
    answer = await soon(call)
    assert answer == {"id": job["id"], "state": "completed", "result": {"on": True}}


async def test_invoke_without_waiting_answers_202(rest: Rest) -> None:
    answer = await rest.ask("POST", "/queues/q/invoke/switch")
    assert (answer.status, answer.body.keys()) == (202, {"id"})
    for path in ("/queues/_inner/invoke/x", "/queues/q/invoke/x?wait=11m", "/queues/q/invoke/x?wait=soon"):
        assert (await rest.ask("POST", path)).status == 422, path
