"""How much of what was written has not reached the other side's TCP yet: a slow uplink is not a dead one."""

from __future__ import annotations

import asyncio
import fcntl
import sys
import termios
from typing import Final

COUNT_BYTES: Final = 4  # a C int


def unsent_bytes(transport: asyncio.Transport) -> int:
    """Bytes in the process and in the kernel that are not acknowledged. Source: tcp(7), SIOCOUTQ."""
    here = transport.get_write_buffer_size()
    link = transport.get_extra_info("socket")
    if link is None or link.fileno() < 0:
        return here
    count = fcntl.ioctl(link.fileno(), termios.TIOCOUTQ, bytes(COUNT_BYTES))
    return here + int.from_bytes(count, sys.byteorder)
