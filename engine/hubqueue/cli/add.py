"""`hubqueue add`: enqueue from the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from hubqueue.cli.connect import Hub, hub_options, json_option
from hubqueue.cli.words import jobs
from hubqueue.errors import Invalid

if TYPE_CHECKING:
    from hubqueue.client.remote import RemoteHub
    from hubqueue.model.job import NewJob


class _Add(click.Command):
    """Its flags are those of the table of job options too, which the help of all commands does without."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        from hubqueue.cli.joboptions import job_options

        own = super().get_params(ctx)
        at = next(place for place, param in enumerate(own) if param.name == "wait")
        return [*own[:at], *job_options(), *own[at:]]


@click.command(cls=_Add)
@click.argument("queue")
@click.argument("data", required=False)
@click.option("--name", default="default", show_default=True, help="Name of the job: which handler it is for.")
@click.option("--from-file", type=click.File("rb"), metavar="FILE", help="One job for each line of JSON; - is stdin.")
@click.option("--from-line", type=click.IntRange(1), default=1, help="Begin with this line of the file.")
@click.option("--run", metavar="ID", help="Go on with a run over a file that was cut off; no line is added twice.")
@click.option("--wait", metavar="TIME", help="Wait for its result so long, as in 30s, and print it.")
@json_option
@hub_options
def add(
    hub: Hub,
    queue: str,
    data: str | None,
    name: str,
    from_file: BinaryIO | None,
    from_line: int,
    run: str | None,
    wait: str | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Add a job to QUEUE. DATA is JSON; what is not JSON is taken as text.

    \b
    Examples:
      hubqueue add lights '{"room": "kitchen", "on": true}'
      hubqueue add mail "hello" --delay 10m --attempts 5
      hubqueue add mail "hello" --keep-trying 1d
      hubqueue add lights '{"on": true}' --group kitchen --dedup kitchen-on --dedup-ttl 10s
      hubqueue add render '{"file": "a.stl"}' --wait 60s
      hubqueue add readings --from-file readings.jsonl

    TIME is 500ms, 10s, 5m, 2h or 7d. WHEN is the local time unless it names a zone.

    A file is checked before: while a line is wrong, nothing is added. Of a pipe what stands before the wrong line is.
    """
    from hubqueue.cli.joboptions import duration_ms, first_flag, given
    from hubqueue.model.flowdata import with_parent
    from hubqueue.model.options import check_needs, checked_job

    options = given(flags)
    check_needs(options, first_flag)
    own = next((name for name in ("id", "dedup") if name in options), None)
    if from_file is not None and (data is not None or own is not None or wait is not None):
        raise Invalid("--from-file goes with no DATA, --id, --dedup or --wait")
    wait_ms = duration_ms("--wait", wait, 0, 86_400_000) if wait else None
    if from_file is None and (run is not None or from_line > 1):
        raise Invalid("--from-line and --run go with --from-file only")
    durable, parent = bool(options.get("durable")), options.get("parent")

    def job(value: object, id: str | None) -> NewJob:
        if parent is not None and not isinstance(value, dict):
            raise Invalid("the data of a job with a parent must be a JSON object", hint="it says who the parent is")
        packed = _encode(value)
        if parent is not None:
            packed = with_parent(packed, parent.id, parent.queue) or packed
        return checked_job(name, packed, options | ({} if id is None else {"id": id}))

    if from_file is not None:
        from hubqueue.cli.add_lines import Adding

        adding = Adding(queue, from_file, job, durable=durable, first=from_line, run=run or "")
        try:
            adding.add_to(hub)
        finally:
            if as_json:
                click.echo(json.dumps({"added": adding.count}))
        if not as_json:
            click.echo(f"Added {jobs(adding.count)} to {queue}.")
        return
    one = job(_value(data) if data is not None else None, None)
    hub.ask(lambda remote: _add_one(remote, queue, one, durable, wait_ms, as_json))


async def _add_one(
    remote: RemoteHub, queue: str, job: NewJob, durable: bool, wait_ms: int | None, as_json: bool
) -> None:
    from hubqueue.cli import output, show
    from hubqueue.model.state import State
    from hubqueue.wire.jsondata import readable

    (id,) = await remote.enqueue(queue, [job], durable=durable)
    if wait_ms is None:
        output.print_json({"id": id}) if as_json else click.echo(id)
        return
    click.echo(f"Added {id}, waiting for its result.", err=True)
    done = await remote.wait(id, wait_ms)
    if done is None:
        raise click.ClickException(f"{id} has not finished in time. It goes on: 'hubqueue job {id}' shows it.")
    if as_json:
        output.print_json(show.job_map(done))
    elif done.state is State.COMPLETED:
        output.print_json(readable(done.result))
    else:
        raise click.ClickException(f"{id} failed: {done.history.error or done.history.reason or 'no reason given'}")


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _encode(value: Any) -> bytes:
    from hubqueue.model.payload import encode

    return encode(value)
