"""`hubqueue doctor`: is this machine fit, and is the hub well?"""

from __future__ import annotations

from pathlib import Path

import click

from hubqueue.cli.connect import Hub, hub_options, json_option


@click.command()
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    help="The folder the job file is in, or will be; default: this one.",
)
@click.option("--config", "file", type=click.Path(exists=True, path_type=Path), help="Check this configuration too.")
@click.option("--offline", is_flag=True, help="Look at this machine only, ask no hub.")
@json_option
@hub_options
def doctor(hub: Hub, folder: Path, file: Path | None, offline: bool, as_json: bool) -> None:
    """Look for what may go wrong.

    Looks at the machine, its disk, the configuration, and the running hub.

    Writes a few small files into --folder to time the disk, and removes them. The hub checks its file on a copy
    of its own, so that it goes on meanwhile. Exit code 1 when there is a problem.
    """
    from hubqueue.cli import checkup
    from hubqueue.cli.output import print_json
    from hubqueue.cli.waiting import waiting

    with waiting("Looking"):
        found = checkup.machine() + checkup.disk(folder)
        if file is not None:
            found += checkup.configuration(file)
        if not offline:
            found += checkup.running_hub(hub)
    if as_json:
        print_json([checkup.as_map(finding) for finding in found])
    else:
        for finding in found:
            checkup.show(finding)
    if any(finding.grade == checkup.PROBLEM for finding in found):
        raise click.exceptions.Exit(1)
