"""A forwarder made on the command line lives in the job file: it survives SIGKILL and goes on, without a job twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import hubqueue
from support.hub_process import HubProcess
from support.proxy import Proxy
from support.shell import Shell
from support.waiting import until

TOKEN = "central-secret"
JOBS = 2000


async def test_a_forwarder_made_at_run_time_survives_kills_and_doubles_nothing(tmp_path: Path) -> None:
    edge_folder, central_folder = tmp_path / "edge", tmp_path / "central"
    edge_folder.mkdir()
    central_folder.mkdir()
    with HubProcess(central_folder, environ={"HUBQUEUE_AUTH_TOKENS": TOKEN}) as central:
        async with Proxy(central.port) as uplink, hubqueue.Client(central.url, token=TOKEN) as there:
            uplink.delay_s = 0.01  # batches are under way when the edge is killed
            with HubProcess(edge_folder) as edge:
                async with hubqueue.Client(edge.url) as here:
                    await here.queue("readings").add_many([("reading", n) for n in range(JOBS)])
                _add(edge, f"tcp://127.0.0.1:{uplink.port}")
                for kill in range(3):
                    floor = (kill + 1) * JOBS // 5
                    await until(lambda floor=floor: _arrived(there, floor))
                    edge.kill()
                    assert TOKEN not in edge.log()
                    edge.start()
                await until(lambda: _arrived(there, JOBS))
                shell = Shell(edge_folder, edge.url)
                (shown,) = shell.json("forward")
                assert (shown["name"], shown["declared"], shown["hasToken"]) == ("up", "runtime", True)
                async with hubqueue.Client(edge.url) as here:
                    await until(lambda: _all_done(here))
            got = Counter([job.data async for job in there.queue("site").jobs()])
            assert got == Counter(range(JOBS))


def _add(edge: HubProcess, to: str) -> None:
    shell = Shell(edge.folder, edge.url)
    shell(
        *("forward", "add", "readings", "--name", "up", "--to", to, "--target", "site", "--token-from", "-"),
        *("--batch", "20"),
        stdin=f"{TOKEN}\n",
    )


async def _arrived(there: hubqueue.Client, count: int) -> bool:
    return bool((await there.queue("site").counts()).waiting >= count)


async def _all_done(here: hubqueue.Client) -> bool:
    counts = await here.queue("readings").counts()
    return bool(counts.completed == JOBS and counts.active + counts.waiting + counts.failed == 0)
