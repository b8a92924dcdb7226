"""A real hub process for the commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.hub_process import HubProcess
from support.shell import Shell


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    with HubProcess(tmp_path) as hub:
        yield hub


@pytest.fixture
def shell(hub: HubProcess) -> Shell:
    return Shell(hub.folder, hub.url)


@pytest.fixture
def lonely(tmp_path: Path) -> Shell:
    """A command line without any hub."""
    return Shell(tmp_path, "tcp://127.0.0.1:1")
