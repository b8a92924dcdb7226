"""`hubqueue backup`: a copy of the job file while the hub goes on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from hubqueue.cli.connect import Hub, hub_options, json_option
from hubqueue.errors import Invalid

if TYPE_CHECKING:
    from hubqueue.client.remote import RemoteHub

LONGEST_S: Final = 3600.0  # a big file on an SD card


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@json_option
@hub_options
def backup(hub: Hub, file: Path | None, as_json: bool) -> None:
    """Write a backup of the running hub's job file.

    The hub writes it into the folder 'backups' beside its job file. With FILE it is moved there, which needs
    the hub to be on this machine. Put it back with 'hubqueue restore'.

    \b
    Examples:
      hubqueue backup
      hubqueue backup /mnt/usb/hub-monday.db
    """
    from hubqueue.cli.output import print_json
    from hubqueue.cli.waiting import waiting

    if file is not None and os.path.lexists(file) and not file.is_dir():
        raise Invalid(f"{file} exists already", hint="choose another name; backups are never overwritten")
    with waiting("Writing the backup"):
        reply = hub.ask(ask_backup, patience_s=LONGEST_S)
    written = Path(reply["path"])
    if file is not None:
        written = _move(written, file)
    if as_json:
        print_json({"path": str(written), "bytes": reply["bytes"]})
    else:
        click.echo(f"Backup written: {written} ({reply['bytes'] / 1e6:,.1f} MB)")


async def ask_backup(remote: RemoteHub) -> dict[str, Any]:
    import msgspec

    body = await remote.link.request("Backup", {}, repeatable=False)
    reply: dict[str, Any] = msgspec.msgpack.decode(body)
    return reply


def _move(written: Path, file: Path) -> Path:
    from hubqueue.store.private import explained, move

    try:
        return move(written, file)
    except OSError as error:
        hint = f"the hub has written it on its own machine as {written}"
        raise explained(error, f"The backup cannot be moved to {file}", hint) from error
