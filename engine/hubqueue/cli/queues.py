"""`hubqueue queues`, `pause` and `resume`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hubqueue.cli.connect import Hub, hub_options, json_option

if TYPE_CHECKING:
    from hubqueue.model.verbs import QueueInfo


@click.command()
@json_option
@hub_options
def queues(hub: Hub, as_json: bool) -> None:
    """List the queues and their jobs by state.

    FAILED jobs are the dead-letter queue: 'hubqueue dlq list QUEUE' shows why.

    \b
    Examples:
      hubqueue queues
      hubqueue queues --json | jq '.[] | select(.failed > 0)'
    """
    from hubqueue.cli import output, show

    infos = hub.ask(lambda remote: remote.queues())
    if as_json:
        output.print_json([show.queue_map(info) for info in infos])
        return
    columns = ("queue", "waiting", "delayed", "active", "completed", "failed", "")
    output.print_table(
        output.table(columns, right=columns[1:6]),
        (_row(info) for info in sorted(infos, key=lambda info: info.name)),
        empty="There are no queues yet: 'hubqueue add QUEUE DATA' makes one.",
    )


def _row(info: QueueInfo) -> list[str]:
    from hubqueue.cli.output import escape, number

    counts = info.counts
    waiting = counts.waiting + counts.prioritized + counts.paused
    return [
        escape(info.name),
        number(waiting),
        number(counts.delayed + counts.waiting_children),
        number(counts.active),
        number(counts.completed),
        f"[red]{counts.failed:,}[/]" if counts.failed else number(0),
        "[magenta]paused[/]" if info.paused else "",
    ]


@click.command()
@click.argument("queue")
@hub_options
def pause(hub: Hub, queue: str) -> None:
    """Pause QUEUE: take jobs in, hand none out.

    It lasts over restarts, until 'hubqueue resume'.
    """
    hub.ask(lambda remote: remote.pause(queue))
    click.echo(f"Queue {queue} is paused. Go on with: hubqueue resume {queue}")


@click.command()
@click.argument("queue")
@hub_options
def resume(hub: Hub, queue: str) -> None:
    """Let QUEUE hand out jobs again."""
    hub.ask(lambda remote: remote.resume(queue))
    click.echo(f"Queue {queue} goes on.")
