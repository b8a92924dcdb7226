"""The layers of the engine: what each part may import. Reads every import in the source, wherever it stands.

A new top-level folder or file of the package must be given its place here.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Container, Iterator, Mapping
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "engine" / "hubqueue"

# Rules: a part imports itself and what its line names, nothing else of hubqueue. Arrows point down only.
BASE = {"errors", "clock", "libraries", "model", "system"}
OUTER = BASE | {"wire", "client", "hub"}
MAY_IMPORT = {
    # 0: pure values and rules
    "errors": BASE,
    "clock": BASE,
    "libraries": BASE,
    "system": set(),  # what the machine gives
    "model": BASE,
    # what rules and pipelines are written in
    "expression": BASE,
    # 1: bytes and SQL, which do not know each other
    "wire": BASE,
    "store": BASE,
    # 2: the verbs
    "hub": BASE | {"store"},
    # 3: the command table, and who asks it: in its own process, or over TCP (tests/engine/client/test_weight.py)
    "commands": BASE | {"wire", "hub"},
    "client": BASE | {"wire", "hub", "commands"},
    "mqttclient": BASE | {"client"},  # an MQTT broker
    # 4: from messages to jobs
    "ingest": OUTER | {"expression"},
    # 5: transports, bridges and workers, which do not know each other and never the store
    "servers": OUTER | {"commands", "ingest"},
    "mqtt": OUTER | {"ingest", "mqttclient", "expression"},
    "sources": OUTER | {"ingest", "expression"},
    "forward": OUTER | {"mqttclient", "expression"},
    "pipeline": OUTER | {"expression", "forward"},  # of forward the sink protocol
    "kafkagroup": OUTER | {"expression", "forward", "pipeline", "sources"},  # pipelines on topics, without a hub
    "hooks": OUTER,
    "supervisor": OUTER | {"mqttclient"},  # says where the broker is
    "work": OUTER,
    "ui": OUTER,
    "announce": set(),
}
# 6: builds the process from the parts, or is what users see of it
ANYTHING = {
    "__init__",
    "__main__",
    "admin",
    "api",
    "pipelineworker",
    "app",
    "cli",
    "config",
    "container",
    "demo",
    "listeners",
    "logs",
}

# The process is built on top: who starts one may import it, and nothing that it is made of knows it.
ABOVE_THE_APP = {"cli", "container", "demo"}

# What layer 0 has beside the standard library: values and calendar rules, which do no I/O either.
PURE = {"msgspec", "cronsim"}

# A third-party or storage library is imported in the places named, so that replacing it touches nothing else.
HOMES = {
    "jsonschema_rs": {"pipeline"},
    "pint": {"pipeline"},
    "sqlite3": {"store"},
    "asyncpg": {"forward"},
    "aiohttp": {"kafkagroup", "forward", "hooks", "pipeline", "servers", "supervisor", "ui"},
    "jinja2": {"expression", "ui"},
    "aio_pika": {"sources"},
    "aiokafka": {"kafkagroup", "forward", "sources"},
    "aiomqtt": {"mqttclient"},
    "prometheus_client": {"commands", "kafkagroup", "servers"},
    "paho": {"mqttclient"},
    "amqtt": {"demo"},
    "click": {"cli"},
    "cronsim": {"model"},
    "voluptuous": {"config"},
    "yaml": {"config", "pipeline"},
    "uvloop": {"pipelineworker", "app", "cli"},
    "ifaddr": {"announce"},
    "zeroconf": {"announce"},
}


def part_of(path: Path, package: Path = PACKAGE) -> str:
    """The top-level folder or module of the package that a file belongs to."""
    return path.relative_to(package).parts[0].removesuffix(".py")


def imports(source: str, module: str) -> Iterator[str]:
    """Every name that the source of `module` (dotted, a package ends with `.__init__`) imports from a module, in full.

    Wherever it stands: for types only, or in a function.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(module.split(".")[: -node.level]) if node.level else ""
            name = ".".join(filter(None, [base, node.module]))
            yield from (f"{name}.{alias.name}" for alias in node.names)


def circles(modules: Mapping[str, str]) -> set[str]:
    """The modules that import each other, in whatever number of steps, and those that import one of these.

    modules: source by dotted name, as for `imports`.
    """
    names = {module.removesuffix(".__init__"): module for module in modules}
    left = {
        name: {_module(each, names) for each in imports(modules[module], module)} - {name}
        for name, module in names.items()
    }
    while ends := {name for name, targets in left.items() if not targets & left.keys()}:
        left = {name: targets for name, targets in left.items() if name not in ends}
    return set(left)


def _module(imported: str, names: Container[str]) -> str:
    """The module that an imported name is, or is of."""
    return imported if imported in names else imported.rpartition(".")[0]


def forbidden(part: str, imported: str) -> str | None:
    """Why this part may not import that, or None."""
    root, _, rest = imported.partition(".")
    if root == "hubqueue":
        target = rest.partition(".")[0] or "__init__"
        if target == "app" and part not in {*ABOVE_THE_APP, target}:
            return f"{part} may not import {imported}: nobody holds the app, hand down the parts"
        allowed = MAY_IMPORT.get(part)
        if allowed is not None and target != part and target not in allowed:
            return f"{part} may not import {imported}"
    elif part not in HOMES.get(root, {part}):
        return f"{part} may not import {imported}: its home is {', '.join(sorted(HOMES[root]))}"
    elif part in BASE and root not in PURE and root not in sys.stdlib_module_names:
        return f"{part} may not import {imported}: layer 0 has the standard library and {', '.join(PURE)}"
    return None


def test_every_part_has_its_place_and_only_one() -> None:
    found = {part_of(path) for path in PACKAGE.rglob("*.py")}
    assert found
    assert found - MAY_IMPORT.keys() - ANYTHING == set()
    assert MAY_IMPORT.keys() & ANYTHING == set()


def test_imports_point_down_only() -> None:
    wrong = [
        f"{module}: {reason}"
        for module, source in sources().items()
        for imported in imports(source, module)
        if (reason := forbidden(module.split(".")[1], imported))
    ]
    assert wrong == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert circles(sources()) == set()


@pytest.mark.parametrize(
    "back",
    [
        "from hubqueue.one import a",
        "from hubqueue import one",
        "def late():\n    from .one import a",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import hubqueue.one",
    ],
)
def test_a_circle_is_found(back: str) -> None:
    modules = {
        "hubqueue.__init__": "",
        "hubqueue.one": "from hubqueue.two.three import b",
        "hubqueue.two.__init__": "",
        "hubqueue.two.three": "from hubqueue.four import c",
        "hubqueue.four": back,
    }
    assert circles(modules) == {"hubqueue.one", "hubqueue.two.three", "hubqueue.four"}
    assert circles({**modules, "hubqueue.four": "import json"}) == set()


def sources() -> dict[str, str]:
    """The source of each module of the package by its dotted name."""
    return {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path.read_text(encoding="utf-8")
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def test_only_what_builds_the_process_reads_the_environment() -> None:
    readers = {
        module.split(".")[1]
        for module, source in sources().items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv", "expandvars")
    }
    assert readers
    assert readers - ANYTHING == set()


@pytest.mark.parametrize(
    ("part", "module", "source"),
    [
        ("model", "hubqueue.model.job", "from hubqueue.store import db"),
        ("model", "hubqueue.model.job", "import aiohttp"),
        ("store", "hubqueue.store.db", "import hubqueue.wire.frames"),
        ("wire", "hubqueue.wire.frames", "from hubqueue import store"),
        ("client", "hubqueue.client.remote", "from ..store import store"),
        ("servers", "hubqueue.servers.tcp", "def late():\n    from hubqueue.mqtt import bridge"),
        ("servers", "hubqueue.servers.tcp", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import sqlite3"),
        ("hub", "hubqueue.hub.hub", "from hubqueue import open"),
        ("hub", "hubqueue.hub.verbs.__init__", "from ...wire import frames"),
        (
            "admin",
            "hubqueue.admin.files",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from hubqueue.app import App",
        ),
        ("admin", "hubqueue.admin.files", "def late():\n    from hubqueue import app"),
    ],
)
def test_a_wrong_arrow_is_found(part: str, module: str, source: str) -> None:
    assert [reason for name in imports(source, module) if (reason := forbidden(part, name))]


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("model", "import msgspec, re"),
        ("hub", "from hubqueue.store.db import Db\nfrom hubqueue.errors import Invalid"),
        ("servers", "from hubqueue.hub import hub\nimport ssl"),
        ("app", "from hubqueue.servers import tcp\nfrom hubqueue.mqtt import link"),
    ],
)
def test_an_arrow_down_is_allowed(part: str, source: str) -> None:
    assert [reason for name in imports(source, f"hubqueue.{part}.some") if (reason := forbidden(part, name))] == []
