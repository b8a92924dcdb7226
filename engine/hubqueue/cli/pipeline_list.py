"""`hubqueue pipeline list`: the pipelines of a running hub."""

from __future__ import annotations

from typing import Any

import click

from hubqueue.cli.connect import Hub, hub_options, json_option


@click.command("list", short_help="Show how the pipelines of a running hub are doing.")
@json_option
@hub_options
def list_(hub: Hub, as_json: bool) -> None:
    """Show the pipelines of a running hub: what they take and give, how fast, and why one waits."""
    import msgspec

    from hubqueue.cli import output

    reply = msgspec.msgpack.decode(hub.ask(lambda remote: remote.link.request("Pipelines", {})))
    found: list[dict[str, Any]] = reply["pipelines"]
    if as_json:
        output.print_json(found)
        return
    columns = ("pipeline", "in", "out", "refused", "late", "open", "us/record")
    output.print_table(
        output.table(columns, right=columns[1:]),
        (_row(each) for each in found),
        empty="This hub has no pipelines; 'pipelines: [pipelines/*.yaml]' in hubqueue.yaml names their files.",
    )
    for each in found:
        if each["trouble"]:
            click.echo(f"{each['name']} waits: {each['trouble']}")
        if each["shared"]:
            click.echo(f"{each['name']}: somebody else takes jobs from {each['queue']} too; its windows miss those")


def _row(found: dict[str, Any]) -> list[str]:
    from hubqueue.cli.output import escape, number

    way = f"{found['queue']} -> {', '.join(found['to'])}"
    return [
        f"{escape(found['name'])}\n[dim]{escape(way)}[/]",
        *(number(found[key]) for key in ("taken", "given")),
        number(found["refused"] + found["failed"]),
        *(number(found[key]) for key in ("late", "open")),
        f"{found['usPerRecord']:.1f}",
    ]
