"""PostgreSQL as a place: plain, or with TimescaleDB; the table is made by the forwarder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from hubqueue.model.job import NewJob
from support.places.place import QUEUE, reading
from support.postgres import PASSWORD, Postgres


class PostgresPlace:
    """`PostgresPlace(folder)`."""

    knows = True
    ordered = False  # a table has no order; test_postgres_sink looks at the one of inserting

    def __init__(self, folder: Path, *, timescale: bool = False) -> None:
        folder.mkdir(parents=True)
        self._server = Postgres(folder, timescale=timescale)
        self._timescale = timescale
        self._known = False
        self.port = self._server.port
        self.public_port = self.port

    async def start(self) -> None:
        await self._server.start()
        if self._timescale:
            await self._server.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")

    async def kill(self) -> None:
        self._server.kill()

    def way(self, *, stranger: bool = False) -> dict[str, Any]:
        columns = {"n": {"from": "data.n", "type": "integer", "required": True}, "device": "data.device"}
        return {
            "to": f"postgresql://postgres@127.0.0.1:{self.public_port}/postgres",
            "postgres": {
                "table": QUEUE,
                "password": "wrong" if stranger else PASSWORD,
                "columns": {**columns, "value": {"from": "data.value", "type": "double precision"}},
                "by": ["device"],
            },
        }

    def poison(self) -> NewJob:
        return NewJob(data=msgspec.msgpack.encode({**reading(0), "n": "many"}))

    async def arrived(self) -> list[int]:
        return [n for (n,) in await self._server.query(f"SELECT n FROM {QUEUE}")]

    async def close(self) -> None:
        self._server.close()


def timescale(folder: Path) -> PostgresPlace:
    return PostgresPlace(folder, timescale=True)
