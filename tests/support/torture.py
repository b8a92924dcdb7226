"""How hard the torture tests are: CI runs a real but shorter version of those that can go on for ever.

HUBQUEUE_TORTURE=full runs the long version: each use of `sized` says what differs.
"""

from __future__ import annotations

import os
from typing import Final, TypeVar

FULL: Final = os.environ.get("HUBQUEUE_TORTURE") == "full"

T = TypeVar("T", int, float)


def sized(*, ci: T, full: T) -> T:
    return full if FULL else ci
