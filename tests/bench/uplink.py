"""Forwarding: from one hub to another over TCP, both measured, with the durable pushes that are its default."""

from __future__ import annotations

from time import perf_counter

from bench.bridge import reach
from bench.figures import Figures, Meter
from bench.scenario import Scenario, Stage, fill
from bench.servers import Hubqueue

EDGE = """\
forwarders:
  - queue: readings
    to: tcp://127.0.0.1:{port}
    target: readings
    concurrency: 2
    batch: 500
"""


def hub_to_hub(stage: Stage) -> Figures:
    """The edge's queue is filled while it is paused; the clock runs from its resumption to the last job there.

    CPU is that of the edge; memory too.
    """
    with stage.serve(name="central") as central, central.line() as there:
        settings = stage.folder / "hubqueue.yaml"
        settings.write_text(EDGE.format(port=central.port), encoding="utf-8")
        with stage.serve(["--config", str(settings)], name="edge") as edge, edge.line() as here:
            here.call("Pause", queue="readings")
            fill(edge, "readings", stage.jobs)
            with Meter(edge) as meter:
                began = perf_counter()
                here.call("Resume", queue="readings")
                seconds = reach(there, "readings", stage.jobs) - began
    return meter.rate(stage.jobs, seconds)


SCENARIOS = (Scenario("forward", "forward hub to hub", hub_to_hub, 50_000, 10_000, servers=(Hubqueue.name,)),)
