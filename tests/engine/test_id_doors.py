"""An own id by every door: one living job in the hub, and a refusal that says which queue has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

import hubqueue
from hubqueue.errors import Duplicate
from support.hub_process import HubProcess
from support.rest import Rest, serving
from support.shell import Shell

HAS_IT: Final = "The id mine is that of a job in queue q"


@pytest.fixture
async def rest(tmp_path: Path) -> AsyncIterator[Rest]:
    async with serving(tmp_path / "hub.db") as served:
        yield served


REST: Final[dict[str, tuple[str, Any]]] = {
    "jobs": ("/queues/{}/jobs", {"name": "n", "id": "mine"}),
    "batch": ("/queues/{}/jobs/batch", {"jobs": [{"name": "m"}, {"name": "n", "id": "mine"}]}),
    "feed": ("/queues/{}/feed?id=mine", {"t": 1}),
    "invoke": ("/queues/{}/invoke/n", {"data": 1, "id": "mine"}),
}


@pytest.mark.parametrize(("path", "body"), REST.values(), ids=REST)
async def test_rest_answers_409_with_the_queue_that_has_it(rest: Rest, path: str, body: Any) -> None:
    await rest.post("/queues/q/jobs", {"name": "first", "id": "mine"})
    answer = await rest.ask("POST", path.format("other"), body)
    assert (answer.status, answer.body["code"], answer.body["detail"]) == (409, "duplicate", HAS_IT)
    assert "choose another one" in answer.body["hint"]
    assert (await rest.hub.counts("other")).waiting == 0
    await rest.post(path.format("q"), body)  # in its own queue the job that stands there is answered
    assert (await rest.get("/jobs/mine"))["name"] == "first"


async def test_what_follows_from_a_settled_job_is_refused_and_the_job_is_still_leased(rest: Rest) -> None:
    await rest.post("/queues/q/jobs", {"name": "first", "id": "mine"})
    await rest.post("/queues/work/jobs", {"name": "n"})
    (leased,) = await rest.hub.lease("work", 1, owner="w")
    done = {"id": leased.id, "token": leased.token, "outcome": "complete"}
    more = {"settlements": [done], "outputs": [{"queue": "other", "jobs": [{"name": "out", "id": "mine"}]}]}
    answer = await rest.ask("POST", "/leases/settle", more)
    assert (answer.status, answer.body["code"]) == (409, "duplicate"), answer.body
    assert (await rest.hub.counts("work")).active == 1


async def test_python_raises_it_embedded_and_over_tcp(tmp_path: Path) -> None:
    with HubProcess(tmp_path) as process:
        async with hubqueue.Client(process.url) as remote:
            await remote.queue("q").add("n", id="mine")
            with pytest.raises(Duplicate, match=HAS_IT):
                await remote.queue("other").add("n", id="mine")
    async with hubqueue.open(tmp_path / "own.db") as hub:
        await hub.queue("q").add("n", id="mine")
        with pytest.raises(Duplicate, match=HAS_IT):
            await hub.queue("other").add_many([hubqueue.job("n", id="mine")])


def test_the_command_line_says_it(tmp_path: Path) -> None:
    with HubProcess(tmp_path) as hub:
        shell = Shell(hub.folder, hub.url)
        shell("add", "q", "1", "--id", "mine")
        assert HAS_IT in shell("add", "other", "1", "--id", "mine", code=1).stderr
