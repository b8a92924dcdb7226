"""`hubqueue jobs` lists the jobs of a queue, `hubqueue job` shows one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from hubqueue.cli.connect import Hub, hub_options, json_option

if TYPE_CHECKING:
    from hubqueue.client.remote import RemoteHub
    from hubqueue.model.job import Job
    from hubqueue.model.repeat import Repeat

_STATES: Final = ("waiting", "delayed", "active", "completed", "failed")
_PAGE: Final = 200  # jobs asked for at a time


@click.command()
@click.argument("queue")
@click.option("--state", "states", multiple=True, type=click.Choice(_STATES), help="Only this state; may be repeated.")
@click.option("--tag", "tags", multiple=True, help="Only jobs with this tag; if repeated, with all of them.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 100_000), help="How many at most.")
@click.option("--newest/--oldest", default=True, help="Which end of the queue comes first.", show_default=True)
@json_option
@hub_options
def jobs(
    hub: Hub, queue: str, states: tuple[str, ...], tags: tuple[str, ...], limit: int, newest: bool, as_json: bool
) -> None:
    """List jobs of QUEUE.

    \b
    Examples:
      hubqueue jobs readings
      hubqueue jobs readings --state failed --limit 100
      hubqueue jobs readings --tag cellar
      hubqueue jobs readings --json | jq '.[].id'
    """
    from hubqueue.cli import output, show

    found = hub.ask(lambda remote: list_page(remote, queue, states, limit, newest=newest, tags=tags))
    if as_json:
        output.print_json([show.job_map(job) for job in found])
        return
    columns = ("id", "name", "state", "tries", "created", "data")
    empty = f"Queue {queue} has no such jobs." if states or tags else f"Queue {queue} holds no jobs."
    drawn = output.table(columns, right=("tries",), whole=("id", "name", "state", "created"), cut=("data",))
    output.print_table(drawn, (_row(job) for job in found), empty=empty)
    if len(found) == limit:
        click.echo(f"The first {limit} are shown; --limit shows more.", err=True)


async def list_page(
    remote: RemoteHub, queue: str, states: tuple[str, ...], limit: int, *, newest: bool, tags: tuple[str, ...]
) -> list[Job]:
    from hubqueue.model.state import BY_LABEL

    found: list[Job] = []
    cursor: int | None = None
    while len(found) < limit:
        page = await remote.list_jobs(
            queue,
            [BY_LABEL[state] for state in states],
            limit=min(_PAGE, limit - len(found)),
            cursor=cursor,
            ascending=not newest,
            tags=tags,
        )
        found.extend(page.jobs)
        cursor = page.cursor
        if cursor is None:
            break
    return found


def _row(job: Job) -> list[str]:
    from hubqueue.cli import output, show
    from hubqueue.cli.times import ago
    from hubqueue.model.state import shown

    return [
        output.escape(job.id),
        output.escape(job.name),
        output.state_text(shown(job.state, job.priority)),
        _tries(job, "/"),
        ago(job.created_at_ms),
        output.escape(show.one_line(show.own_data(job))),
    ]


def _tries(job: Job, of: str) -> str:
    """Failed runs so far, of how many, where a number ends it."""
    from hubqueue.model.job import ENDLESS

    return str(job.attempts) if job.max_attempts == ENDLESS else f"{job.attempts}{of}{job.max_attempts}"


@click.command()
@click.argument("id")
@json_option
@hub_options
def job(hub: Hub, id: str, as_json: bool) -> None:
    """Show one job: what it carries and how it went."""
    from hubqueue.cli import output, show

    found = hub.ask(lambda remote: remote.get(id))
    if as_json:
        output.print_json(show.job_map(found))
    else:
        output.console().print(_details(found))


@click.command()
@click.argument("id")
@click.option("--for", "delay", metavar="TIME", help="So long from now.")
@click.option("--until", metavar="WHEN", help="Until this time, as in 2026-01-31T18:00.")
@hub_options
def snooze(hub: Hub, id: str, delay: str | None, until: str | None) -> None:
    """Let a job that has not started wait until later. No attempt is counted.

    \b
    Examples:
      hubqueue snooze 2f0d635e7710-1 --for 10m
      hubqueue snooze 2f0d635e7710-1 --until 2026-01-31T18:00

    TIME is 500ms, 10s, 5m, 2h or 7d. WHEN is the local time unless it names a zone.
    """
    from hubqueue.cli.joboptions import duration_ms, time_ms
    from hubqueue.cli.times import ago, clock

    if (delay is None) == (until is None):
        raise click.UsageError("Give one of --for and --until.")
    delay_ms = None if delay is None else duration_ms("--for", delay)
    until_ms = None if until is None else time_ms("--until", until)
    hub.ask(lambda remote: remote.snooze(id, until_ms=until_ms, delay_ms=delay_ms))
    job = hub.ask(lambda remote: remote.get(id))
    click.echo(f"Job {id} runs at {clock(job.run_at_ms)}  ({ago(job.run_at_ms)}).")


def _details(job: Job) -> Any:
    import json

    from rich.console import Group
    from rich.table import Table

    from hubqueue.cli import output, show
    from hubqueue.cli.times import ago, clock
    from hubqueue.model.state import shown
    from hubqueue.wire.jsondata import readable

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    lines: list[tuple[str, str | None]] = [
        ("id", output.escape(job.id)),
        ("queue", output.escape(job.queue)),
        ("name", output.escape(job.name)),
        ("state", output.state_text(shown(job.state, job.priority))),
        ("priority", str(job.priority) if job.priority else None),
        ("attempts made", _tries(job, " of ")),
        ("kept until", f"{clock(job.expires_at_ms)}  ({ago(job.expires_at_ms)})" if job.expires_at_ms else None),
        ("stalled", str(job.stall_count) if job.stall_count else None),
        ("lost", str(job.lost_count) if job.lost_count else None),
        ("created", f"{clock(job.created_at_ms)}  ({ago(job.created_at_ms)})"),
        ("runs at", f"{clock(job.run_at_ms)}  ({ago(job.run_at_ms)})" if job.run_at_ms > job.created_at_ms else None),
        ("started", clock(job.started_at_ms) if job.started_at_ms else None),
        ("finished", clock(job.finished_at_ms) if job.finished_at_ms else None),
        ("worker", output.escape(job.owner) if job.owner else None),
        ("lease ends", ago(job.deadline_ms) if job.deadline_ms else None),
        ("repeats", _repeats(job.options.repeat)),
        ("progress", f"{job.progress:g} %" if job.progress else None),
        ("tags", output.escape(", ".join(job.options.tags)) if job.options.tags else None),
        ("reason", job.history.reason),
        ("error", f"[red]{output.escape(job.history.error)}[/]" if job.history.error else None),
        ("stack", f"[dim]{output.escape_lines(job.history.stack)}[/]" if job.history.stack else None),
        ("data", output.escape(json.dumps(readable(show.own_data(job)), ensure_ascii=False))),
        ("result", output.escape(json.dumps(readable(job.result), ensure_ascii=False)) if job.result else None),
    ]
    for label, text in lines:
        if text is not None:
            grid.add_row(label, text)
    if not job.history.attempts:
        return grid
    runs = output.table(("attempt", "failed", "after", "reason", "error"), right=("attempt",), title="Failed runs")
    for run in job.history.attempts:
        after = f"{(run.failed_at_ms - run.started_at_ms) / 1000:.1f} s"
        runs.add_row(str(run.attempt), ago(run.failed_at_ms), after, run.reason, output.escape(run.error or "-"))
    return Group(grid, "", runs)


def _repeats(repeat: Repeat | None) -> str | None:
    """`every 5 min`, `at 0 8 * * *`, and which run it is."""
    from hubqueue.cli.output import escape
    from hubqueue.cli.times import span

    if repeat is None:
        return None
    when = f"every {span(repeat.every_ms / 1000)}" if repeat.every_ms is not None else f"at {repeat.pattern}"
    zone = f" ({repeat.timezone})" if repeat.timezone else ""
    return escape(f"{when}{zone}, run {repeat.count + 1}{f' of {repeat.limit}' if repeat.limit else ''}")
