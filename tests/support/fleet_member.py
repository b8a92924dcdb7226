"""A member of a consumer group in this process, with a sink that can be away: what it reads, writes and says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from hubqueue.config.pipelines import read_pipeline
from hubqueue.kafkagroup.member import Member
from hubqueue.kafkagroup.metrics import MemberMetrics
from hubqueue.kafkagroup.source import From
from hubqueue.sources.settings import KafkaBrokers
from support.http_server import serving


@dataclass
class Shelf:
    """An HTTP server that keeps what it is sent, by id. away: it answers 503 and counts. `hang`: it answers nothing."""

    kept: dict[str, Any] = field(default_factory=dict)
    away: bool = False
    refused: int = 0
    url: str = ""
    answering: asyncio.Event = field(default_factory=asyncio.Event)

    def hang(self) -> None:
        """Answer nothing until `answering` is set; what came till then is not kept."""
        self.answering.clear()

    async def post(self, request: web.Request) -> web.Response:
        jobs = await request.json()
        if self.away or not self.answering.is_set():
            self.refused += 1
            await self.answering.wait()
            return web.Response(status=503)
        self.kept |= {job["id"]: job["data"] for job in jobs}
        return web.json_response({"rejected": []})


@asynccontextmanager
async def shelf() -> AsyncIterator[Shelf]:
    made = Shelf()
    made.answering.set()
    async with serving(made.post) as address:
        made.url = f"{address}/"
        yield made


def pipeline_file(folder: Path, shelf: Shelf, steps: str = "[]") -> Path:
    """To the shelf, in batches."""
    file = folder / "p.yaml"
    sink = f"{{to: '{shelf.url}', write_timeout: 30s, http: {{batch: true, body: envelope}}}}"
    file.write_text(f"name: p\nsteps: {steps}\nto: {{forward: {sink}}}\n")
    return file


@asynccontextmanager
async def member(file: Path, url: str, topic: str, **options: Any) -> AsyncIterator[MemberMetrics]:
    """Runs until the end of the block, which it must live to see; then it leaves its group."""
    figures = MemberMetrics("p")
    settings = {"session_s": 6.0, "group": "g", **options}
    source = From(brokers=KafkaBrokers((url,)), topics=(topic,), **settings)
    task = asyncio.create_task(Member(read_pipeline(file), source, figures).run())
    try:
        yield figures
        assert not task.done(), task.result()
    finally:
        task.cancel()
        await asyncio.wait({task})
