"""`hubqueue token`: who may come in. Asks the running hub, or changes the file of one that does not run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hubqueue.cli.connect import Hub, hub_options, json_option

if TYPE_CHECKING:
    from hubqueue.hub.hub import Hub as OpenHub

T = TypeVar("T")

SCOPES = ("read", "enqueue", "pull", "work", "admin")


def _file_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command --data-path."""
    return click.option(
        "--data-path",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="The job file of a hub that does not run.",
    )(command)


@click.group()
def token() -> None:
    """Add, list or revoke access tokens.

    From the first token on, a hub asks everybody for one, this command too (--token, HUBQUEUE_TOKEN). Who has
    lost the last one stops the hub and names its file with --data-path.

    \b
    Examples:
      hubqueue token add laptop
      hubqueue token add sensor --scope enqueue --queue readings
      hubqueue token add cloud --pull readings
      hubqueue token revoke sensor
      hubqueue token add laptop --data-path hub.db
    """


@token.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="What it is good for.  [admin]")
@click.option("--queue", "queues", multiple=True, help="Good for this queue alone; may be given again.  [all]")
@click.option(
    "--pull",
    "pulled",
    multiple=True,
    metavar="QUEUE",
    help="Good for taking jobs from this queue and ending them, and nothing else; may be given again.",
)
@_file_option
@json_option
@hub_options
def add(
    hub: Hub,
    name: str,
    scopes: tuple[str, ...],
    queues: tuple[str, ...],
    pulled: tuple[str, ...],
    data_path: Path | None,
    as_json: bool,
) -> None:
    """Make the token NAME and print it, this once."""
    from hubqueue.cli.output import print_json

    if pulled and (scopes or queues):
        raise click.UsageError("--pull QUEUE stands for --scope pull --queue QUEUE: give one or the other.")
    queues = pulled or queues
    wanted = ["pull"] if pulled else list(scopes) or ["admin"]
    if data_path is None:
        fields = {"name": name, "scopes": wanted, **({"queues": list(queues)} if queues else {})}
        secret = _asked(hub, "TokenAdd", fields)["token"]
    else:
        secret = _in_file(data_path, lambda open_hub: _add(open_hub, name, wanted, queues))
    if as_json:
        print_json({"name": name, "token": secret})
    else:
        click.echo(secret)
        click.echo("Keep it now: nothing will show it again.", err=True)


def _add(hub: OpenHub, name: str, scopes: list[str], queues: tuple[str, ...]) -> Callable[[Any], str]:
    from hubqueue.model.access import scopes_of
    from hubqueue.model.limits import check_queue

    checked = [check_queue(queue) for queue in queues] or None
    return lambda tx: hub.access.add(tx, name, scopes_of(scopes), checked)


@token.command("list")
@_file_option
@json_option
@hub_options
def list_tokens(hub: Hub, data_path: Path | None, as_json: bool) -> None:
    """List the tokens: what each is good for and when it was last used. Not what they are: no hub knows that."""
    from hubqueue.cli import output

    found: list[dict[str, Any]]
    found = _asked(hub, "TokenList", {})["tokens"] if data_path is None else _in_file(data_path, _list)
    if as_json:
        output.print_json(found)
        return
    drawn = output.table(("name", "scopes", "queues", "made", "last used"), whole=("name",))
    output.print_table(drawn, (_row(each) for each in found), empty="This hub has no tokens.")


def _list(hub: OpenHub) -> Callable[[Any], list[dict[str, Any]]]:
    return lambda tx: [
        {
            "name": each.grant.name,
            "scopes": sorted(each.grant.scopes),
            "queues": None if each.grant.queues is None else sorted(each.grant.queues),
            "createdAt": each.created_at_ms,
            "usedAt": each.used_at_ms,
            "declared": "runtime",
        }
        for each in hub.access.tokens
    ]


def _row(found: dict[str, Any]) -> list[str]:
    from hubqueue.cli.output import escape
    from hubqueue.cli.times import ago

    made = "in the configuration" if found["declared"] == "config" else ago(found["createdAt"])
    queues = "all" if found["queues"] is None else escape(", ".join(found["queues"]))
    return [escape(found["name"]) or "-", ", ".join(found["scopes"]), queues, made, ago(found["usedAt"])]


@token.command()
@click.argument("name")
@_file_option
@json_option
@hub_options
def revoke(hub: Hub, name: str, data_path: Path | None, as_json: bool) -> None:
    """Revoke the token NAME. Whoever came in with it is cut off at once."""
    from hubqueue.cli.output import print_json

    if data_path is None:
        _asked(hub, "TokenRevoke", {"name": name})
    else:
        _in_file(data_path, lambda open_hub: lambda tx: open_hub.access.revoke(tx, name))
    if as_json:
        print_json({"revoked": name})
    else:
        click.echo(f"The token {name} is good for nothing any more.")


def _asked(hub: Hub, command: str, fields: dict[str, Any]) -> dict[str, Any]:
    import msgspec

    reply: dict[str, Any] = msgspec.msgpack.decode(hub.ask(lambda remote: remote.link.request(command, fields)))
    return reply


def _in_file(data_path: Path, verb: Callable[[OpenHub], Callable[[Any], T]]) -> T:
    """Run a verb on the file; its lock refuses where a hub runs on it."""

    async def run() -> T:
        from hubqueue.hub.hub import Hub as OpenHub

        async with await OpenHub.open(data_path) as hub:
            return await hub.run(verb(hub), durable=True)

    return asyncio.run(run())
