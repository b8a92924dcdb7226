"""`hubqueue adopt`: a job file that was moved to this machine keeps the identity of its hub."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from hubqueue.cli.connect import json_option


@click.command()
@click.option(
    "--data-path", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The job file."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def adopt(data_path: Path, yes: bool, as_json: bool) -> None:
    """Keep a hub's id after its file was moved here.

    Stop the hub first.

    A job file that appears on another machine gets a new hub id, because two hubs with one id (a cloned card)
    would make a central hub take new jobs for known ones. Adopt it only if the other copy is gone for good.
    """
    from hubqueue.cli.output import print_json

    if not yes:
        click.confirm("Is every other copy of this job file gone for good?", abort=True, err=True)
    hub_id = asyncio.run(_adopt(data_path))
    if as_json:
        print_json({"hub_id": hub_id})
    else:
        click.echo(f"This hub is {hub_id} on this machine now.")


async def _adopt(data_path: Path) -> str:
    from hubqueue.hub.hub import Hub
    from hubqueue.hub.settings import HubSettings

    hub = await Hub.open(data_path, HubSettings(adopt=True))
    try:
        return hub.hub_id
    finally:
        await hub.close()
