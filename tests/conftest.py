"""The engine under test is the one beside these tests, here and in every child process; and who runs which tests.

An environment may hold an editable install of another checkout; what it finds would be tested in silence.
Whatever moves a job in a way that no table names fails the test it is found in: support/every_python.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import hubqueue
from support.child import ENGINE, ENGINE_PATH
from support.every_python import sitecustomize

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each hub that a test starts would compile everything again
sys.dont_write_bytecode = False
os.environ["PYTHONPATH"] = os.pathsep.join([ENGINE_PATH, *filter(None, [os.environ.get("PYTHONPATH")])])
found = Path(hubqueue.__file__).parents[1]
assert found == ENGINE, f"hubqueue comes from {found}, not from this checkout; what imported it before the tests?"

# neither of these says anything about the code when the machine is busy
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

os.environ[sitecustomize.FOUND] = str(Path(tempfile.mkdtemp(prefix="hubqueue-moves-")) / "found")


@pytest.fixture(autouse=True)
def only_moves_of_the_table() -> Iterator[None]:
    yield
    assert sitecustomize.found() == []


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow ones begin first: side by side, nobody waits for one long file at the end.

    Tests that share something of their module, a server or a browser, run in one process: else each would start one.
    """
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    for item in items:
        if isinstance(item, pytest.Function) and shares(item):
            item.add_marker(pytest.mark.xdist_group(str(item.path.relative_to(Path(__file__).parent))))


def pytest_collection_finish() -> None:
    """What is collected stays to the end: no collection of garbage walks through all the tests again."""
    gc.freeze()


def shares(test: pytest.Function) -> bool:
    fixtures = test._fixtureinfo.name2fixturedefs.values()
    return any(each[-1].scope == "module" and each[-1].baseid.startswith("tests") for each in fixtures)
