"""What a hub can see is given to it: no module asks the machine for the time, for chance, for files or for sockets.

Reads every name in the source. `system` and `store.disk` are the only homes of these; what else comes from the machine
comes by the running loop, which a simulation gives too.
"""

from __future__ import annotations

import ast
from collections.abc import Container, Iterator, Mapping
from fnmatch import fnmatch
from typing import Final

import pytest

from .test_layers import sources

SCOPE: Final = ("clock", "client", "commands", "forward", "hub", "model", "servers", "store", "wire", "work")

GIVEN: Final = ("DISK", "SYSTEM")

# From the machine, by full name.
MACHINE: Final = (
    "asyncio.create_subprocess_*",
    "asyncio.open_connection",
    "asyncio.start_server",
    "concurrent.futures.*Executor",
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "fcntl.*",
    "io.open",
    "mmap.*",
    "multiprocessing.*",
    "os.*",
    "random.*",
    "secrets.*",
    "shutil.*",
    "signal.*",
    "socket.*",
    "sqlite3.connect",
    "subprocess.*",
    "tempfile.*",
    "termios.*",
    "threading.*",
    "time.*",
    "uuid.getnode",
    "uuid.uuid1",
    "uuid.uuid4",
)
# Of `os`, what is the same on every machine, and questions whose answers change nothing.
HARMLESS: Final = ("os.O_*", "os.PathLike", "os.fspath", "os.geteuid", "os.getpid", "os.path*", "os.strerror")

# Methods of paths that change or read files, whatever they are called on but a disk.
OF_PATHS: Final = frozenset(
    [
        "chmod",
        "hardlink_to",
        "mkdir",
        "read_bytes",
        "read_text",
        "rename",
        "rmdir",
        "symlink_to",
        "touch",
        "unlink",
        "write_bytes",
        "write_text",
    ]
)
OF_LOOPS: Final = frozenset(["connect_read_pipe", "connect_write_pipe", "subprocess_exec", "subprocess_shell"])

# Who asks for itself all the same, and why.
HANDLERS: Final = "a process of its own for the handlers, which no simulation plays"
ALLOWED: Final = {
    "store.audit store.file.connect_aside": "of a copy, for people",
    "store.audit store.file.translate": "of a copy, for people",
    "store.disk": "the home of files",
    "store.checkpointer concurrent.futures.ThreadPoolExecutor": "only given to the loop",
    "store.syncer concurrent.futures.ThreadPoolExecutor": "only given to the loop",
    "work.worker concurrent.futures.ThreadPoolExecutor": "only given to the loop",
    "work.worker socket.gethostname": "the name of an owner, which may be given",
    "work.child": HANDLERS,
    "work.execution": HANDLERS,
    "work.filewatcher": HANDLERS,
    "work.parent": HANDLERS,
    "work.process": HANDLERS,
    "work.running": HANDLERS,
    "commands.stats .read_text()": "the memory of this process, for people",
    "client.load": "measures a hub from outside, with sockets of its own",
    "client.sendbuffer": "asks a real socket; another kind of link has none",
    "client.tls": "OpenSSL reads keys from files only",
}


def asked(source: str) -> Iterator[str]:
    """What this source asks the machine for."""
    tree = ast.parse(source)
    names = dict(_imported(tree))
    defaults = {id(node) for default in _defaults(tree) for node in ast.walk(default)}
    for node in ast.walk(tree):
        full = _full(node, names)
        if full is not None and any(fnmatch(full, each) for each in MACHINE):
            if not any(fnmatch(full, each) for each in HARMLESS):
                yield full
        elif full in ("hubqueue.system.SYSTEM", "hubqueue.store.disk.DISK") and id(node) not in defaults:
            yield full
        elif isinstance(node, ast.Call):
            yield from _called(node, names)


def lenders(modules: Mapping[str, str]) -> set[str]:
    """What asks the machine unless it is given something to ask: functions and classes by full name."""
    return {
        f"{module}.{node.name}"
        for module, source in modules.items()
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if any(
            isinstance(each, ast.Name) and each.id in GIVEN for default in _defaults(node) for each in ast.walk(default)
        )
    }


def forgotten(module: str, source: str, lenders: Container[str]) -> Iterator[str]:
    """Which of these are called here and given nothing to ask. module: its full name."""
    tree = ast.parse(source)
    here = {
        node.name: f"{module}.{node.name}" for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    names = here | dict(_imported(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (full := _full(node.func, names)) in lenders:
            given = [*node.args, *(keyword.value for keyword in node.keywords)]
            if not any(_last(each).removeprefix("_") in ("system", "disk", "chance") for each in given):
                yield str(full).removeprefix("hubqueue.")


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _called(call: ast.Call, names: dict[str, str]) -> Iterator[str]:
    if isinstance(call.func, ast.Name) and call.func.id == "open":
        yield "builtins.open"
    if not isinstance(call.func, ast.Attribute):
        return
    name, on = call.func.attr, call.func.value
    if isinstance(on, ast.Name) and on.id in names:  # of a module, which has been looked at
        return
    if name in OF_LOOPS or (name in OF_PATHS and _last(on).removeprefix("_") != "disk"):
        yield f".{name}()"
    first = call.args[0] if call.args else None
    if name == "open" and isinstance(first, ast.Constant) and isinstance(first.value, str):
        yield ".open()"
    if name == "replace" and len(call.args) == 1 and not call.keywords:  # with two it is that of a text
        yield ".replace()"


def _imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.asname or alias.name.partition(".")[0]
                yield name, alias.name if alias.asname else name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _defaults(tree: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.arguments):
            yield from node.defaults
            yield from filter(None, node.kw_defaults)


def _full(node: ast.AST, names: dict[str, str]) -> str | None:
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        of = _full(node.value, names)
        return None if of is None else f"{of}.{node.attr}"
    return None


def test_nobody_asks_the_machine_but_by_the_seams() -> None:
    used: set[str] = set()
    wrong = []
    modules = sources()
    lent = lenders(modules)
    for full, source in modules.items():
        module = full.removeprefix("hubqueue.")
        if module.partition(".")[0] not in SCOPE:
            continue
        for each in [*asked(source), *forgotten(full, source, lent)]:
            keys = [key for key in (module, f"{module} {each}") if key in ALLOWED]
            used.update(keys)
            if not keys:
                wrong.append(f"{module}: {each}")
    assert wrong == []
    assert used == set(ALLOWED)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import time\ndef now():\n    return time.monotonic()", "time.monotonic"),
        ("from time import perf_counter as p\np()", "time.perf_counter"),
        ("import random\ndef wait(chance=random.random): ...", "random.random"),
        ("from datetime import datetime\ndatetime.now()", "datetime.datetime.now"),
        ("def f(path):\n    with open(path) as file: ...", "builtins.open"),
        ("def f(path):\n    with path.open('rb') as file: ...", ".open()"),
        ("def f(self):\n    self._path.unlink()", ".unlink()"),
        ("def f(a, b):\n    a.replace(b)", ".replace()"),
        ("import os\nos.rename('a', 'b')", "os.rename"),
        ("from os import replace\nreplace('a', 'b')", "os.replace"),
        ("import sqlite3\nsqlite3.connect('a')", "sqlite3.connect"),
        ("def f(loop):\n    loop.subprocess_exec(None, 'a')", ".subprocess_exec()"),
        ("from hubqueue.system import SYSTEM\ndef f():\n    return SYSTEM.wall_ms()", "hubqueue.system.SYSTEM"),
    ],
)
def test_who_asks_is_found(source: str, found: str) -> None:
    assert list(asked(source)) == [found]


@pytest.mark.parametrize(
    "source",
    [
        "import os\nprint(os.strerror(1), os.O_RDONLY | os.O_CREAT)",
        "from hubqueue.system import SYSTEM, System\ndef f(system: System = SYSTEM):\n    return system.wall_ms()",
        "from hubqueue.store.disk import Disk\ndef f(disk, self):\n    disk.unlink(1)\n    self._disk.rename(1, 2)",
        "async def f(session, text):\n    await session.open()\n    return text.replace('a', 'b')",
        "from datetime import datetime, UTC\ndatetime.fromtimestamp(0, UTC).replace(tzinfo=None)",
        "import asyncio, sqlite3\nasync def f():\n    await asyncio.sleep(1)\n    raise sqlite3.Error",
        "from uuid import UUID\nUUID(int=1)",
    ],
)
def test_what_is_given_or_the_same_everywhere_is_no_question(source: str) -> None:
    assert list(asked(source)) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from hubqueue.maker import make\nmake(1)", ["maker.make"]),
        ("from hubqueue.maker import make\nmake(1, self._system)", []),
        ("from hubqueue.maker import Maker\nMaker(disk=disk)", []),
        ("from hubqueue import maker\nmaker.Maker()", ["maker.Maker"]),
    ],
)
def test_a_seam_that_is_not_handed_on_is_found(source: str, found: list[str]) -> None:
    maker = "def make(n, system=SYSTEM): ...\nclass Maker:\n    def __init__(self, disk=DISK): ...\ndef other(): ..."
    lent = lenders({"hubqueue.maker": maker})
    assert lent == {"hubqueue.maker.make", "hubqueue.maker.Maker"}
    assert list(forgotten("hubqueue.hub.some", source, lent)) == found
