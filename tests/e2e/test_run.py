"""The hub process as users run it: settings in, signals, errors, and everything at once."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import hubqueue
from hubqueue.errors import NotAuthenticated
from support import certificates
from support.hub_process import HubProcess, clean_environment
from support.mosquitto import Mosquitto
from support.waiting import PATIENCE_S, until


def refused(folder: Path, *arguments: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a hub that is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "hubqueue", "run", *arguments],
        cwd=folder,
        env=clean_environment(environ),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


async def test_a_job_survives_a_kill_and_a_restart(tmp_path: Path) -> None:
    with HubProcess(tmp_path) as hub:
        async with hubqueue.Client(hub.url) as client:
            job = await client.queue("mail").add("send", {"to": "ada"})
        first = hub.hub_id
        assert hub.kill() == -signal.SIGKILL
        hub.start()
        assert hub.hub_id == first
        async with hubqueue.Client(hub.url) as client:
            assert (await client.queue("mail").get(job.id)).data == {"to": "ada"}


async def test_sigterm_lets_running_work_end(tmp_path: Path) -> None:
    with HubProcess(tmp_path) as hub:
        async with hubqueue.Client(hub.url) as client:
            queue = client.queue("slow")
            job = await queue.add("work")
            running, go_on = asyncio.Event(), asyncio.Event()

            async def work(_: hubqueue.RunningJob) -> str:
                running.set()
                await go_on.wait()
                return "done"

            async with client.worker("slow", work, grace=5):
                await running.wait()
                hub.signal(signal.SIGTERM)
                await until(lambda: "stopping" in hub.log())
                go_on.set()
                assert await asyncio.to_thread(hub.wait) == 0
        hub.start()
        async with hubqueue.Client(hub.url) as client:
            ended = await client.queue("slow").get(job.id)
            assert (ended.state, ended.result) == ("completed", "done")


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    async def hold(hub: HubProcess) -> int:
        async with hubqueue.Client(hub.url) as client:
            await client.queue("held").add("work")
            leased = await client.verbs.lease("held", 1, owner="test")
            assert len(leased) == 1  # unfinished work holds the drain up
            hub.signal(signal.SIGTERM)
            await until(lambda: "stopping" in hub.log())
            hub.signal(signal.SIGTERM)
            return await asyncio.to_thread(hub.wait)

    with HubProcess(tmp_path) as hub:
        assert asyncio.run(hold(hub)) == 128 + signal.SIGTERM


def test_a_second_hub_on_the_same_file_is_refused_by_pid(tmp_path: Path) -> None:
    with HubProcess(tmp_path) as hub:
        other = refused(tmp_path, "--data-path", "hub.db", "--tcp-port", "0")
        assert other.returncode == 1
        assert f"already open by pid {hub.pid}" in other.stderr
        assert "Traceback" not in other.stderr


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with HubProcess(tmp_path) as hub:
        other = refused(tmp_path, "--data-path", "other.db", "--tcp-port", str(hub.port))
        assert other.returncode == 3
        assert str(hub.port) in other.stderr
        assert "Traceback" not in other.stderr


@pytest.mark.parametrize("flags", [("--host", "0.0.0.0"), ("--http-host", "0.0.0.0")], ids=str)
async def test_a_hub_that_others_can_reach_makes_its_first_token_and_shows_it_once(
    tmp_path: Path, flags: tuple[str, ...]
) -> None:
    with HubProcess(tmp_path, "--tcp-port", "0", *flags) as hub:
        (secret,) = re.findall(r"\bhq_\S+", hub.log())
        with pytest.raises(NotAuthenticated):
            await hubqueue.Client(hub.url).open()
        async with hubqueue.Client(hub.url, token=secret) as client:
            await client.queue("q").add("x")
        hub.stop()
        hub.start()
        assert hub.log().count("hq_") == 1
        async with hubqueue.Client(hub.url, token=secret) as client:
            assert (await client.queue("q").counts()).waiting == 1


async def test_tokens_and_tls_guard_the_door(tmp_path: Path) -> None:
    files = certificates.make(tmp_path / "tls")
    arguments = ("--tcp-port", "0", "--tls-cert", str(files.cert), "--tls-key", str(files.key))
    with HubProcess(tmp_path, *arguments, environ={"HUBQUEUE_AUTH_TOKENS": "first,second"}) as hub:
        url = f"tls://127.0.0.1:{hub.port}"
        async with hubqueue.Client(url, token="second", ca_file=str(files.ca)) as client:
            await client.queue("q").add("x")
        with pytest.raises(NotAuthenticated):
            await hubqueue.Client(url, token="third", ca_file=str(files.ca)).open()
        assert "second" not in hub.log()


EVERYTHING = """
data_path: edge.db
tcp: {{port: 0}}
mqtt:
  url: mqtt://127.0.0.1:{mqtt}
  rules:
    - {{topic: "sensors/{{kind}}/{{room}}", queue: work, name: reading}}
    - {{topic: "sensors/#", queue: uplink, name: reading}}
handlers: {{folder: handlers}}
forwarders:
  - {{queue: uplink, to: "tcp://127.0.0.1:{central}", target: readings, token: central-secret, backoff: 100ms}}
log: {{format: json}}
"""

HANDLER = """
from hubqueue import task

@task("reading", queue="work")
async def reading(job):
    return {"doubled": job.data["payload"]["value"] * 2, "kind": job.data["parts"]["kind"]}
"""


async def test_mqtt_rules_handlers_and_forwarder_work_together(tmp_path: Path) -> None:
    edge_folder, central_folder = tmp_path / "edge", tmp_path / "central"
    (edge_folder / "handlers").mkdir(parents=True)
    central_folder.mkdir()
    (edge_folder / "handlers" / "readings.py").write_text(HANDLER)
    async with Mosquitto(tmp_path) as broker:
        with HubProcess(central_folder, environ={"HUBQUEUE_AUTH_TOKENS": "central-secret"}) as central:
            config = edge_folder / "hubqueue.yaml"
            config.write_text(EVERYTHING.format(mqtt=broker.port, central=central.port))
            with HubProcess(edge_folder, "--log-level", "info", config=config) as edge:
                await until(lambda: "MQTT link up" in edge.log())
                for value in range(10):
                    await publish(broker.port, "sensors/temperature/attic", f'{{"value": {value}}}')
                async with (
                    hubqueue.Client(edge.url) as here,
                    hubqueue.Client(central.url, token="central-secret") as there,
                ):
                    await until(lambda: counted(here, "work", "completed", 10))
                    await until(lambda: counted(there, "readings", "waiting", 10))
                    results = [job.result["doubled"] async for job in here.queue("work").jobs("completed")]
                    assert sorted(results) == [value * 2 for value in range(10)]
                assert edge.stop() == 0, edge.log()
                assert "Traceback" not in edge.log()


async def counted(client: hubqueue.Client, queue: str, state: str, wanted: int) -> bool:
    count: int = getattr(await client.queue(queue).counts(), state)
    return count == wanted


async def publish(port: int, topic: str, payload: str) -> None:
    command = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(port), "-q", "1", "-t", topic, "-m", payload]
    process = await asyncio.create_subprocess_exec(*command, env=os.environ)
    assert await process.wait() == 0
