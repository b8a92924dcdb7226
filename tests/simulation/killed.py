"""How the code of a process learns that it was killed: it does not."""

from __future__ import annotations


class Killed(SystemExit):
    """Nothing of the process is left; a loop lets this one through."""
