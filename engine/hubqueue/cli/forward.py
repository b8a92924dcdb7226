"""`hubqueue forward`: how the forwarders of a hub are doing."""

from __future__ import annotations

from typing import Any

import click

from hubqueue.cli.connect import Hub, hub_options, json_option


@click.command()
@json_option
@hub_options
def forward(hub: Hub, as_json: bool) -> None:
    """Show the forwarders: link, backlog and speed.

    A link that is down loses nothing: its jobs wait and go on by themselves when it is back.
    """
    from hubqueue.cli import output

    found = hub.ask(lambda remote: remote.link.request("Forwarders", {}))
    statuses = _decoded(found)
    if as_json:
        output.print_json(statuses)
        return
    columns = ("forwarder", "link", "waiting", "oldest", "sent", "rejected", "jobs/s")
    output.print_table(
        output.table(columns, right=columns[2:], whole=("link",)),
        (_row(status) for status in statuses),
        empty="This hub has no forwarders; the section 'forwarders' of hubqueue.yaml makes them.",
    )
    for status in statuses:
        if status["link"] != "up" and status.get("error"):
            click.echo(f"{status['queue']}: {status['error']}")


def _decoded(reply: bytes) -> list[dict[str, Any]]:
    import msgspec

    statuses: list[dict[str, Any]] = msgspec.msgpack.decode(reply)["forwarders"]
    return statuses


def _row(status: dict[str, Any]) -> list[str]:
    from hubqueue.cli.output import escape, number
    from hubqueue.cli.times import ago, span

    link = status["link"]
    style = {"up": "green", "down": "red"}.get(link, "yellow")
    since = ago(status["since_ms"]).removesuffix(" ago")
    oldest = status.get("oldest_ms")
    return [
        f"{escape(status['queue'])}\n[dim]{escape(status['target'])}[/]",
        f"[{style}]{link}[/]\n[dim]for {since}[/]",
        number(status.get("waiting", 0) + status.get("delayed", 0)),
        "-" if oldest is None else span(oldest / 1000),
        number(status.get("forwarded", 0)),
        number(status.get("rejected", 0)),
        f"{status.get('rate_per_s', 0.0):.1f}",
    ]
