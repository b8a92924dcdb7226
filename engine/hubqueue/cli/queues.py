"""`hubqueue queues`, `pause`, `resume`, `delete-queue` and `try-now`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hubqueue.cli.connect import Hub, hub_options, json_option
from hubqueue.cli.words import jobs
from hubqueue.errors import WrongState

if TYPE_CHECKING:
    from hubqueue.model.verbs import QueueInfo


@click.command()
@json_option
@hub_options
def queues(hub: Hub, as_json: bool) -> None:
    """List the queues and their jobs by state.

    FAILED jobs are the dead-letter queue: 'hubqueue dlq list QUEUE' shows why. EXPIRED
    ones were removed since their ttl was over.

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
    columns = ("queue", "waiting", "delayed", "active", "completed", "failed", "expired", "")
    output.print_table(
        output.table(columns, right=columns[1:7]),
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
        f"[yellow]{info.expired:,}[/]" if info.expired else number(0),
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


@click.command()
@click.argument("queue")
@click.option("--force", is_flag=True, help="With the jobs that are in it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@hub_options
def delete_queue(hub: Hub, queue: str, force: bool, yes: bool) -> None:
    """Delete QUEUE for good.

    One that holds jobs (waiting, running or dead) is deleted with --force only.
    What has been completed goes with the queue.

    \b
    Examples:
      hubqueue delete-queue ligths
      hubqueue delete-queue old-readings --force
    """
    try:
        hub.ask(lambda remote: remote.obliterate(queue, force=False))
    except WrongState as error:  # it holds jobs
        if not force:
            raise
        if not yes:
            click.confirm(f"{error.message}. Delete it with them for good?", abort=True, err=True)
        hub.ask(lambda remote: remote.obliterate(queue))
    click.echo(f"Queue {queue} is deleted.")


@click.command()
@click.argument("queue")
@click.option("--limit", type=click.IntRange(1), help="So many at most, the oldest first.")
@hub_options
def try_now(hub: Hub, queue: str, limit: int | None) -> None:
    """Let the delayed jobs of QUEUE run now.

    As when the internet is back: what failed meanwhile waits for its next try, and need not wait any longer. A queue
    that is forwarded has 'hubqueue forward drain' besides, which tries its link too.
    """
    count = hub.ask(lambda remote: remote.promote_all(queue, limit=limit))
    verb = "runs" if count == 1 else "run"
    click.echo(f"{jobs(count)} of {queue} {verb} now." if count else f"No job of {queue} is delayed.")
