"""Of many jobs in one request the wrong one is named, whoever finds it: the schema, the table or the verb."""

from __future__ import annotations

from typing import Any, Final

import pytest

from support.rest import Rest

GOOD: Final = {"name": "n", "data": {"a": 1}}
WRONG: Final[dict[str, tuple[Any, str]]] = {
    "bound": ({"priority": 10**9}, ": priority must be at most 1000000"),
    "kind": ({"delay": "soon"}, ": delay must be a number"),
    "name": ({"name": ""}, ": Job name must be a non-empty string of at most 256 characters"),
    "field": ({"prio": 1}, ": there is no field 'prio'"),
    "part": ({"backoff": {"delay": 1, "most": 5}}, ": there is no field 'most'"),
    "needs": ({"groupMaxSize": 5}, ": groupMaxSize needs group too"),
    "ties": ({"parent": {"queue": "q", "id": "p"}, "data": [1]}, ": data must be an object"),
    "reserved": ({"parent": {"queue": "q", "id": "p"}, "data": {"__a": 1}}, ": data may not have '__a'"),
    "itself": ({"id": "me", "dependsOn": ["me"]}, ": Job cannot depend on itself: me"),
}


@pytest.mark.parametrize("case", sorted(WRONG))
async def test_the_wrong_job_of_a_batch_is_named(rest: Rest, case: str) -> None:
    said, words = WRONG[case]
    jobs = [GOOD, GOOD, GOOD, GOOD | said, GOOD]
    answer = await rest.ask("POST", "/queues/q/jobs/batch", {"jobs": jobs})
    assert (answer.status, answer.body["detail"]) == (422, f"jobs[3]{words}")
    assert (await rest.get("/queues/q"))["counts"]["waiting"] == 0


@pytest.mark.parametrize("case", sorted(WRONG))
async def test_the_wrong_output_of_a_settled_job_is_named(rest: Rest, case: str) -> None:
    said, words = WRONG[case]
    outputs = [{"queue": "q", "jobs": [GOOD]}, {"queue": "q", "jobs": [GOOD, GOOD | said]}]
    answer = await rest.ask("POST", "/leases/settle", {"settlements": [], "outputs": outputs})
    assert (answer.status, answer.body["detail"]) == (422, f"outputs[1].jobs[1]{words}")


@pytest.mark.parametrize("case", ["bound", "kind", "name", "field", "part", "needs"])
async def test_the_wrong_job_of_a_flow_is_named(rest: Rest, case: str) -> None:
    said, words = WRONG[case]
    part = {"queue": "q", **GOOD}
    flow = part | {"children": [part, part | {"children": [part | said]}]}
    answer = await rest.ask("POST", "/flows", flow)
    assert (answer.status, answer.body["detail"]) == (422, f"children[1].children[0]{words}")


async def test_data_of_a_flow_that_hides_its_ties_is_refused_with_its_place(rest: Rest) -> None:
    part = {"queue": "q", **GOOD}
    answer = await rest.ask("POST", "/flows", part | {"children": [part | {"data": {"__parentId": "x"}}]})
    assert (answer.status, answer.body["detail"]) == (422, "children[0]: data may not have '__parentId'")


async def test_null_for_what_may_be_left_out_of_a_flow_is_as_if_it_were(rest: Rest) -> None:
    part = {"queue": "q", "name": "n", "children": None, "data": None}
    ids = (await rest.post("/flows", part | {"children": [part]}))["ids"]
    assert [(await rest.get(f"/jobs/{id}"))["data"] for id in ids] == [{}, {}]


async def test_null_for_the_options_of_a_schedule_is_as_if_they_were_left_out(rest: Rest) -> None:
    body = {"queue": "q", "jobName": "n", "repeatEvery": 60_000}
    for options in ({}, {"jobOptions": None}):
        assert (await rest.ask("PUT", "/schedules/s", body | options)).status == 200
    plain = await rest.get("/schedules/s")
    await rest.ask("PUT", "/schedules/t", body)
    without = {"name": "t", "nextRun": 0}
    assert plain | without == await rest.get("/schedules/t") | without
