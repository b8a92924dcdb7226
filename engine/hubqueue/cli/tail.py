"""`hubqueue tail`: what happens, as it happens."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import click

from hubqueue.cli.connect import Hub, hub_options, json_option

if TYPE_CHECKING:
    from hubqueue.client.remote import RemoteHub
    from hubqueue.model.verbs import Event

_STYLES: Final = {"completed": "green", "failed": "red", "active": "blue", "pushed": "cyan", "delayed": "yellow"}
_MAX_BEHIND: Final = 10_000  # events kept for a slow terminal; more are counted and told


@click.command()
@click.argument("queue", required=False)
@click.option("--count", type=click.IntRange(1), help="End after so many events.")
@json_option
@hub_options
def tail(hub: Hub, queue: str | None, count: int | None, as_json: bool) -> None:
    """Follow the events of QUEUE, or of all queues, until Ctrl-C.

    \b
    Examples:
      hubqueue tail
      hubqueue tail readings --json | jq 'select(.eventType == "failed")'
    """
    hub.ask(lambda remote: _follow(remote, queue, count, as_json))


async def _follow(remote: RemoteHub, queue: str | None, count: int | None, as_json: bool) -> None:
    events: asyncio.Queue[Event] = asyncio.Queue(_MAX_BEHIND)
    missed = 0

    def receive(event: Event) -> None:
        nonlocal missed
        if events.full():
            missed += 1
        else:
            events.put_nowait(event)

    end = await remote.subscribe(queue, receive, ("*", "expired"))
    click.echo(f"Following {queue or 'all queues'}; Ctrl-C ends it.", err=True)
    try:
        shown = 0
        while count is None or shown < count:
            _print(await events.get(), as_json)
            shown += 1
            if missed:
                click.echo(f"{missed:,} events were too fast for this terminal and are left out.", err=True)
                missed = 0
    finally:
        end()


def _print(event: Event, as_json: bool) -> None:
    import json

    from hubqueue.cli import show
    from hubqueue.cli.times import clock_ms

    if as_json:
        click.echo(json.dumps(show.event_map(event), ensure_ascii=False))
        return
    detail = event.error or (f"{event.progress:g} %" if event.progress is not None else "")
    kind = click.style(f"{event.kind:<10}", fg=_STYLES.get(event.kind))
    click.echo(f"{clock_ms(event.at_ms)}  {kind}  {event.queue}  {event.job_id}  {_clean(detail)}".rstrip())


def _clean(text: str) -> str:
    return "".join(char if char.isprintable() else "�" for char in text)
