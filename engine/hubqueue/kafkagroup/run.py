"""The process of one member: until a signal ends it. `hubqueue pipeline run` calls `main`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal

from hubqueue.errors import ConfigError
from hubqueue.kafkagroup.member import Member
from hubqueue.kafkagroup.metrics import Glance, MemberMetrics
from hubqueue.kafkagroup.source import From
from hubqueue.pipeline.plan import Pipeline

log = logging.getLogger(__name__)


async def main(pipeline: Pipeline, source: From, host: str, port: int) -> None:
    """Run until SIGTERM or SIGINT: what was read is written and committed, then the group is left.

    Errors: ConfigError; for a pipeline that cannot be run so before anything else.
    """
    figures = MemberMetrics(pipeline.name)
    member = Member(pipeline, source, figures)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    glance = Glance(figures)
    try:
        await glance.open(host, port)
    except OSError as error:
        raise ConfigError(f"the port for metrics cannot be opened: {error}", hint="choose another --metrics") from error
    working = asyncio.create_task(member.run(), name="member")
    told = asyncio.create_task(stopping.wait(), name="signals")
    try:
        print(f"ready metrics={host}:{glance.port} pipeline={pipeline.name} pid={os.getpid()}", flush=True)
        log.info("started pipeline=%s group=%s topics=%s", pipeline.name, source.group, ",".join(source.topics))
        await asyncio.wait((working, told), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        for task in (working, told):
            task.cancel()
        await asyncio.gather(working, told, return_exceptions=True)
        await glance.close()
    log.info("stopped pipeline=%s", pipeline.name)
