"""bunqueue's own Python client, unchanged, against a real hub process."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import bunqueue as pypi_client

from support.hub_process import HubProcess

CLIENT_S = 60


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
