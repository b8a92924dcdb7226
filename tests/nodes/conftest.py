"""Fixtures of the Node-RED tests: a real hub and a real Node-RED, each its own process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from hubqueue import Client
from support.browser import ARGUMENTS, CHROMIUM
from support.hub_process import HubProcess
from support.node_red import NodeRed
from support.ports import free_port


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    """A running hub whose port stays the same over restarts."""
    with HubProcess(tmp_path, "--tcp-port", str(free_port())) as process:
        yield process


@pytest.fixture
def central(tmp_path: Path) -> Iterator[HubProcess]:
    """The other hub."""
    folder = tmp_path / "central"
    folder.mkdir()
    with HubProcess(folder, "--tcp-port", str(free_port())) as process:
        yield process


@pytest.fixture(scope="session")
def the_red(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeRed]:
    """One Node-RED for all tests: it takes seconds to start."""
    with NodeRed(tmp_path_factory.mktemp("red")) as process:
        yield process


@pytest.fixture
def red(the_red: NodeRed) -> NodeRed:
    """A running Node-RED without flows."""
    the_red.begin_anew()
    return the_red


@pytest.fixture
async def client(hub: HubProcess) -> AsyncIterator[Client]:
    """A client of the hub, to look from outside."""
    async with Client(hub.url) as connected:
        yield connected


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=ARGUMENTS)
        yield started
        started.close()
