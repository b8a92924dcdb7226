"""`hubqueue forward`: the forwarders of a running hub: shown, made, removed, paused, resumed, drained."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from hubqueue.cli.connect import Hub, hub_options, json_option
from hubqueue.cli.words import jobs
from hubqueue.errors import Invalid

if TYPE_CHECKING:
    from hubqueue.client.remote import RemoteHub


class ListByDefault(click.Group):
    """A group that lists when it is told no command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=ListByDefault, short_help="Show, make, pause and drain forwarders.")
def forward() -> None:
    """Show the forwarders; make, pause and drain them while the hub runs. Without a command it lists them.

    \b
    hubqueue forward add readings --to tls://central.example --token-from central-token
    hubqueue forward pause readings
    hubqueue forward drain readings

    A link that is down loses nothing: its jobs wait and go on by themselves when it is back.
    """


@forward.command("list")
@json_option
@hub_options
def list_(hub: Hub, as_json: bool) -> None:
    """Show all forwarders: link, backlog and speed."""
    from hubqueue.cli import output

    statuses: list[dict[str, Any]] = _decoded(hub.ask(_asking("Forwarders")))["forwarders"]
    if as_json:
        output.print_json(statuses)
        return
    columns = ("forwarder", "link", "waiting", "oldest", "sent", "rejected", "jobs/s")
    output.print_table(
        output.table(columns, right=columns[2:], whole=("link",)),
        (_row(status) for status in statuses),
        empty="This hub has no forwarders; 'hubqueue forward add' makes one.",
    )
    for status in statuses:
        if status["link"] not in ("up", "idle") and status["error"]:
            click.echo(f"{status['name']}: {status['error']}")
            if status["hint"]:
                click.echo(f"  {status['hint']}")


@forward.command(short_help="Forward QUEUE to another hub, from now on.")
@click.argument("queue")
@click.option("--to", required=True, metavar="URL", help="The other hub: tls://host or tcp://host.")
@click.option("--name", help="What to call it.  [as the queue]")
@click.option("--target", metavar="QUEUE", help="The queue there.  [the same name]")
@click.option("--token-from", type=click.File(), metavar="FILE", help="File with the token; '-' reads it from input.")
@click.option("--no-token", is_flag=True, help="Show none, and forget the one that is kept.")
@click.option("--ca", type=click.File(), metavar="FILE", help="Private CA of the other hub (PEM); it is sent along.")
@click.option("--no-ca", is_flag=True, help="Trust the system's again, and forget the one that is kept.")
@click.option("--cert", type=click.File(), metavar="FILE", help="Certificate of this side (PEM); it is sent along.")
@click.option("--key", type=click.File(), metavar="FILE", help="Its private key, if that is not in the same file.")
@click.option("--no-cert", is_flag=True, help="Show none, and forget the one that is kept.")
@click.option("--server-name", metavar="NAME", help="What the other hub's certificate is for.  [the host in --to]")
@click.option("--no-verify", is_flag=True, help="Believe whoever answers. Only for a test.")
@click.option(
    "--window", "windows", multiple=True, metavar="TIMES", help="Only then: '22:00-06:00', 'sat 08:00-12:00'."
)
@click.option("--timezone", metavar="ZONE", help="Of the windows.  [the hub's]")
@click.option("--rate", type=float, metavar="N", help="At most so many jobs a second.")
@click.option("--batch", type=int, default=100, show_default=True, help="Jobs in one batch.")
@click.option("--concurrency", type=int, default=1, show_default=True, help="Batches in flight; 1 keeps the order.")
@click.option("--not-durable", is_flag=True, help="The other side need not sync before it answers.")
@hub_options
def add(
    hub: Hub,
    queue: str,
    to: str,
    name: str | None,
    target: str | None,
    token_from: Any,
    no_token: bool,
    ca: Any,
    no_ca: bool,
    cert: Any,
    key: Any,
    no_cert: bool,
    server_name: str | None,
    no_verify: bool,
    windows: tuple[str, ...],
    timezone: str | None,
    rate: float | None,
    batch: int,
    concurrency: int,
    not_durable: bool,
) -> None:
    """Forward QUEUE to another hub, from now on; a forwarder of the same name is replaced.

    Its token and certificates stay unless others are given, as long as it goes to the same address. The job file keeps
    them.
    """
    for option, given, none in (("token-from", token_from, no_token), ("ca", ca, no_ca), ("cert", cert, no_cert)):
        if given is not None and none:
            kind = option.removesuffix("-from")
            raise Invalid(f"--{option} and --no-{kind} are both given", hint="keep one of the two")
    if key is not None and cert is None:
        raise Invalid("--key is given without a --cert", hint="add --cert FILE, the certificate it belongs to")
    if timezone and not windows:
        raise Invalid("--timezone is given without a --window", hint="add --window 22:00-06:00")
    fields: dict[str, Any] = {
        "name": name or queue,
        "queue": queue,
        "to": to,
        "target": target,
        "schedule": {"windows": list(windows), "timezone": timezone} if windows else None,
        "rate": rate,
        "batch": batch,
        "concurrency": concurrency,
        "durable": not not_durable,
        "serverName": server_name,
        "verify": not no_verify,
    }
    if no_token:
        fields["token"] = None
    elif token_from is not None:
        fields["token"] = token_from.readline().strip()
    if no_ca:
        fields["caCert"] = None
    elif ca is not None:
        fields["caCert"] = ca.read()
    if no_cert:
        fields["clientCert"] = None
    elif cert is not None:
        fields["clientCert"] = "\n".join(part.read() for part in (cert, key) if part is not None)
    hub.ask(_asking("ForwarderPut", **fields))
    click.echo(f"Forwarding {queue} to {to}. 'hubqueue forward' shows how it goes.")


@forward.command()
@click.argument("name")
@click.option("--when-empty", is_flag=True, help="Only as soon as its queue holds nothing to forward.")
@hub_options
def remove(hub: Hub, name: str, when_empty: bool) -> None:
    """End and forget a forwarder. Jobs that wait stay in their queue."""
    hub.ask(_asking("ForwarderDelete", name=name, whenEmpty=when_empty))
    click.echo(f"{name} goes when its queue is empty." if when_empty else f"Removed {name}; its queue keeps the jobs.")


@forward.command()
@click.argument("name")
@hub_options
def pause(hub: Hub, name: str) -> None:
    """Forward nothing until it is resumed, over restarts too."""
    hub.ask(_asking("ForwarderPause", name=name))
    click.echo(f"Paused {name}. Jobs wait in their queue.")


@forward.command()
@click.argument("name")
@hub_options
def resume(hub: Hub, name: str) -> None:
    """Go on."""
    hub.ask(_asking("ForwarderResume", name=name))
    click.echo(f"Resumed {name}.")


@forward.command(short_help="Try what waits or is delayed at once.")
@click.argument("name")
@hub_options
def drain(hub: Hub, name: str) -> None:
    """Try what waits or is delayed at once, whatever its schedule and back-off say."""
    waiting = _decoded(hub.ask(_asking("ForwarderDrain", name=name)))["waiting"]
    click.echo(f"Draining {name}: {jobs(waiting)}." if waiting else f"{name} has nothing to drain.")


def _row(status: dict[str, Any]) -> list[str]:
    from hubqueue.cli.output import escape, number
    from hubqueue.cli.times import ago, span

    oldest = status["oldestMs"]
    return [
        f"{escape(status['name'])}\n[dim]{escape(_route(status))}[/]",
        f"{_state(status)}\n[dim]for {ago(status['linkSince']).removesuffix(' ago')}[/]",
        number(status["waiting"] + status["delayed"]),
        "-" if oldest is None else span(oldest / 1000),
        number(status["forwarded"]),
        number(status["rejected"]),
        f"{status['ratePerS']:.1f}",
    ]


def _route(status: dict[str, Any]) -> str:
    """Where from, where to; a queue is named where the name before it does not say it."""
    source = "" if status["queue"] == status["name"] else f"{status['queue']} "
    target = "" if status["target"] == status["queue"] else f"/{status['target']}"
    return f"{source}-> {status['to']}{target}"


def _state(status: dict[str, Any]) -> str:
    from hubqueue.cli.times import ago

    if status["paused"]:
        return "[magenta]paused[/]"
    if status["link"] == "idle":
        opens = status["opensAt"]
        return "[dim]idle[/]" if opens is None else f"[dim]idle, opens {ago(opens)}[/]"
    style = {"up": "green", "down": "red"}.get(status["link"], "yellow")
    marks = [f" [yellow]{mark}[/]" for mark in ("draining", "retiring") if status[mark]]
    return f"[{style}]{status['link']}[/]{''.join(marks)}"


def _asking(command: str, **fields: Any) -> Callable[[RemoteHub], Any]:
    return lambda remote: remote.link.request(command, fields)


def _decoded(reply: bytes) -> dict[str, Any]:
    import msgspec

    fields: dict[str, Any] = msgspec.msgpack.decode(reply)
    return fields
