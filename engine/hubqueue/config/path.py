"""Where a value stands in the configuration: its keys and list positions from the top."""

from __future__ import annotations

from collections.abc import Iterable

Path = tuple[str | int, ...]


def dotted(path: Iterable[str | int]) -> str:
    """The path as people write it: `mqtt.rules[2].queue`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
