"""`hubqueue dlq`: the jobs that finally failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hubqueue.cli.connect import Hub, hub_options, json_option
from hubqueue.cli.jobs import list_page

if TYPE_CHECKING:
    from hubqueue.model.job import Job


@click.group()
def dlq() -> None:
    """List, retry or purge the jobs that finally failed.

    \b
    Examples:
      hubqueue dlq list readings
      hubqueue dlq retry readings
      hubqueue dlq purge readings --yes
    """


@dlq.command("list")
@click.argument("queue")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 100_000), help="How many at most.")
@json_option
@hub_options
def list_dead(hub: Hub, queue: str, limit: int, as_json: bool) -> None:
    """List the dead jobs of QUEUE, the newest first."""
    from hubqueue.cli import output, show

    found = hub.ask(lambda remote: list_page(remote, queue, ("failed",), limit, newest=True))
    if as_json:
        output.print_json([show.job_map(job) for job in found])
        return
    drawn = output.table(("id", "tries", "failed", "why"), right=("tries",), whole=("id", "failed"))
    empty = f"No job of queue {queue} has failed for good."
    output.print_table(drawn, (_row(job) for job in found), empty=empty)
    if len(found) == limit:
        click.echo(f"The first {limit} are shown; --limit shows more.", err=True)


def _row(job: Job) -> list[str]:
    from hubqueue.cli.output import escape
    from hubqueue.cli.times import ago

    why = job.history.error or job.history.reason or "-"
    return [escape(job.id), str(job.attempts), ago(job.finished_at_ms), f"[red]{escape(why)}[/]"]


@dlq.command()
@click.argument("queue", required=False)
@click.option("--id", "id", help="Only this job; QUEUE is not needed then.")
@click.option("--limit", type=click.IntRange(1), help="The oldest so many only.")
@json_option
@hub_options
def retry(hub: Hub, queue: str | None, id: str | None, limit: int | None, as_json: bool) -> None:
    """Put dead jobs of QUEUE back to waiting, with all their attempts."""
    from hubqueue.cli.output import print_json

    if (id is None) == (queue is None):
        raise click.UsageError("name a QUEUE, or one job with --id")
    if id is not None:
        hub.ask(lambda remote: remote.retry(id))
        count = 1
    else:
        assert queue is not None
        count = hub.ask(lambda remote: remote.retry_dead(queue, limit=limit))
    if as_json:
        print_json({"retried": count})
    else:
        click.echo(f"{count:,} {'job waits' if count == 1 else 'jobs wait'} again.")


@dlq.command()
@click.argument("queue")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@hub_options
def purge(hub: Hub, queue: str, yes: bool, as_json: bool) -> None:
    """Delete every dead job of QUEUE for good."""
    from hubqueue.cli.output import print_json

    if not yes:
        dead = hub.ask(lambda remote: remote.counts(queue)).failed
        click.confirm(f"Delete {dead:,} dead jobs of queue {queue} for good?", abort=True, err=True)
    count = hub.ask(lambda remote: remote.purge(queue))
    if as_json:
        print_json({"purged": count})
    else:
        click.echo(f"{count:,} dead {'job is' if count == 1 else 'jobs are'} deleted.")
