"""`hubqueue pipeline`: pipeline files checked, tried and run, and the pipelines of a running hub."""

from __future__ import annotations

import importlib
from typing import Final

import click

# command -> module of this package and the command in it; the order is the order of the help
COMMANDS: Final = {
    "check": ("pipeline_try", "check"),
    "try": ("pipeline_try", "try_"),
    "run": ("pipeline_run", "run"),
    "list": ("pipeline_list", "list_"),
}


class Commands(click.Group):
    """A group that imports a command's module on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        found = getattr(importlib.import_module(f"hubqueue.cli.{module}"), name)
        assert isinstance(found, click.Command)
        return found


@click.group(cls=Commands, short_help="Check, try, run and watch pipelines.")
def pipeline() -> None:
    """Check a pipeline file, and see what it does with samples before it runs.

    \b
    hubqueue pipeline check pipelines/minutes.yaml
    hubqueue pipeline try pipelines/minutes.yaml --sample messages.jsonl
    hubqueue pipeline list
    """
