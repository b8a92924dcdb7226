"""`hubqueue run`: the server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hubqueue.config.options import OPTIONS, read_text


def _with_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """One click option for each row of the table; click does not read the variables, `load` does."""
    for option in reversed(OPTIONS):
        kind = int if option.kind is int else str
        text = f"{option.help}  [{option.variable}]"
        command = click.option(option.flag, option.name, type=kind, metavar=option.metavar, help=text)(command)
    return command


@click.command()
@click.option(
    "--config", "file", type=click.Path(path_type=Path), metavar="FILE", help="Configuration file.  [HUBQUEUE_CONFIG]"
)
@click.option("--app", "as_app", is_flag=True, help="As Home Assistant's app: by its options, in its folders.")
@_with_options
def run(file: Path | None, as_app: bool, **flags: Any) -> None:
    """Run a hub until it is told to stop.

    Settings come from the file (hubqueue.yaml of this folder where none is named), then from HUBQUEUE_*
    variables, then from these flags; the later wins. 'hubqueue check-config' checks them without starting.

    \b
    Examples:
      hubqueue run --data-path hub.db
      hubqueue run --config /etc/hubqueue.yaml
      hubqueue run --tcp-port 0                 prints: ready tcp=127.0.0.1:43121
      HUBQUEUE_AUTH_TOKENS=secret hubqueue run --host 0.0.0.0

    SIGTERM or Ctrl-C lets running work end first; a second one stops at once.
    """
    from hubqueue.app import main as serve
    from hubqueue.config.load import load

    for option in OPTIONS:
        if option.kind not in (str, int) and flags[option.name] is not None:
            flags[option.name] = read_text(option, flags[option.name])
    if as_app:
        from hubqueue.container.run import serve as serve_app

        serve_app(flags)
    else:
        serve(load(file, flags=flags))
