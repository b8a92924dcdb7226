"""What a command prints: a table for people, JSON for scripts. rich is imported only when a table is drawn.

Rules: results go to standard output and everything else to standard error, so that pipes stay clean; JSON is
one document (lists of a table are an array); `NO_COLOR` and a pipe mean no colours (rich sees to both).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_STATE_STYLES: Final = {
    "waiting": "cyan",
    "prioritized": "cyan",
    "delayed": "yellow",
    "active": "blue",
    "completed": "green",
    "failed": "red",
    "paused": "magenta",
}


def print_json(value: Any) -> None:
    """One JSON document; readable on a terminal, one line in a pipe."""
    indent = 2 if sys.stdout.isatty() else None
    click.echo(json.dumps(value, ensure_ascii=False, indent=indent))


def console() -> Console:
    """Standard output for tables: in a pipe the table keeps its natural width instead of 80 columns."""
    from rich.console import Console

    out = Console(highlight=False)
    if not out.is_terminal:
        out = Console(highlight=False, width=200)
    return out


def table(
    columns: Sequence[str],
    *,
    right: Sequence[str] = (),
    whole: Sequence[str] = (),
    cut: Sequence[str] = (),
    title: str | None = None,
) -> Table:
    """An empty table in the style of all of ours.

    right: columns of numbers; whole: never broken, because people copy it; cut: shortened to its line. The others
    are folded where the terminal is narrow.
    """
    from rich import box
    from rich.table import Table

    drawn = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False)
    drawn.expand = bool(cut) and sys.stdout.isatty()  # what is cut takes the room the others leave
    for name in columns:
        if name in right:
            drawn.add_column(name, justify="right", no_wrap=True)
        elif name in whole:
            drawn.add_column(name, no_wrap=True, overflow="ignore")
        elif name in cut:
            drawn.add_column(name, no_wrap=True, overflow="ellipsis", ratio=1)
        else:
            drawn.add_column(name, overflow="fold")
    return drawn


def print_table(drawn: Table, rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """The table with these rows, or the sentence `empty` on standard error when there are none."""
    for row in rows:
        drawn.add_row(*row)
    if drawn.row_count == 0:
        click.echo(empty, err=True)
    else:
        console().print(drawn)


def state_text(state: str) -> str:
    """The state in its colour."""
    style = _STATE_STYLES.get(state)
    return f"[{style}]{state}[/]" if style else state


def escape(text: str) -> str:
    """Text from outside: its brackets are not markup, its control characters do not reach the terminal."""
    from rich.markup import escape as escape_markup

    return escape_markup("".join(char if char.isprintable() or char == " " else "�" for char in text))


def escape_lines(lines: Iterable[str]) -> str:
    """Several lines of such text, as a traceback is; a line may hold several itself."""
    return "\n".join(escape(line) for text in lines for line in text.splitlines())


def number(count: int, *, zero: str = "[dim]0[/]") -> str:
    """A count as people read it: 12,345; zeros step back."""
    return f"{count:,}" if count else zero
