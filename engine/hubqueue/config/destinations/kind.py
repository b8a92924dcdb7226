"""A kind of destination: the schemes that choose it, its keys, and how they become a value of forward/."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hubqueue.client.address import Tls
from hubqueue.config.checks import Check
from hubqueue.config.mistakes import Wrong
from hubqueue.forward.destination import Destination


@dataclass(frozen=True, slots=True)
class Given:
    """What every kind is told. tls: of the keys ca_file, cert_file and key_file; None when the scheme is a plain one.

    Units: write_timeout_s seconds.
    """

    to: str
    tls: Tls | None
    write_timeout_s: float


@dataclass(frozen=True, slots=True)
class Kind:
    """schemes: whether each is encrypted. keys: of a forwarder, that no other kind knows; most have one section.

    url: the check of `to`. build gets the clean values of `keys`; it raises Wrong or any HubqueueError.
    """

    schemes: Mapping[str, bool]
    keys: Callable[[Path], Mapping[str, Check]]
    url: Check
    build: Callable[[Given, Mapping[str, Any]], Destination]


def one_secret(clean: Mapping[str, Any], key: str, *, section: tuple[str, ...] = ()) -> Any:
    """The secret from its key or its file (`KEY_file`); both at once would leave the reader guessing."""
    file_key = f"{key}_file"
    if key in clean and file_key in clean:
        raise Wrong(f"cannot be used together with {key}", hint="keep one of the two", path=[*section, file_key])
    return clean.get(file_key) or clean.get(key)
