"""bunqueue's own clients, unchanged, against a real hub process: the protocol is theirs."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path
from typing import Any

import bunqueue as pypi_client

from support.bunqueue import bun, install
from support.hub_process import HubProcess

SCRIPT = Path(__file__).parents[1] / "support" / "bunqueue_client.mjs"
CLIENT_S = 60


def test_the_typescript_client_adds_works_and_listens(tmp_path: Path) -> None:
    folder = install()
    home = tmp_path / "client"
    home.mkdir()
    (home / "node_modules").symlink_to(folder / "node_modules")
    (home / "client.mjs").write_text(SCRIPT.read_text())
    with HubProcess(tmp_path) as hub:
        done = subprocess.run(
            [bun(folder), "client.mjs", str(hub.port)],
            cwd=home,
            capture_output=True,
            text=True,
            timeout=CLIENT_S,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert "error" not in seen, seen["error"]
    assert (seen["id"], seen["again"], seen["bulk"], seen["deduplicated"]) == ("my-id", "my-id", 50, True)
    assert seen["found"] == {"name": "welcome", "data": {"to": "someone", "n": 1}}
    assert seen["paused"] is True
    assert (seen["completed"], seen["failures"]) == (52, 1)
    assert seen["events"]["completed"] == 52
    assert seen["events"]["failed"] == 1
    assert len(seen["results"]) == 52
    assert (seen["logs"], seen["workers"], seen["cleaned"]) == (1, 1, 10)
    assert seen["counts"]["completed"] == 42


def test_the_python_client_adds_works_and_asks(tmp_path: Path) -> None:
    with HubProcess(tmp_path) as hub:
        queue = pypi_client.Queue("emails", host="127.0.0.1", port=hub.port)
        first = queue.add("welcome", {"to": "someone"}, priority=2, attempts=3, backoff=10, tags=["t"])
        ids = queue.add_bulk([{"name": f"n{i}", "data": {"i": i}} for i in range(100)])
        assert len(set(ids)) == 100
        assert queue.get_job("no such job") is None
        assert queue.get_job(first.id).data == {"to": "someone"}
        assert queue.count() == 101
        ended: list[str] = []
        all_ended = threading.Event()

        def end(job: Any, *_: object) -> None:
            ended.append(job.id)
            if len(set(ended)) == 101:
                all_ended.set()

        def process(job: Any) -> object:
            if job.data.get("i") == 7:
                raise pypi_client.UnrecoverableError("never")
            job.update_progress(50, "half")
            job.log("hello")
            return {"ok": job.data.get("i")}

        worker = pypi_client.Worker(
            "emails", process, host="127.0.0.1", port=hub.port, concurrency=4, poll_timeout_ms=500, autorun=False
        )
        worker.on("completed", end)
        worker.on("failed", end)
        worker.start()
        assert all_ended.wait(CLIENT_S)
        counts = queue.get_job_counts()
        assert (counts["completed"], counts["failed"]) == (100, 1)
        assert queue.get_result(ids[3]) == {"ok": 3}
        assert [line["message"] for line in queue.get_job_logs(ids[3])] == ["hello"]
        assert [job["id"] for job in queue.get_dlq()] == [ids[7]]
        assert queue.retry_dlq() == 1
        worker.close()
        assert queue.clean(0, 50, "completed") == 50
        queue.obliterate()
        queue.close()
