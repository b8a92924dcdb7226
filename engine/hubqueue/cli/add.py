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


@click.command()
@click.argument("queue")
@click.argument("data", required=False)
@click.option("--name", default="default", show_default=True, help="Name of the job: which handler it is for.")
@click.option("--from-file", type=click.File("rb"), metavar="FILE", help="One job for each line of JSON; - is stdin.")
@click.option("--from-line", type=click.IntRange(1), default=1, help="Begin with this line of the file.")
@click.option("--run", metavar="ID", help="Go on with a run over a file that was cut off; no line is added twice.")
@click.option("--priority", type=int, default=0, help="Higher goes first.")
@click.option("--delay", metavar="TIME", help="Run it in this time: 500ms, 10s, 5m, 2h, 7d.")
@click.option("--attempts", type=int, help="How often it may be tried: 3 times, or as long as --keep-trying says.")
@click.option(
    "--keep-trying", metavar="TIME", help="Try it so long, as in 1d, however often it fails; then it is dead."
)
@click.option("--ttl", metavar="TIME", help="Remove it when it has waited so long, without a word.")
@click.option("--id", "custom_id", help="An id of your own; a second job with it is not made while the first lives.")
@click.option("--durable", is_flag=True, help="Answer only when the job survives a power cut.")
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
    priority: int,
    delay: str | None,
    attempts: int | None,
    keep_trying: str | None,
    ttl: str | None,
    custom_id: str | None,
    durable: bool,
    wait: str | None,
    as_json: bool,
) -> None:
    """Add a job to QUEUE. DATA is JSON; what is not JSON is taken as text.

    \b
    Examples:
      hubqueue add lights '{"room": "kitchen", "on": true}'
      hubqueue add mail "hello" --delay 10m --attempts 5
      hubqueue add mail "hello" --keep-trying 1d
      hubqueue add render '{"file": "a.stl"}' --wait 60s
      hubqueue add readings --from-file readings.jsonl

    A file is checked before: while a line is wrong, nothing is added. Of a pipe what stands before the wrong line is.
    """
    from hubqueue.config.checks import duration_ms
    from hubqueue.model.job import PLAIN, NewJob, Options, attempts_of
    from hubqueue.model.limits import check_new_job

    if from_file is not None and (data is not None or custom_id is not None or wait is not None):
        raise Invalid("--from-file goes with no DATA, --id or --wait")
    delay_ms = _time("--delay", delay, duration_ms()) if delay else 0
    options = Options(
        ttl_ms=_time("--ttl", ttl, duration_ms(1)) if ttl else None,
        keep_trying_ms=_time("--keep-trying", keep_trying, duration_ms(1)) if keep_trying else None,
        durable=durable,
    )
    wait_ms = _time("--wait", wait, duration_ms(0, 86_400_000)) if wait else None

    if from_file is None and (run is not None or from_line > 1):
        raise Invalid("--from-line and --run go with --from-file only")

    def job(value: object, id: str | None) -> NewJob:
        made = NewJob(
            name=name,
            data=_encode(value),
            priority=priority,
            delay_ms=delay_ms,
            max_attempts=attempts_of(attempts, options),
            custom_id=id,
            options=None if options == PLAIN else options,
        )
        check_new_job(made)
        return made

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
    one = job(_value(data) if data is not None else None, custom_id)
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


def _time(flag: str, text: str, check: Any) -> int:
    from hubqueue.config.mistakes import Wrong

    try:
        milliseconds: int = check(text)
    except Wrong as error:
        raise Invalid(f"{flag} {error.error_message}", hint=error.hint) from error
    return milliseconds
