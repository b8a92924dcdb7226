"""`hubqueue demo`: see it work."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from hubqueue.demo.stage import Script
    from hubqueue.demo.view import Doors, Picture

_LINE_EVERY_S: Final = 2.0  # without a terminal


@click.command()
@click.option("--duration", type=click.FloatRange(1), metavar="SECONDS", help="End by itself after so long.")
@click.option("--mqtt-url", metavar="URL", help="Use this broker instead of one of our own.  [HUBQUEUE_MQTT_URL]")
@click.option(
    "--data-path",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Keep both job files and the logs in this folder; default: a folder that is deleted at the end.",
)
@click.option("--plain", is_flag=True, help="Print lines instead of a live table.")
def demo(duration: float | None, mqtt_url: str | None, data_path: Path | None, plain: bool) -> None:
    """Show a whole installation at work, until Ctrl-C.

    Simulated sensors publish over MQTT, rules make jobs of it, two workers take them (one fails now and then, so
    that retries and the dead-letter queue are seen), and a forwarder carries readings to a second hub over an
    uplink that is cut and comes back. A day of the house takes ten minutes.
    """
    import os
    import tempfile

    from hubqueue.demo.stage import Script

    url = mqtt_url or os.environ.get("HUBQUEUE_MQTT_URL") or None
    if data_path is not None:
        data_path.mkdir(parents=True, exist_ok=True)
        _play(Script(data_path, url, duration), plain)
        return
    with tempfile.TemporaryDirectory(prefix="hubqueue-demo-") as folder:
        _play(Script(Path(folder), url, duration), plain)


def _play(script: Script, plain: bool) -> None:
    import signal
    import sys

    import uvloop

    from hubqueue import logs
    from hubqueue.demo.view import line

    async def until_told(stage: _Stage) -> Picture:
        from hubqueue.demo.stage import play

        stopping = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the last: its terminal was closed
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        return await play(script, stage.show, stopping)

    with (script.folder / "edge.log").open("a", encoding="utf-8") as log_file:
        logs.configure("info", "text", log_file)
        click.echo("Starting the broker, two hubs, sensors and workers ...", err=True)
        with _Lines() if plain or not sys.stdout.isatty() else _Live() as stage:
            last = uvloop.run(until_told(stage))
    click.echo(line(last))


class _Stage(AbstractContextManager["_Stage"]):
    """Where the pictures go."""

    @abstractmethod
    def show(self, picture: Picture, doors: Doors) -> None:
        """Draw this one."""


class _Lines(_Stage):
    """A line every few seconds."""

    def __init__(self) -> None:
        self._last_s = -_LINE_EVERY_S

    def __exit__(self, *_: object) -> None:
        """Lines stay."""

    def show(self, picture: Picture, doors: Doors) -> None:
        from hubqueue.demo.view import line

        if self._last_s < 0:
            click.echo(f"dashboard at {doors.dashboard}")
            click.echo(f"edge hub at {doors.tcp}")
        if picture.elapsed_s - self._last_s >= _LINE_EVERY_S:
            self._last_s = picture.elapsed_s
            click.echo(line(picture))


class _Live(_Stage):
    """A table that is drawn anew in its place."""

    def __init__(self) -> None:
        from rich.live import Live

        self._live = Live(auto_refresh=False, transient=False, vertical_overflow="crop")

    def __enter__(self) -> _Stage:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, picture: Picture, doors: Doors) -> None:
        from hubqueue.demo.view import render

        self._live.update(render(picture, doors), refresh=True)
