"""`hubqueue restore`: put a backup in the place of the job file, with the hub stopped."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("backup", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--data-path", required=True, type=click.Path(path_type=Path), metavar="FILE", help="The job file.")
@click.option("--yes", is_flag=True, help="Do not ask before an existing job file is replaced.")
def restore(backup: Path, data_path: Path, yes: bool) -> None:
    """Put BACKUP in the place of the job file. Stop the hub first.

    The job file that was there is kept beside it under another name. Job ids go on far above those of before, so
    that no id ever stands for two jobs.

    \b
    Example:
      hubqueue restore hub-monday.db --data-path hub.db
    """
    from hubqueue.cli.waiting import waiting
    from hubqueue.store.backup import restore as put_back

    if data_path.exists() and not yes:
        click.confirm(
            f"{data_path} exists. Replace it with {backup}? It is kept under another name.", abort=True, err=True
        )
    with waiting("Restoring"):
        kept = put_back(backup, data_path)
    click.echo(f"Restored {data_path} from {backup}.")
    if kept is not None:
        click.echo(f"The job file from before is kept as {kept}.")
