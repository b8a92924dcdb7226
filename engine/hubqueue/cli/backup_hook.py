"""`hubqueue backup-hook`: what Home Assistant's Supervisor calls before and after it backs the app up."""

from __future__ import annotations

from pathlib import Path

import click

from hubqueue.cli.connect import Hub, hub_options


@click.command("backup-hook", hidden=True)
@click.argument("moment", type=click.Choice(["pre", "post"]))
@click.option("--data", type=click.Path(path_type=Path), default=Path("/data"), show_default=True)
@hub_options
def backup_hook(hub: Hub, moment: str, data: Path) -> None:
    """Put a consistent copy of the jobs where the Supervisor's backup takes it (pre), or delete it (post)."""
    from hubqueue.cli.backup import LONGEST_S, ask_backup
    from hubqueue.container.backuphooks import drop_copy, put_copy
    from hubqueue.container.layout import Layout

    layout = Layout(data=data)
    if moment == "post":
        drop_copy(layout)
        return
    reply = hub.ask(ask_backup, patience_s=LONGEST_S)
    put_copy(layout, Path(reply["path"]))
    click.echo(f"A copy of the jobs is ready for the backup ({reply['bytes'] / 1e6:,.1f} MB)")
