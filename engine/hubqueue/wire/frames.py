"""Frames of the TCP protocol: a big-endian u32 length, then that many bytes of MessagePack.

Sans-IO: bytes in, frame bodies out. Used by the server and by the client. The one rule: the length is judged
by its header alone, before a single byte of the body is kept.
Source: docs/protocol.md, "Frames".
"""

from __future__ import annotations

from typing import Final

from hubqueue.model.limits import MAX_FRAME_BYTES

HEADER_BYTES: Final = 4


def frame(body: bytes) -> bytes:
    """The body with its length in front."""
    return len(body).to_bytes(HEADER_BYTES, "big") + body


class FrameReader:
    """Collects bytes until frames are complete.

    `oversized` is the length of a frame that went beyond `limit`; from then on every byte is ignored.
    """

    __slots__ = ("_kept", "_wanted", "limit", "oversized")

    def __init__(self, limit: int = MAX_FRAME_BYTES) -> None:
        self.limit = limit
        self.oversized: int | None = None
        self._kept = bytearray()
        self._wanted = HEADER_BYTES

    @property
    def partial(self) -> bool:
        """Whether the beginning of a frame is waiting for its rest."""
        return bool(self._kept)

    def feed(self, chunk: bytes) -> list[bytes]:
        """The bodies of the frames that this chunk completes."""
        if self.oversized is not None:
            return []
        kept = self._kept
        if kept:
            kept += chunk
            if len(kept) < self._wanted:
                return []
            data = bytes(kept)
        else:
            data = chunk
        bodies, used = self._split(data)
        if kept or used < len(data):
            self._kept = bytearray(data[used:]) if self.oversized is None else bytearray()
        return bodies

    def _split(self, data: bytes) -> tuple[list[bytes], int]:
        bodies: list[bytes] = []
        used, size = 0, len(data)
        while size - used >= HEADER_BYTES:
            start = used + HEADER_BYTES
            length = int.from_bytes(data[used:start], "big")
            if length > self.limit:
                self.oversized = length
                return bodies, used
            if size - start < length:
                self._wanted = HEADER_BYTES + length
                return bodies, used
            used = start + length
            bodies.append(data[start:used])
        self._wanted = HEADER_BYTES
        return bodies, used
