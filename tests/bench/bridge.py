"""MQTT in: from a publisher through a real Mosquitto to committed jobs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, perf_counter, sleep

from bench.figures import Figures, Meter
from bench.jobs import reading
from bench.publisher import publish, send
from bench.scenario import Scenario, Stage
from bench.servers import Hubqueue
from hubqueue.client.load import Line
from support.ports import free_port

WINDOW = 200
PATIENCE_S = 120.0
POLL_S = 0.02

BROKER = """\
listener {port} 127.0.0.1
allow_anonymous true
max_queued_messages 0
max_inflight_messages 1000
"""

HUB = """\
mqtt:
  url: mqtt://127.0.0.1:{port}
  rules:
    - topic: sensors/#
      queue: readings
"""


@contextmanager
def mosquitto(folder: Path) -> Iterator[int]:
    """A broker on a free port; its port when it listens."""
    port = free_port()
    settings = folder / "mosquitto.conf"
    settings.write_text(BROKER.format(port=port), encoding="utf-8")
    broker = subprocess.Popen(["/usr/sbin/mosquitto", "-c", str(settings)], stderr=subprocess.DEVNULL)
    try:
        deadline = monotonic() + 10
        while True:
            try:
                send(port, [], 1)
                break
            except OSError:
                if broker.poll() is not None or monotonic() > deadline:
                    raise
                sleep(POLL_S)
        yield port
    finally:
        broker.terminate()
        broker.wait(10)


def waiting(line: Line, queue: str) -> int:
    """How many jobs of the queue wait."""
    counts: dict[str, int] = line.call("GetJobCounts", queue=queue)["counts"]
    return counts["waiting"] + counts["prioritized"]


def reach(line: Line, queue: str, jobs: int) -> float:
    """Waits until so many jobs wait in the queue; when that was seen."""
    deadline = monotonic() + PATIENCE_S
    while (seen := waiting(line, queue)) < jobs:
        if monotonic() > deadline:
            raise TimeoutError(f"only {seen} of {jobs} jobs arrived within {PATIENCE_S:.0f} s")
        sleep(POLL_S)
    return perf_counter()


def through_mosquitto(stage: Stage) -> Figures:
    """Publisher, broker and hub share the machine's cores; the clock stops when the last message is a job."""
    packets = [
        publish(f"sensors/temp/room{n % 50}", json.dumps(reading(n)["payload"]).encode(), n) for n in range(stage.jobs)
    ]
    with mosquitto(stage.folder) as port:
        settings = stage.folder / "hubqueue.yaml"
        settings.write_text(HUB.format(port=port), encoding="utf-8")
        with stage.serve(["--config", str(settings)]) as server, server.line() as line:
            subscribed(port, line)
            with Meter(server) as meter:
                began = perf_counter()
                send(port, packets, WINDOW)
                seconds = reach(line, "readings", stage.jobs + 1) - began
    return meter.rate(stage.jobs, seconds)


def subscribed(port: int, line: Line) -> None:
    """Returns when a message comes through, so that the clock does not measure the bridge's start."""
    deadline = monotonic() + PATIENCE_S
    while not waiting(line, "readings"):
        if monotonic() > deadline:
            raise TimeoutError("the hub does not take messages from the broker")
        send(port, [publish("sensors/temp/first", b'{"temp": 1}', 0)], 1)
        sleep(0.1)
    line.call("Drain", queue="readings")
    send(port, [publish("sensors/temp/first", b'{"temp": 1}', 0)], 1)
    reach(line, "readings", 1)


SCENARIOS = (
    Scenario(
        "mqtt",
        "MQTT QoS 1 in, Mosquitto",
        through_mosquitto,
        40_000,
        10_000,
        {"jobs_per_s": 12_000.0},
        servers=(Hubqueue.name,),
    ),
)
