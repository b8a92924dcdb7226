"""Scenarios of a large backlog and of doing nothing."""

from __future__ import annotations

from time import perf_counter, sleep

from bench.figures import Figures, Meter
from bench.jobs import pushes
from bench.process import cpu_seconds, resident_mb
from bench.scenario import Scenario, Stage, fill
from bench.servers import Server
from hubqueue.client.load import Requests, drive

PROBES = 2_000
SETTLE_S = 3.0
IDLE_S = 20.0


def backlog(stage: Stage) -> Figures:
    """Fills a queue, then asks what that did to memory, to a push and to a restart."""
    with stage.serve() as server:
        fill(server, "readings", 1_000)
        small = drive(server.target, [Requests(pushes("readings", PROBES), 1)])
        with Meter(server) as meter:
            filled_s = fill(server, "readings", stage.jobs)
        large = drive(server.target, [Requests(pushes("readings", PROBES), 1)])
        rss_mb = resident_mb(server.pid)
        server.stop()
        restart_s = first_job_s(server)
        server.kill()
        restart_after_kill_s = first_job_s(server)
    return {
        **meter.rate(stage.jobs, filled_s),
        "waiting_jobs": stage.jobs,
        "rss_mb": rss_mb,
        "p50_ms": large.percentile(0.5) * 1e3,
        "p99_ms": large.percentile(0.99) * 1e3,
        "p99_ms_at_1000": small.percentile(0.99) * 1e3,
        "restart_s": restart_s,
        "restart_after_kill_s": restart_after_kill_s,
    }


def first_job_s(server: Server) -> float:
    """From the start of the process to the first leased job, interpreter and imports included."""
    began = perf_counter()
    server.start()
    with server.line() as line:
        assert line.call("PULL", queue="readings", owner="load")["job"] is not None
    return perf_counter() - began


def idle(stage: Stage) -> Figures:
    """What a server with nothing to do costs. The sleeps are the measurement."""
    with stage.serve() as server:
        sleep(SETTLE_S)
        before = cpu_seconds(server.pid)
        sleep(IDLE_S)
        used_s = cpu_seconds(server.pid) - before
        return {"idle_cpu_percent": used_s / IDLE_S * 100, "rss_mb": resident_mb(server.pid)}


SCENARIOS = (
    Scenario(
        "backlog",
        "backlog",
        backlog,
        1_000_000,
        100_000,
        {"rss_mb": 60.0, "restart_s": 1.0, "restart_after_kill_s": 1.0},
        once=True,
    ),
    Scenario("idle", "idle", idle, 0, 0, {"rss_mb": 45.0, "idle_cpu_percent": 0.5}, once=True),
)
