"""The top of the command line: the list of commands, and how an error ends the process.

Rule: nothing here (or at the top of a command's module) imports more than click; `--help` must feel instant.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any, Final, NoReturn

import click

from hubqueue import __version__
from hubqueue.errors import ConfigError, Forbidden, HubqueueError, LinkDown, NotAuthenticated, NotFound, TimedOut

EXIT_CODES: Final[dict[type[HubqueueError], int]] = {
    ConfigError: 3,
    LinkDown: 4,
    TimedOut: 4,
    NotAuthenticated: 5,
    Forbidden: 5,
    NotFound: 6,
}

_EPILOG: Final = """\
\b
Exit codes:
  0  done                          4  the hub cannot be reached
  1  the hub refused, see text     5  the token is missing or wrong
  2  the command is misspelt       6  no such job or queue
  3  mistakes in the configuration 130  interrupted

\b
Commands that talk to a hub take --url and --token, or HUBQUEUE_URL and
HUBQUEUE_TOKEN; without them they use tcp://127.0.0.1:6789.
"""

# command -> module of this package; the order is the order of the help
COMMANDS: Final = {
    "run": "run",
    "demo": "demo",
    "add": "add",
    "queues": "queues",
    "pause": "queues",
    "resume": "queues",
    "delete-queue": "queues",
    "try-now": "queues",
    "jobs": "jobs",
    "job": "jobs",
    "snooze": "jobs",
    "dlq": "dlq",
    "forward": "forward",
    "pipeline": "pipeline",
    "tail": "tail",
    "token": "token",
    "check-config": "check_config",
    "backup": "backup",
    "restore": "restore",
    "backup-hook": "backup_hook",
    "adopt": "adopt",
    "health": "health",
    "doctor": "doctor",
    "bench": "bench",
}


class Failed(click.ClickException):
    """A HubqueueError as the command line shows it: the message, the hint below it, no traceback."""

    def __init__(self, error: HubqueueError) -> None:
        super().__init__(error.message)
        self.hint = error.hint
        self.exit_code = exit_code(error)  # type: ignore[misc]  # click reads it from the instance

    def show(self, file: Any = None) -> None:
        click.echo(f"{click.style('Error:', fg='red', bold=True)} {self.message}", err=True)
        if self.hint:
            click.echo(f"{click.style('Hint:', fg='yellow')}  {self.hint}", err=True)


def exit_code(error: HubqueueError) -> int:
    """How the process ends after this error; 1 where no code of its own is given."""
    return next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), 1)


class Commands(click.Group):
    """A group that imports a command's module on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        found = getattr(importlib.import_module(f"hubqueue.cli.{module}"), cmd_name.replace("-", "_"))
        assert isinstance(found, click.Command)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else " See 'hubqueue --help'."
            ctx.fail(f"There is no command '{args[0]}'.{hint}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except HubqueueError as error:
            raise Failed(error) from error


@click.group(
    cls=Commands, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, "-V", "--version", message="hubqueue %(version)s")
def hubqueue() -> None:
    """hubqueue: a durable job queue for home and edge hubs.

    \b
    Try it:      hubqueue demo
    Start one:   hubqueue run --data-path hub.db
    Use it:      hubqueue add lights '{"room": "kitchen"}'
                 hubqueue queues
    """


def main() -> NoReturn:
    """The console script."""
    hubqueue.main(prog_name="hubqueue")
    sys.exit(0)
