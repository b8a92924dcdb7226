"""`python -m bench.burst` (in tests/): devices that come back at once and flood the hub with what they have kept.

2,000 connections send 200,000 QoS 1 messages through Mosquitto as fast as it takes them, while another queue's jobs are
timed over TCP. Broker, devices, probe and hub share the machine's cores. Source: issue 8.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

import click

from support.burst import burst, stage, stored


@click.command(help=__doc__)
@click.option("--devices", default=2000, show_default=True)
@click.option("--each", default=100, show_default=True, help="Messages of each device.")
@click.option("--rounds", default=3, show_default=True)
def main(devices: int, each: int, rounds: int) -> None:
    for _ in range(rounds):
        print(f"load before: {os.getloadavg()[0]:.1f}")
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(_round(Path(folder), devices, each))


async def _round(folder: Path, devices: int, each: int) -> None:
    async with stage(folder, devices) as (broker, hub):
        print(await burst(broker, hub, devices, each))
        hub.stop()
    ids = stored(folder / "hub.db")
    print(f"  missing {devices * each - len(ids)}, more than once {sum(count > 1 for count in ids.values())}")


if __name__ == "__main__":
    main()
