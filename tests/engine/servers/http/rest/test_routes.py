"""The table of routes: what each asks for exists, and the round trips that no other file makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubqueue.commands.table import BY_NAME
from hubqueue.servers.http.rest.route import Route
from hubqueue.servers.http.rest.routes import ROUTES
from support.rest import Rest, serving


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_a_route_asks_for_a_command_that_exists(route: Route) -> None:
    assert route.command in BY_NAME


def test_names_and_paths_are_used_once() -> None:
    assert len({route.name for route in ROUTES}) == len(ROUTES)
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)


async def test_what_says_nothing_does_nothing_and_says_so(rest: Rest) -> None:
    """Neither "done" of a change that names nothing, nor all dead letters for a list of tags that is empty."""
    assert (await rest.ask("PATCH", "/jobs/nothere", {})).status == 422
    for deed in ("purge", "retry"):
        assert (await rest.ask("POST", f"/queues/q/dlq/{deed}", {"tags": []})).status == 422


async def test_a_job_is_changed_retried_and_cancelled(rest: Rest) -> None:
    id = (await rest.post("/queues/q/jobs", {"name": "n", "delay": 60_000}))["id"]
    assert (await rest.ask("PATCH", f"/jobs/{id}", {"priority": 7, "data": {"x": 1}})).status == 204
    job = await rest.get(f"/jobs/{id}")
    assert (job["priority"], job["data"], job["state"]) == (7, {"x": 1}, "delayed")
    assert (await rest.ask("POST", f"/jobs/{id}/promote")).status == 204
    assert (await rest.get(f"/jobs/{id}"))["state"] == "prioritized"
    assert (await rest.ask("POST", f"/jobs/{id}/discard")).status == 204
    assert (await rest.get(f"/jobs/{id}"))["state"] == "failed"
    assert (await rest.ask("POST", f"/jobs/{id}/retry")).status == 204
    assert (await rest.ask("DELETE", f"/jobs/{id}")).status == 204
    assert (await rest.ask("GET", f"/jobs/{id}")).status == 404


async def test_a_snoozed_job_waits_and_one_that_cannot_says_so(rest: Rest) -> None:
    id = (await rest.post("/queues/q/jobs", {"name": "n"}))["id"]
    assert (await rest.ask("POST", f"/jobs/{id}/snooze", {"delay": 60_000})).status == 204
    assert (await rest.get(f"/jobs/{id}"))["state"] == "delayed"
    assert (await rest.ask("POST", f"/jobs/{id}/snooze", {"until": 1})).status == 204
    assert (await rest.get(f"/jobs/{id}"))["state"] == "waiting"
    assert (await rest.ask("POST", f"/jobs/{id}/snooze", {})).status == 422
    assert (await rest.ask("POST", "/jobs/nobody/snooze", {"delay": 1})).status == 404
    assert (await rest.ask("POST", f"/jobs/{id}/discard")).status == 204
    refused = await rest.ask("POST", f"/jobs/{id}/snooze", {"delay": 1})
    assert (refused.status, f"'{id}'" in refused.body["detail"]) == (409, True)


async def test_pages_lead_through_all_jobs(rest: Rest) -> None:
    made = (await rest.post("/queues/q/jobs/batch", {"jobs": [{"name": f"n{n}"} for n in range(25)]}))["ids"]
    found: list[str] = []
    cursor = ""
    while True:
        page = await rest.get(f"/queues/q/jobs?limit=10{cursor}")
        found += [job["id"] for job in page["jobs"]]
        if page["cursor"] is None:
            break
        cursor = f"&cursor={page['cursor']}"
    assert found == made[::-1]
    assert [job["name"] for job in (await rest.get("/jobs?name=n7"))["jobs"]] == ["n7"]


async def test_jobs_and_dead_letters_are_listed_by_all_of_their_tags(rest: Rest) -> None:
    tags = {"both": ["a", "b"], "one": ["a"], "none": []}
    jobs = [{"name": name, "tags": each} for name, each in tags.items()]
    ids = (await rest.post("/queues/q/jobs/batch", {"jobs": jobs}))["ids"]
    asked = {
        "tags=a": {"both", "one"},
        "tags=a,b": {"both"},
        "tags=b&tags=a&tags=a": {"both"},
        "tags=A": set(),
        "tags=": set(),
        "": set(tags),
    }
    for query, names in asked.items():
        for path in ("/jobs", "/queues/q/jobs"):
            assert {job["name"] for job in (await rest.get(f"{path}?{query}"))["jobs"]} == names, query
    for id in ids:
        assert (await rest.ask("POST", f"/jobs/{id}/discard")).status == 204
    for query, names in asked.items():
        assert {each["job"]["name"] for each in (await rest.get(f"/queues/q/dlq?{query}"))["entries"]} == names, query
    assert (await rest.post("/queues/q/dlq/retry", {"tags": ["a", "b"]}))["count"] == 1
    assert (await rest.post("/queues/q/dlq/purge", {"tags": ["a"], "reason": "discarded"}))["count"] == 1
    assert [job["name"] for job in (await rest.get("/jobs?states=failed"))["jobs"]] == ["none"]


async def test_a_queue_is_deleted_only_by_its_name(rest: Rest) -> None:
    await rest.post("/queues/q/jobs", {"name": "n"})
    for query in ("", "?confirm=other"):
        assert (await rest.ask("DELETE", f"/queues/q{query}")).status == 422
    assert (await rest.ask("DELETE", "/queues/q?confirm=q")).status == 204
    assert await rest.get("/queues") == {"queues": []}


async def test_limits_and_settings_come_back_as_they_were_set(rest: Rest) -> None:
    await rest.ask("PUT", "/queues/q/limits/rate", {"limit": 5, "duration": 60_000})
    await rest.ask("PUT", "/queues/q/limits/concurrency", {"limit": 2})
    limits = await rest.get("/queues/q/limits")
    assert (limits["rateLimit"], limits["concurrencyLimit"]) == ({"limit": 5, "duration": 60_000}, 2)
    await rest.ask("DELETE", "/queues/q/limits/rate")
    await rest.ask("DELETE", "/queues/q/limits/concurrency")
    limits = await rest.get("/queues/q/limits")
    assert (limits["rateLimit"], limits["concurrencyLimit"]) == (None, None)
    await rest.ask("PATCH", "/queues/q/settings/dlq", {"maxEntries": 7})
    assert (await rest.get("/queues/q/settings/dlq"))["maxEntries"] == 7
    await rest.ask("PATCH", "/queues/q/settings/stall", {"maxStalls": 9})
    assert (await rest.get("/queues/q/settings/stall"))["maxStalls"] == 9


async def test_a_flow_comes_back_as_a_tree(rest: Rest) -> None:
    part = {"queue": "parts", "name": "part", "data": {"n": 1}, "onFailure": "ignore"}
    whole = {"queue": "reports", "name": "report", "id": "r1", "children": [part, part | {"children": [part]}]}
    ids = (await rest.post("/flows", whole))["ids"]
    assert (len(ids), ids[0]) == (4, "r1")
    tree = await rest.get("/flows/r1")
    assert tree["job"]["state"] == "waiting-children"
    assert [len(child["children"]) for child in tree["children"]] == [0, 1]
    assert [child["job"]["data"] for child in tree["children"]] == [{"n": 1}, {"n": 1}]
    assert tree["children"][0]["job"]["parent"] == {"queue": "reports", "id": "r1"}
    assert tree["job"]["childrenIds"] == [child["job"]["id"] for child in tree["children"]]
    assert not tree["truncated"]
    refused = await rest.ask("POST", "/flows", whole | {"id": "r2", "data": {"__parentId": "x"}})
    assert refused.status == 422
    assert (await rest.ask("GET", "/flows/r2")).status == 404


async def test_a_token_sees_and_does_what_its_scopes_allow(tmp_path: Path) -> None:
    async with serving(tmp_path / "hub.db", tokens=("all-of-it",)) as rest:
        made = await rest.post("/tokens", {"name": "greenhouse", "scopes": ["enqueue"], "queues": ["readings"]})
        only = {"Authorization": f"Bearer {made['token']}"}
        feed = await rest.ask("POST", "/queues/readings/feed", data=b"1", headers=only)
        assert feed.status == 202
        for method, path in (("POST", "/queues/other/feed"), ("POST", "/queues/readings/pause"), ("GET", "/tokens")):
            answer = await rest.ask(method, path, headers=only)
            assert (answer.status, answer.body["code"]) == (403, "forbidden"), path
        assert (await rest.ask("DELETE", "/tokens/greenhouse")).status == 204
        gone = await rest.ask("POST", "/queues/readings/feed", data=b"1", headers=only)
        assert (gone.status, gone.headers["WWW-Authenticate"]) == (401, "Bearer")
