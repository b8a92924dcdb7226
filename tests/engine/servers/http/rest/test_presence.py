"""Every route of the table: 404 for what its path names and is not there, 409 for a job in a state that is not for it.

Both name it. A route that makes what it names, or is content with what has ended, is listed with its reason.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from hubqueue.servers.http.rest.route import Route
from hubqueue.servers.http.rest.routes import ROUTES
from support.hub_process import HubProcess
from support.rest import Rest, client_of, serving

NAMING: Final = [route for route in ROUTES if {"id", "name"} & set(route.parameters)]
MAKING: Final = {"putSchedule", "putForwarder"}  # it is there afterwards
OF_JOBS: Final = [route for route in NAMING if route.path.startswith("/jobs/")]
ENDED: Final = {  # good answers about a job that has completed
    "getJob": 200,
    "getLogs": 200,
    "addLog": 204,
    "clearLogs": 204,
    "awaitResult": 200,
    **dict.fromkeys(("complete", "fail", "release"), 200),  # nothing is applied, and the answer says so
}


def spoken(value: Any, id: str, token: str) -> Any:
    """The example of a route with the things of a test in it."""
    match value:
        case dict():
            return {name: spoken(each, id, token) for name, each in value.items()}
        case list():
            return [spoken(each, id, token) for each in value]
    return {"ID": id, "TOKEN": token}.get(value, value) if isinstance(value, str) else value


async def asked(rest: Rest, route: Route, id: str, token: str = "0:none") -> tuple[int, Any]:
    path = route.path.format(queue="q", id=id, name=id)
    answer = await rest.ask(route.method, path, spoken(route.example, id, token))
    return answer.status, answer.body


def title(route: Route) -> str:
    return route.name


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A whole process: forwarders are its own."""
    with HubProcess(tmp_path_factory.mktemp("hub"), "--tcp-port", "0", "--http-port", "0") as running:
        yield running


@pytest.fixture
async def process(hub: HubProcess) -> AsyncIterator[Rest]:
    async with client_of(hub.http_port) as rest:
        yield rest


@pytest.mark.parametrize("route", [route for route in NAMING if route.name not in MAKING], ids=title)
async def test_what_is_not_there_is_404_and_named(process: Rest, route: Route) -> None:
    status, body = await asked(process, route, "nobody-1")
    assert (status, body["code"]) == (404, "not_found")
    assert "'nobody-1'" in body["detail"]


@pytest.mark.parametrize("route", OF_JOBS, ids=title)
async def test_a_job_that_has_ended_is_409_and_named(rest: Rest, route: Route) -> None:
    await rest.post("/queues/q/jobs", {"name": "n", "id": "done-1"})
    (token,) = (await rest.post("/queues/q/lease"))["tokens"]
    await rest.post("/jobs/done-1/complete", {"token": token})
    status, body = await asked(rest, route, "done-1", token)
    if route.name in ENDED:
        assert status == ENDED[route.name]
    else:
        assert (status, "'done-1'" in body["detail"]) == (409, True)


@pytest.mark.parametrize("route", [route for route in OF_JOBS if "token" in (route.example or {})], ids=title)
async def test_a_lease_that_is_not_held_is_409_and_named(rest: Rest, route: Route) -> None:
    await rest.post("/queues/q/jobs", {"name": "n", "id": "busy-1"})
    await rest.post("/queues/q/lease")
    status, body = await asked(rest, route, "busy-1")
    assert (status, body["code"], "busy-1" in body["detail"]) == (409, "lock_lost", True)
    await rest.post("/queues/q/jobs", {"name": "n", "id": "idle-1"})
    status, body = await asked(rest, route, "idle-1")
    assert (status, "idle-1" in body["detail"]) == (409, True)


async def test_a_token_is_told_no_state_of_jobs_that_are_not_its_own(tmp_path: Path) -> None:
    async with serving(tmp_path / "hub.db", tokens=("all-of-it",)) as rest:
        made = await rest.post("/tokens", {"name": "t", "scopes": ["work"], "queues": ["own"]})
        await rest.post("/queues/other/jobs", {"name": "n", "id": "there"})
        only = {"Authorization": f"Bearer {made['token']}"}
        answer = await rest.ask("POST", "/jobs/there/promote", headers=only)
        assert (answer.status, "waiting" in answer.body["detail"]) == (403, False)
