"""`hubqueue dlq`: the jobs that finally failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hubqueue.cli.connect import Hub, hub_options, json_option
from hubqueue.cli.jobs import list_page

if TYPE_CHECKING:
    from hubqueue.client.remote import RemoteHub
    from hubqueue.model.job import Job
    from hubqueue.model.verbs import Retried

UNROUTABLE = "_unroutable"


@click.group()
def dlq() -> None:
    """List, retry or purge the jobs that finally failed.

    \b
    Examples:
      hubqueue dlq list readings
      hubqueue dlq retry readings
      hubqueue dlq retry _unroutable
      hubqueue dlq purge readings --yes
    """


@dlq.command("list")
@click.argument("queue")
@click.option("--tag", "tags", multiple=True, help="Only jobs with this tag; if repeated, with all of them.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 100_000), help="How many at most.")
@json_option
@hub_options
def list_dead(hub: Hub, queue: str, tags: tuple[str, ...], limit: int, as_json: bool) -> None:
    """List the dead jobs of QUEUE, the newest first."""
    from hubqueue.cli import output, show

    found = hub.ask(lambda remote: list_page(remote, queue, ("failed",), limit, newest=True, tags=tags))
    if as_json:
        output.print_json([show.job_map(job) for job in found])
        return
    drawn = output.table(("id", "tries", "failed", "why"), right=("tries",), whole=("id", "failed"))
    empty = f"No {'such ' if tags else ''}job of queue {queue} has failed for good."
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
    """Put dead jobs of QUEUE back to waiting, with all their attempts.

    Messages that became no job, in queue _unroutable, go through today's rules and sources again.
    """
    from hubqueue.cli.output import print_json

    if (id is None) == (queue is None):
        raise click.UsageError("name a QUEUE, or one job with --id")
    if id is not None and limit is not None:
        raise click.UsageError("--limit goes with a QUEUE, --id is one job")
    name, done = hub.ask(lambda remote: _again(remote, queue, id, limit))
    if as_json:
        print_json({"count": done.again, "passed": done.passed, "kept": done.kept, "why": done.why})
    else:
        click.echo(told(name, done))


async def _again(remote: RemoteHub, queue: str | None, id: str | None, limit: int | None) -> tuple[str, Retried]:
    if queue is not None:
        return queue, await remote.retry_dead(queue, limit=limit)
    assert id is not None
    job = await remote.get(id)
    return job.queue, await remote.retry(id)


def told(queue: str, done: Retried) -> str:
    """What became of them, by numbers."""
    if queue == UNROUTABLE:
        parts = [f"{done.again:,} routed", f"{done.kept:,} still unroutable"]
        if done.passed:
            parts.insert(1, f"{done.passed:,} left out by rules")
    else:
        parts = [f"{done.again:,} {'job waits' if done.again == 1 else 'jobs wait'} again"]
        if done.kept:
            parts.append(f"{done.kept:,} {'stays' if done.kept == 1 else 'stay'} dead")
    return f"{', '.join(parts)}." + (f"\nThe first: {done.why}" if done.kept and done.why else "")


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
        click.confirm(
            f"Delete {dead:,} dead {'job' if dead == 1 else 'jobs'} of queue {queue} for good?", abort=True, err=True
        )
    count = hub.ask(lambda remote: remote.purge(queue))
    if as_json:
        print_json({"count": count})
    else:
        click.echo(f"{count:,} dead {'job is' if count == 1 else 'jobs are'} deleted.")
