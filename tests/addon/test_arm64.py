"""The main job of the app on ARM64, emulated: MQTT in, a handler that works, and out to another hub."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support.container import AppContainer, build
from support.dashboard import Asker
from support.hub_process import HubProcess
from support.mosquitto import Mosquitto
from support.supervisor import FakeSupervisor
from support.waiting import until_true

HANDLER = """
from hubqueue import task

@task("double", queue="numbers")
async def double(job):
    return job.data["number"] * 2
"""


@pytest.fixture(scope="session")
def arm64() -> str:
    return build("arm64")


def test_the_main_job_on_arm64(arm64: str, tmp_path: Path, supervisor: FakeSupervisor, broker: Mosquitto) -> None:
    with HubProcess(tmp_path) as central:
        rules = [
            {"topic": "numbers/+", "queue": "numbers", "name": "double", "shape": "payload"},
            {"topic": "readings/+", "queue": "readings"},
        ]
        options = {"forwarders": [{"queue": "readings", "to": central.url, "target": "central"}]}
        app = AppContainer(
            arm64,
            tmp_path / "app",
            supervisor,
            options=options,
            settings={"mqtt": {"rules": rules}},
            memory="512m",  # the emulator takes more than twice what the program does
            patience_s=120,
        )
        (app.config / "handlers").mkdir()
        (app.config / "handlers" / "double.py").write_text(HANDLER)
        with app:
            assert app.run("uname", "-m").stdout.strip() == "aarch64"
            until_true(lambda: "MQTT link up" in app.log())
            until_true(lambda: supervisor.announced)
            for topic in ("numbers/a", "readings/a"):
                publish = ["mosquitto_pub", "-p", str(broker.port), "-u", "addons", "-P", "handed-out", "-q", "1"]
                lines = "".join(f'{{"number": {number}}}\n' for number in range(20))
                subprocess.run([*publish, "-t", topic, "-l"], input=lines, text=True, check=True, timeout=60)
            with app.ask() as ask, Asker(central.port) as there:
                until_true(lambda: ask("GetJobCounts", queue="numbers")["counts"]["completed"] == 20, 120)
                until_true(lambda: there("GetJobCounts", queue="central")["counts"]["waiting"] == 20, 120)
                assert ask("GetJobCounts", queue="readings")["counts"]["waiting"] == 0
            assert app.end("TERM") == 0
