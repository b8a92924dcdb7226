"""Ports for servers that cannot be asked which one they took, and for those that are to come back on the same one.

They lie below the range that the kernel gives to outgoing connections, and each process begins somewhere else: many
tests run side by side, and a port that was only free a moment ago would now and then be somebody else's.
"""

from __future__ import annotations

import itertools
import random
import socket
from typing import Final

RANGE: Final = range(15_000, 32_000)
_next: Final = itertools.count(random.SystemRandom().randrange(len(RANGE)))


def free_port() -> int:
    """A port nobody listens on, which this process has not handed out lately."""
    for number in itertools.islice(_next, len(RANGE)):
        port = RANGE[number % len(RANGE)]
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no port between {RANGE.start} and {RANGE.stop} is free")
