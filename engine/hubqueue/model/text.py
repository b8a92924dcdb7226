"""Texts as they can be stored and sent."""

from __future__ import annotations


def storable(value: object) -> str:
    """The name of a file, and with it the error of whoever opens it, may be no Unicode: such parts are written out."""
    text = str(value)
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()
