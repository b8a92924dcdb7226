"""What the engine takes from the machine: what time it is, and chance. Made once here, and given to whoever needs it.

Nobody else in the hub, its store and servers, its clients, forwarders and workers asks the machine for these. What
waits, connects, listens or runs in a thread asks the event loop instead, and files are asked of `store.disk`: who gives
all three decides everything that a hub can see.
"""

from __future__ import annotations

import random
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID


@dataclass(frozen=True, slots=True)
class System:
    """wall_ns: Unix time, which may jump; mono_ns: time that only passes, as the loop's does, from anywhere.

    chance: uniform in [0, 1), for what must not happen in step; token_bytes: nobody can guess them.
    Units: nanoseconds.
    """

    wall_ns: Callable[[], int] = time.time_ns
    mono_ns: Callable[[], int] = time.monotonic_ns
    chance: Callable[[], float] = random.random
    token_bytes: Callable[[int], bytes] = secrets.token_bytes

    def wall_ms(self) -> int:
        """Unix time in milliseconds."""
        return self.wall_ns() // 1_000_000

    def mono_s(self) -> float:
        """Seconds that only pass."""
        return self.mono_ns() / 1e9

    def token_hex(self, count: int) -> str:
        """So many bytes as text: twice as many letters."""
        return self.token_bytes(count).hex()

    def token_urlsafe(self, count: int) -> str:
        """So many bytes as text that needs no quoting anywhere."""
        return urlsafe_b64encode(self.token_bytes(count)).rstrip(b"=").decode("ascii")

    def uuid(self) -> str:
        """A random UUID (version 4)."""
        return str(UUID(bytes=self.token_bytes(16), version=4))


SYSTEM: Final = System()
