"""`hubqueue health`: is the hub there, does it take jobs, are its links up? Made for the checks of containers."""

from __future__ import annotations

from typing import Any

import click

from hubqueue.cli.connect import Hub, hub_options, json_option

PATIENCE_S = 5.0


@click.command()
@click.option("--links/--no-links", default=True, help="Whether links that are down count.", show_default=True)
@json_option
@hub_options
def health(hub: Hub, links: bool, as_json: bool) -> None:
    """Say whether the hub takes jobs and its links are up. Exit code 0: yes, 1: no, 4: nobody answers."""
    import msgspec

    from hubqueue.cli import output

    reply = hub.ask(lambda remote: remote.link.request("Health", {"links": links}), patience_s=PATIENCE_S)
    found: dict[str, Any] = msgspec.msgpack.decode(reply)
    if as_json:
        output.print_json({"ready": found["ready"], "checks": found["checks"]})
    else:
        output.print_table(
            output.table(("check", "state"), whole=("check",)),
            ([check["name"], "ok" if check["ok"] else check["detail"]] for check in found["checks"]),
            empty="",
        )
    if not found["ready"]:
        raise click.exceptions.Exit(1)
