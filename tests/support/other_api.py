"""A hub of another API: HubProcess(folder, program=program(2)) is the `hubqueue run` of a version with that number."""

from __future__ import annotations

from typing import Final

_RUN: Final = """
from hubqueue.model import apinumber
apinumber.API = {number}
from hubqueue.cli import main
main()
"""


def program(number: int) -> tuple[str, str]:
    """What Python is to run: the number is set before anybody reads it."""
    return ("-c", _RUN.format(number=number))
