"""Every optional field of a request that changes something has an effect by itself, or is refused."""

from __future__ import annotations

from typing import Any

import pytest

from hubqueue.servers.http.rest.routes import ROUTES
from support.rest import Rest

CHANGES = {
    "/jobs/{id}": {"data": {"x": 2}, "priority": 7, "lifo": True, "delay": 7_200_000},
    "/queues/{queue}/settings/stall": {
        "enabled": False,
        "stallInterval": 61_000,
        "maxStalls": 9,
        "gracePeriod": 6000,
    },
    "/queues/{queue}/settings/dlq": {
        "autoRetry": True,
        "autoRetryInterval": 61_000,
        "maxAutoRetries": 9,
        "maxAge": 86_400_000,
        "maxEntries": 77,
    },
}
REQUIRED = {"/webhooks/{id}"}  # a PATCH whose one field must be there


def patches() -> dict[str, list[str]]:
    """The paths of PATCH with the fields of their bodies."""
    return {route.path: list(route.body.__struct_encode_fields__) for route in ROUTES if route.method == "PATCH"}


def test_every_field_of_every_change_is_tried_here() -> None:
    assert {path: sorted(fields) for path, fields in CHANGES.items()} == {
        path: sorted(fields) for path, fields in patches().items() if path not in REQUIRED
    }


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [(path, field, value) for path, fields in CHANGES.items() for field, value in fields.items()],
)
async def test_a_field_alone_changes_what_is_read_and_nothing_else(
    rest: Rest, path: str, field: str, value: Any
) -> None:
    await rest.post("/queues/q/jobs", {"name": "n", "id": "j", "data": {"x": 1}, "delay": 3_600_000})
    there = path.format(id="j", queue="q")
    before = await rest.get(there)
    answer = await rest.ask("PATCH", there, {field: value})
    assert answer.status == 204, answer.body
    after = await rest.get(there)
    changed = {name for name in after if after[name] != before.get(name)}
    if field == "delay":
        assert changed == {"runAt"}
        assert after["runAt"] - before["runAt"] > 3_000_000
    else:
        assert changed == {field}
        assert after[field] == value


async def test_a_job_can_be_turned_back(rest: Rest) -> None:
    """Which of two is next shows that it is more than a flag."""
    for id in ("a", "b"):
        await rest.post("/queues/q/jobs", {"name": "n", "id": id})
    for lifo, first in ((True, "b"), (False, "a")):
        assert (await rest.ask("PATCH", "/jobs/b", {"lifo": lifo})).status == 204
        leased = await rest.post("/queues/q/lease", {"count": 1})
        assert leased["jobs"][0]["id"] == first
        assert (await rest.ask("POST", f"/jobs/{first}/release", {"token": leased["tokens"][0]})).status == 200


async def died(rest: Rest, *ids: str) -> None:
    for id in ids:
        await rest.post("/queues/q/jobs", {"name": "n", "id": id, "attempts": 1})
        leased = await rest.post("/queues/q/lease", {"count": 1})
        await rest.post(f"/jobs/{id}/fail", {"token": leased["tokens"][0], "error": "no route"})


async def test_the_number_of_dead_letters_to_retry_counts_in_a_group_too(rest: Rest) -> None:
    await died(rest, "a", "b", "c")
    retried = await rest.post("/queues/q/dlq/retry", {"error": "no route", "count": 2})
    assert retried["count"] == 2
    assert [entry["job"]["id"] for entry in (await rest.get("/queues/q/dlq"))["entries"]] == ["c"]


@pytest.mark.parametrize("more", [{"count": 1}, {"error": "no route"}, {"reason": "max_attempts_exceeded"}])
async def test_ids_of_dead_letters_go_with_nothing_else(rest: Rest, more: dict[str, Any]) -> None:
    await died(rest, "a", "b")
    answer = await rest.ask("POST", "/queues/q/dlq/retry", {"ids": ["a", "b"]} | more)
    assert (answer.status, answer.body["code"]) == (422, "invalid")
    assert len((await rest.get("/queues/q/dlq"))["entries"]) == 2


SAYS = {
    "complete": {"result", "remove"},
    "fail": {"error", "reason", "remove"},
    "retry": {"error", "delay"},
    "reject": {"error", "remove"},
    "release": {"delay"},
}
FIELDS: dict[str, Any] = {"result": 1, "error": "e", "reason": "r", "delay": 5, "remove": True}


@pytest.mark.parametrize("outcome", SAYS)
async def test_a_settlement_says_nothing_that_its_outcome_does_not_use(rest: Rest, outcome: str) -> None:
    await rest.post("/queues/q/jobs", {"name": "n", "id": "j"})
    leased = await rest.post("/queues/q/lease", {"count": 1})
    held = {"id": "j", "token": leased["tokens"][0], "outcome": outcome}
    for field in FIELDS.keys() - SAYS[outcome]:
        answer = await rest.ask("POST", "/leases/settle", {"settlements": [held | {field: FIELDS[field]}]})
        assert answer.status == 422
        assert field in answer.body["detail"]
    settled = held | {field: FIELDS[field] for field in SAYS[outcome]}
    assert (await rest.ask("POST", "/leases/settle", {"settlements": [settled]})).status == 200


@pytest.mark.parametrize(
    ("said", "missing"),
    [
        ({"groupMaxSize": 5}, "group"),
        ({"onFailure": "fail"}, "parent"),
    ],
)
@pytest.mark.parametrize("path", ["/queues/q/jobs", "/queues/q/jobs/batch"])
async def test_an_option_that_is_nothing_by_itself_is_refused(
    rest: Rest, path: str, said: dict[str, Any], missing: str
) -> None:
    job = {"name": "n"} | said
    answer = await rest.ask("POST", path, {"jobs": [job]} if path.endswith("batch") else job)
    assert answer.status == 422
    assert f"needs {missing}" in answer.body["detail"]
