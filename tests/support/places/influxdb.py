"""A real InfluxDB as a place. A job is known by its series (device and number) and its time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from hubqueue.model.job import NewJob
from support.influxdb import DATABASE, LOGIN, Influxdb
from support.places.place import reading


class InfluxPlace:
    """`InfluxPlace(folder)`."""

    knows = True
    ordered = False

    def __init__(self, folder: Path) -> None:
        self._influxdb = Influxdb(folder)
        self.port = self._influxdb.port
        self.public_port = self.port
        self._typed = False

    async def start(self) -> None:
        await self._influxdb.start()
        if not self._typed:
            await self._influxdb.write("readings,device=none value=0.5 1000000000")
            self._typed = True

    async def kill(self) -> None:
        self._influxdb.kill()

    def way(self, *, stranger: bool = False) -> dict[str, Any]:
        return {
            "to": f"influx+http://127.0.0.1:{self.public_port}",
            "influx": {
                "database": DATABASE,
                "username": LOGIN[0],
                "password": "wrong" if stranger else LOGIN[1],
                "measurement": "{{ queue }}",
                "tags": ["device", "n"],
                "fields": ["value"],
                "time": "data.n",  # all in one shard, whose types the first point has settled
            },
        }

    def poison(self) -> NewJob:
        """A text where the database has numbers: only the server knows that."""
        return NewJob(data=msgspec.msgpack.encode(reading(0) | {"value": "warm"}))

    async def arrived(self) -> list[int]:
        rows = await self._influxdb.ask('SELECT value, n FROM "readings"')
        return sorted(int(row["n"]) for row in rows if row["n"] is not None)

    async def close(self) -> None:
        self._influxdb.kill()
