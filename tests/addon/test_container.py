"""The app in its image: work, health, death, backup and stop, with 128 MB of memory and a read-only root."""

from __future__ import annotations

import json
import subprocess
import threading
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from support.container import AppContainer, build, empty, inspect, installed
from support.dashboard import Asker
from support.mosquitto import Mosquitto
from support.supervisor import FakeSupervisor, back_up, put_back
from support.waiting import until_true

RULES: dict[str, Any] = {"mqtt": {"rules": [{"topic": "sensors/{room}", "queue": "readings"}]}}
HANDLER = """
import asyncio, pathlib
from hubqueue import task

@task("long", queue="work")
async def long(job):
    while not pathlib.Path("/config/finish").exists():
        await asyncio.sleep(0.05)
    return "done"
"""


def publish(broker: Mosquitto, count: int, password: str = "handed-out") -> None:
    """Publish so many readings, each acknowledged by the broker."""
    subprocess.run(
        [
            "mosquitto_pub",
            "-p",
            str(broker.port),
            "-u",
            "addons",
            "-P",
            password,
            "-q",
            "1",
            "-t",
            "sensors/hall",
            "-l",
        ],
        input="".join(f'{{"number": {number}}}\n' for number in range(count)),
        text=True,
        check=True,
        timeout=60,
    )


def subscribed(app: AppContainer) -> bool:
    return "MQTT link up" in app.log()


def test_the_app_does_its_work(image: str, tmp_path: Path, supervisor: FakeSupervisor, broker: Mosquitto) -> None:
    supervisor.refusals = 1
    with AppContainer(image, tmp_path, supervisor, settings=RULES) as app:
        until_true(lambda: subscribed(app))
        publish(broker, 50)
        until_true(lambda: app.waiting("readings") == 50)

        # what the integration is told is what it can come in with
        (told,) = until_true(lambda: supervisor.announced)
        assert told["service"] == "hubqueue"
        assert set(told["config"]) == {"host", "port", "token", "hub_id"}
        assert told["config"]["token"] == app.token()
        url = f"http://127.0.0.1:{told['config']['port']}/api/v1/queues"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {told['config']['token']}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert json.load(answer)

        # health, as the image says it is checked
        check = inspect(image)["Healthcheck"]["Test"]
        assert app.run(*check[1:]).returncode == 0
        # nobody is root any more, and nothing of the image can be written
        status = app.run("cat", "/proc/1/status").stdout
        assert "Uid:\t6790\t6790\t6790\t6790" in status
        assert app.run("touch", "/opt/hubqueue/x").returncode != 0
        assert app.token() not in app.log()
        assert "handed-out" not in app.log()


def test_a_changed_password_is_fetched_again(
    image: str, tmp_path: Path, supervisor: FakeSupervisor, broker: Mosquitto
) -> None:
    supervisor.mqtt = {**(supervisor.mqtt or {}), "password": "of yesterday"}
    with AppContainer(image, tmp_path, supervisor, settings=RULES) as app:
        until_true(lambda: "refused the login" in app.log())
        supervisor.mqtt["password"] = "handed-out"
        until_true(lambda: subscribed(app))
        publish(broker, 3)
        until_true(lambda: app.waiting("readings") == 3)


def test_a_broker_may_come_later(image: str, tmp_path: Path, supervisor: FakeSupervisor, broker: Mosquitto) -> None:
    login, supervisor.mqtt = supervisor.mqtt, None
    with AppContainer(image, tmp_path, supervisor, settings=RULES) as app:
        until_true(lambda: "Home Assistant has no MQTT broker" in app.log())
        check = inspect(image)["Healthcheck"]["Test"]
        assert app.run(*check[1:]).returncode == 0
        supervisor.mqtt = login
        until_true(lambda: subscribed(app))


def test_a_kill_loses_no_job(image: str, tmp_path: Path, supervisor: FakeSupervisor, broker: Mosquitto) -> None:
    app = AppContainer(image, tmp_path, supervisor, settings=RULES)
    with app:
        until_true(lambda: subscribed(app))
        publish(broker, 200)
        until_true(lambda: app.waiting("readings") == 200)
        with app.ask() as ask:
            ask("PUSHB", queue="own", jobs=[{"name": "x", "data": {"number": number}} for number in range(300)])
        hub = supervisor.announced[-1]["config"]["hub_id"]
        assert app.end("KILL") == 137
        app.start()
        assert app.waiting("own") == 300
        assert app.waiting("readings") == 200
        until_true(lambda: len(supervisor.announced) == 2)
        assert supervisor.announced[-1]["config"]["hub_id"] == hub


def test_a_stop_lets_running_work_end(image: str, tmp_path: Path, supervisor: FakeSupervisor) -> None:
    app = AppContainer(image, tmp_path, supervisor, options={"mqtt": False})
    (app.config / "handlers").mkdir()
    (app.config / "handlers" / "long.py").write_text(HANDLER)
    with app:
        with app.ask() as ask:
            ask("PUSHB", queue="work", jobs=[{"name": "long", "data": number} for number in range(5)])
        until_true(lambda: state_of(app, "work", "active") == 1)
        app.signal("TERM")
        until_true(lambda: "stopping" in app.log())
        (app.config / "finish").touch()
        assert app.wait() == 0
        assert (app.data / "rest" / "hub.db").exists()
        app.start()
        with app.ask() as ask:
            assert ask("GetJobCounts", queue="work")["counts"]["completed"] >= 1


def test_a_backup_under_load_comes_back(image: str, tmp_path: Path, supervisor: FakeSupervisor) -> None:
    app = AppContainer(image, tmp_path / "one", supervisor, options={"mqtt": False})
    with app:
        accepted: list[str] = []
        stop = threading.Event()
        loader = threading.Thread(target=load, args=(app.port, app.token(), accepted, stop))
        loader.start()
        try:
            until_true(lambda: len(accepted) > 200)
            made = app.run("hubqueue", "backup-hook", "pre", "--token-file", "/data/integration.token")
            assert made.returncode == 0, made.stderr
            before = list(accepted)
            taken = back_up(app.data)
            until_true(lambda: len(accepted) > len(before) + 50)
            assert app.run("hubqueue", "backup-hook", "post").returncode == 0
            assert not (app.data / "copy").exists()
        finally:
            stop.set()
            loader.join()
        newest = accepted[-1]
        assert app.end("TERM") == 0
    assert not [name for name in taken if name.startswith(("hubqueue.", "rest"))]

    empty(app.data)
    put_back(taken, app.data)
    with app, app.ask() as ask:
        # all that was accepted before the copy was begun is there, and no id is given out twice
        assert ask("GetJob", id=accepted[200])["job"]["data"] == {"number": 200}
        assert ask("GetJobCounts", queue="load")["counts"]["waiting"] >= 200
        again = ask("PUSH", queue="load", data={"number": -1})["id"]
        assert int(again.rpartition("-")[2]) > int(newest.rpartition("-")[2]) + 10**11
        assert not (app.data / "copy").exists()


def test_a_backup_of_a_stopped_app_holds_the_jobs(image: str, tmp_path: Path, supervisor: FakeSupervisor) -> None:
    app = AppContainer(image, tmp_path, supervisor, options={"mqtt": False})
    with app:
        with app.ask() as ask:
            id = ask("PUSH", queue="q", data="kept")["id"]
        assert app.end("TERM") == 0
        taken = back_up(app.data)
        empty(app.data)
        put_back(taken, app.data)
        app.start()
        with app.ask() as ask:
            assert ask("GetJob", id=id)["job"]["data"] == "kept"


def test_a_mistake_in_the_settings_is_told(image: str, tmp_path: Path, supervisor: FakeSupervisor) -> None:
    app = AppContainer(image, tmp_path, supervisor, options={"mqtt": False})
    app.settings({"drain": "soon"})
    with pytest.raises(AssertionError) as told:
        app.start()
    assert "hubqueue.yaml" in str(told.value)
    assert "drain: must be a duration" in str(told.value)


def state_of(app: AppContainer, queue: str, state: str) -> int:
    with app.ask() as ask:
        return int(ask("GetJobCounts", queue=queue)["counts"][state])


def load(port: int, token: str, accepted: list[str], stop: threading.Event) -> None:
    """Enqueue one job after the other until told to stop."""
    with Asker(port, token) as ask:
        while not stop.is_set():
            accepted.append(ask("PUSH", queue="load", data={"number": len(accepted)})["id"])


def test_built_from_the_repository_it_holds_the_same(image: str) -> None:
    here = installed(image)
    assert any(path.endswith("hubqueue/app.py") for path in here)
    assert installed(build("amd64", "--root")) == here
