"""Load the handler files of a folder: every good file counts, every broken one is reported with its line.

The folder is imported as the package `handlers`, so a file is `handlers.<name>`, can never hide a module of
the standard library, and reaches its neighbours with `from . import other`. Files whose name starts with an
underscore are for such neighbours and are not loaded by themselves. Loading runs user code: only the child
process does it, once per process.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import msgspec

from hubqueue.errors import HubqueueError, Invalid
from hubqueue.work.listener import AnyListener, Listener
from hubqueue.work.registry import AnyTask, Registry, Task

PACKAGE = "handlers"


class Problem(msgspec.Struct, frozen=True):
    """Why a file, or one task of it, is not served. line 0: the whole file."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}" if self.line else f"{self.file}: {self.text}"


@dataclass(frozen=True)
class Loaded:
    """What a folder gave."""

    registry: Registry
    problems: list[Problem]
    listeners: list[AnyListener]


def handler_files(folder: Path) -> list[Path]:
    """The files that are loaded by themselves, in the order in which they are."""
    return sorted(file for file in folder.glob("*.py") if not file.name.startswith(("_", ".")) and file.is_file())


def load(folder: Path, *, skip: Collection[str] = (), loading: Callable[[str], None] = lambda name: None) -> Loaded:
    """Import every handler file of the folder; `loading` hears each name before its code runs."""
    package = ModuleType(PACKAGE)
    package.__path__ = [str(folder)]
    sys.modules[PACKAGE] = package
    registry = Registry()
    problems: list[Problem] = []
    listeners: list[AnyListener] = []
    for file in handler_files(folder):
        if file.name in skip:
            problems.append(Problem(file.name, 0, "skipped: the process died while loading it; change it to try again"))
            continue
        loading(file.name)
        if not file.stem.isidentifier():
            problems.append(Problem(file.name, 0, "the file name must be a Python name, such as send_mail.py"))
            continue
        try:
            module = importlib.import_module(f"{PACKAGE}.{file.stem}")
        except (Exception, SystemExit) as error:  # user code: whatever it raises, the other files still count
            problems.append(_problem(file, error))
            continue
        for task in _tasks_of(module, file):
            try:
                registry.add(task)
            except Invalid as error:
                problems.append(Problem(file.name, task.place[1], str(error)))
        listeners += _listeners_of(module)
    return Loaded(registry, problems, listeners)


def _tasks_of(module: ModuleType, file: Path) -> list[AnyTask]:
    """Tasks defined in this file; those imported from a neighbour belong to that one."""
    found = {id(value): value for value in vars(module).values() if isinstance(value, Task)}
    return [task for task in found.values() if task.function.__module__ == module.__name__]


def _listeners_of(module: ModuleType) -> list[AnyListener]:
    found = {id(value): value for value in vars(module).values() if isinstance(value, Listener)}
    return [listener for listener in found.values() if listener.function.__module__ == module.__name__]


def _problem(file: Path, error: BaseException) -> Problem:
    """Where and why: the last line of this folder's code that ran, in words a user can act on."""
    if isinstance(error, SyntaxError) and error.filename:
        name = Path(error.filename)
        return Problem(name.name if name.parent == file.parent else file.name, error.lineno or 0, _words(file, error))
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(file)]
    return Problem(file.name, (lines[-1] if lines else None) or 0, _words(file, error))


def _words(file: Path, error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return "the file ends the process (sys.exit); move that under 'if __name__ == \"__main__\":'"
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    if isinstance(error, HubqueueError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and error.name and (file.parent / f"{error.name}.py").is_file():
        return f"no module named '{error.name}'; a file of this folder is imported with 'from . import {error.name}'"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
