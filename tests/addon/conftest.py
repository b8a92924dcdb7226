"""The app's image, built once for a run of the tests, and what stands around a container.

What needs the image is slow, and runs once: on Python 3.14; what needs a browser, with the other browser tests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.container import build
from support.mosquitto import Mosquitto
from support.supervisor import FakeSupervisor

LOGIN = ("addons", "handed-out")
PLAIN = {"test_config.py", "test_texts.py"}


@pytest.hookimpl(tryfirst=True)  # before ../conftest.py puts slow ones first
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith("tests/addon/") and item.path.name not in PLAIN:
            item.add_marker(pytest.mark.browser if item.path.name == "test_page.py" else pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(900))  # the first one may have to build
            item.add_marker(pytest.mark.xdist_group("image"))  # only one can build at a time


@pytest.fixture(scope="session")
def image() -> str:
    return build("amd64")


@pytest.fixture
def supervisor() -> Iterator[FakeSupervisor]:
    with FakeSupervisor() as supervisor:
        yield supervisor


@pytest.fixture
def broker(tmp_path: Path, supervisor: FakeSupervisor) -> Iterator[Mosquitto]:
    """Mosquitto as the app of that name runs it; the Supervisor hands its login out."""
    broker = Mosquitto(tmp_path, login=LOGIN)
    asyncio.run(broker.start())
    supervisor.mqtt = {"host": "127.0.0.1", "port": broker.port, "username": LOGIN[0], "password": LOGIN[1]}
    yield broker
    broker.kill()
