"""bunqueue's own Python client, unchanged, against a real hub process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from bunqueue import AuthError, Bunqueue, CommandError, FlowProducer, Queue, UnrecoverableError, Worker

from support import certificates
from support.hub_process import HubProcess
from support.waiting import PATIENCE_S, until_true

FAST = {"type": "fixed", "delay": 10}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    with HubProcess(tmp_path) as process:
        yield process


@pytest.fixture
def queue(hub: HubProcess) -> Iterator[Queue]:
    with Queue("emails", host="127.0.0.1", port=hub.port) as client:
        yield client


def worker(hub: HubProcess, process: Callable[[Any], object], name: str = "emails", **options: Any) -> Worker:
    """Use it as a context: leaving waits for what runs."""
    return Worker(name, process, host="127.0.0.1", port=hub.port, poll_timeout_ms=300, **options)


def test_a_hundred_jobs_come_back_with_results_logs_and_one_dead_letter(hub: HubProcess, queue: Queue) -> None:
    ids = queue.add_bulk([{"name": f"n{i}", "data": {"i": i}} for i in range(100)])
    assert len(set(ids)) == 100
    assert queue.count() == 100

    def process(job: Any) -> object:
        if job.data["i"] == 7:
            raise UnrecoverableError("never")
        job.update_progress(50, "half")
        job.log("hello")
        return {"ok": job.data["i"]}

    with worker(hub, process, concurrency=4):
        until_true(lambda: queue.get_completed_count() == 99 and queue.get_failed_count() == 1)
        assert queue.get_result(ids[3]) == {"ok": 3}
        assert queue.wait_for_job(ids[4]) == {"ok": 4}
        with pytest.raises(CommandError, match="failed before completion"):
            queue.wait_for_job(ids[7])
        assert [line["message"] for line in queue.get_job_logs(ids[3])] == ["hello"]
        assert [job["id"] for job in queue.get_dlq()] == [ids[7]]
        dead = queue.get_job(ids[7])
        assert dead is not None
        assert (dead.state, dead.attempts) == ("failed", 1)
        assert any("never" in line for line in dead.stacktrace or [])
        assert queue.get_workers_count() == 1
    assert queue.get_workers_count() == 0
    assert queue.clean(0, 50, "completed") == 50
    assert queue.purge_dlq() == 1
    assert queue.get_job("no such job") is None


def test_the_most_urgent_job_runs_first_and_delayed_ones_wait(hub: HubProcess, queue: Queue) -> None:
    order: list[str] = []
    queue.pause()
    for name, priority in (("low", 1), ("high", 9), ("middle", 5)):
        queue.add("task", {"is": name}, priority=priority)
    later = queue.add("task", {"is": "later"}, delay=300)
    assert queue.get_state(later.id) == "delayed"
    assert queue.is_paused()
    with worker(hub, lambda job: order.append(job.data["is"]), concurrency=1):
        assert order == []
        queue.resume()
        until_true(lambda: len(order) == 4)
    assert order == ["high", "middle", "low", "later"]


def test_a_job_is_tried_again_until_it_succeeds(hub: HubProcess, queue: Queue) -> None:
    tries: list[int] = []

    def process(job: Any) -> str:
        tries.append(job.attempts)
        if len(tries) < 3:
            raise RuntimeError("not yet")
        return "at last"

    with worker(hub, process):
        job = queue.add("flaky", {}, attempts=5, backoff=FAST)
        assert queue.wait_for_job(job.id) == "at last"
    assert tries == [0, 1, 2]


def test_a_key_admits_one_job_at_a_time_and_its_ttl_outlives_the_job(hub: HubProcess, queue: Queue) -> None:
    def add(n: int, ttl: int | None = None) -> str:
        return str(queue.add("once", {"n": n}, attempts=1, deduplication={"id": "key", "ttl": ttl}).id)

    first = add(1)
    assert add(2) == first
    with worker(hub, lambda job: job.data["n"]):
        assert queue.wait_for_job(first) == 1
        second = add(3, ttl=60_000)
        assert second != first
        assert queue.wait_for_job(second) == 3
    assert add(4) == second


def test_a_custom_id_is_one_job_while_it_lives(queue: Queue) -> None:
    first = queue.add("order", {"v": 1}, job_id="order:7")
    assert queue.add("order", {"v": 2}, job_id="order:7").id == first.id == "order:7"
    found = queue.get_job_by_custom_id("order:7")
    assert found is not None
    assert found.data["v"] == 1
    assert queue.count() == 1


def test_jobs_results_and_dead_letters_survive_a_kill_of_the_hub(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path).start()
    port = hub.port
    done: list[int] = []
    with Queue("emails", host="127.0.0.1", port=port) as queue:
        finished = queue.add("task", {"i": 0})
        dead = queue.add("task", {"i": -1}, attempts=1)

        def process(job: Any) -> int:
            if job.data["i"] < 0:
                raise ValueError("negative")
            done.append(job.data["i"])
            return int(job.data["i"])

        with worker(hub, process, concurrency=1) as running:
            running.on("error", lambda error: None)
            until_true(lambda: queue.get_failed_count() == 1 and queue.get_completed_count() == 1)
            running.pause()
            queue.add_bulk([{"name": "task", "data": {"i": i}} for i in range(1, 51)])
            hub.kill()
            with HubProcess(tmp_path, "--tcp-port", str(port)):
                running.resume()
                until_true(lambda: len(set(done)) == 51)
                assert queue.get_result(finished.id) == 0
                assert [job["id"] for job in queue.get_dlq()] == [dead.id]
                until_true(lambda: queue.get_completed_count() == 51)
                assert queue.get_workers_count() == 1
                running.close()
    # a poll that was out when the worker paused may have brought one job, and its end may have met the dead hub
    assert 51 <= len(done) <= 52


def test_closing_a_worker_lets_its_job_end(hub: HubProcess, queue: Queue) -> None:
    began, may_end = threading.Event(), threading.Event()

    def process(job: Any) -> str:
        del job
        began.set()
        may_end.wait(PATIENCE_S)
        return "whole"

    job = queue.add("long", {})
    closing = worker(hub, process)
    assert began.wait(PATIENCE_S)
    assert closing.close(timeout=0.1) is False
    may_end.set()
    assert closing.close() is True
    assert queue.get_result(job.id) == "whole"


def test_simple_mode_batches_and_schedules(hub: HubProcess) -> None:
    sizes: list[int] = []

    def together(jobs: list[Any]) -> list[int]:
        sizes.append(len(jobs))
        return [job.data["i"] for job in jobs]

    batch = {"size": 5, "timeout": 200, "processor": together}
    app = Bunqueue("rows", host="127.0.0.1", port=hub.port, poll_timeout_ms=300, concurrency=5, batch=batch)
    try:
        ids = app.add_bulk([{"name": "row", "data": {"i": i}} for i in range(10)])
        until_true(lambda: app.get_job_counts()["completed"] == 10)
        assert sum(sizes) == 10
        assert [app.queue.get_result(one) for one in ids] == list(range(10))
        app.every("beat", 100, {"i": 99}, limit=1)
        until_true(lambda: app.get_job_counts()["completed"] == 11)
        app.cron("nightly", "0 3 * * *", {"i": 0}, timezone="Europe/Rome")
        schedule = app.queue.get_job_scheduler("nightly")
        assert schedule is not None
        assert (schedule["schedule"], schedule["timezone"]) == ("0 3 * * *", "Europe/Rome")
        app.remove_cron("nightly")
        assert app.queue.get_job_scheduler("nightly") is None
    finally:
        app.close()


def test_a_flow_runs_its_children_first_and_hands_their_results_up(hub: HubProcess, queue: Queue) -> None:
    order: list[str] = []
    values: dict[str, Any] = {}

    def process(job: Any) -> str:
        order.append(job.data["step"])
        if job.data["step"] == "root":
            values.update(job.get_children_values())
        return f"{job.data['step']} done"

    def node(step: str, *children: dict[str, Any]) -> dict[str, Any]:
        return {"name": step, "queueName": "emails", "data": {"step": step}, "children": list(children)}

    with FlowProducer(host="127.0.0.1", port=hub.port) as flows:
        tree = flows.add(node("root", node("left", node("leaf")), node("right")))
        assert queue.get_state(tree.job.id) == "waiting-children"
        read = flows.get_flow(tree.job.id)
        assert read is not None
        assert [len(child.children) for child in read.children] == [1, 0]
        steps = [{"name": "s", "queueName": "emails", "data": {"step": step}} for step in ("one", "two", "three")]
        chain = flows.add_chain(steps)
        with worker(hub, process, concurrency=4):
            assert queue.wait_for_job(tree.job.id) == "root done"
            assert queue.wait_for_job(chain[-1]) == "three done"
    assert order.index("leaf") < order.index("left") < order.index("root")
    assert order.index("right") < order.index("root")
    assert [step for step in order if step in ("one", "two", "three")] == ["one", "two", "three"]
    assert sorted(values.values()) == ["left done", "right done"]


def test_tls_and_tokens_are_spoken(tmp_path: Path) -> None:
    files = certificates.make(tmp_path / "tls")
    arguments = (
        "--tcp-port",
        "0",
        "--tls-cert",
        str(files.cert),
        "--tls-key",
        str(files.key),
        "--auth-tokens",
        "right",
    )
    with HubProcess(tmp_path, *arguments) as hub:
        where: dict[str, Any] = {"host": "127.0.0.1", "port": hub.port, "tls": {"ca_file": str(files.ca)}}
        # All stay open to the end: the client's reader outlives a close and may read from the next socket.
        with ExitStack() as still_open:
            for _ in range(40):  # session tickets after the handshake would break the first call of some
                queue = still_open.enter_context(Queue("secret", token="right", **where))
                assert queue.get_state(queue.add("hush", {}).id) == "waiting"
            without = still_open.enter_context(Queue("secret", **where))
            with pytest.raises(CommandError, match="Not authenticated"):
                without.add("hush", {})
            wrong = still_open.enter_context(Queue("secret", token="wrong", **where))
            with pytest.raises(AuthError):
                wrong.wait_until_ready()
