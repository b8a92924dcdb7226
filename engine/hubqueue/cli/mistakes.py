"""The mistakes of a configuration, as those commands tell them that only check."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from hubqueue.cli import output
from hubqueue.config.mistakes import ConfigMistakes
from hubqueue.config.path import dotted

_FIELDS = ("message", "value", "hint", "source", "line")


@contextmanager
def mistakes_as(*, as_json: bool) -> Iterator[None]:
    """What is read in this block may have mistakes: as JSON they are printed, and the exit code is 3."""
    try:
        yield
    except ConfigMistakes as error:
        if not as_json:
            raise
        output.print_json(
            [{"path": dotted(wrong.path), **{key: getattr(wrong, key) for key in _FIELDS}} for wrong in error.mistakes]
        )
        raise click.exceptions.Exit(3) from None
