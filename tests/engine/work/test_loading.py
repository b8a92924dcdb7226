"""Loading a folder: good files count, broken ones are reported with file and line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from hubqueue.work.loading import Loaded, load

GOOD = """
    from hubqueue.work.registry import task

    @task("good")
    def good(job):
        return 1
"""


@pytest.fixture(autouse=True)
def fresh_modules() -> Iterator[None]:
    """A process loads a folder once; here many tests share one."""
    before = set(sys.modules)
    cache, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    yield
    sys.dont_write_bytecode = cache
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == "handlers":
            del sys.modules[name]


def loaded(folder: Path, **files: str) -> Loaded:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(dedent(text))
    return load(folder)


def names(result: Loaded) -> set[str]:
    return {task.name for task in result.registry}


def problem(result: Loaded) -> tuple[str, int, str]:
    (one,) = result.problems
    return one.file, one.line, one.text


def test_an_empty_or_missing_folder_has_no_tasks_and_no_problems(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        result = load(folder)
        assert len(result.registry) == 0
        assert result.problems == []


def test_a_syntax_error_is_reported_with_its_line_and_the_other_files_still_load(tmp_path: Path) -> None:
    result = loaded(tmp_path, good=GOOD, bad="x = 1\ndef broken(:\n    pass\n")
    assert names(result) == {"good"}
    file, line, text = problem(result)
    assert (file, line) == ("bad.py", 2)
    assert text.startswith("SyntaxError: ")


def test_an_error_while_a_file_runs_is_reported_with_the_line_of_that_file(tmp_path: Path) -> None:
    result = loaded(tmp_path, good=GOOD, bad='import json\n\njson.loads("{")\n')
    assert names(result) == {"good"}
    file, line, text = problem(result)
    assert (file, line) == ("bad.py", 3)
    assert text.startswith("JSONDecodeError: ")


def test_a_file_that_exits_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    result = loaded(tmp_path, good=GOOD, bad="import sys\nsys.exit(3)\n")
    assert names(result) == {"good"}
    assert problem(result)[:2] == ("bad.py", 2)
    assert "__main__" in problem(result)[2]


def test_a_wrong_option_of_a_task_is_reported_with_its_line(tmp_path: Path) -> None:
    result = loaded(tmp_path, bad=GOOD.replace('"good"', '"good", concurrency=0'))
    assert problem(result) == ("bad.py", 4, "concurrency of task 'good' must be a whole number from 1 to 1000")


def test_a_duplicate_is_reported_and_the_first_stays(tmp_path: Path) -> None:
    result = loaded(tmp_path, a=GOOD, b=GOOD)
    assert names(result) == {"good"}
    file, line, text = problem(result)
    assert (file, line) == ("b.py", 4)
    assert f"{tmp_path / 'a.py'}:4" in text


def test_files_reach_their_neighbours_and_each_task_counts_once(tmp_path: Path) -> None:
    result = loaded(
        tmp_path,
        a="from . import _shared\nfrom .b import good\nassert _shared.ANSWER == 42\n",
        b=GOOD,
        _shared="ANSWER = 42\n",
    )
    assert result.problems == []
    assert [Path(task.place[0]).name for task in result.registry] == ["b.py"]


def test_importing_a_neighbour_the_wrong_way_is_explained(tmp_path: Path) -> None:
    result = loaded(tmp_path, a="import zz_shared\n", zz_shared="")
    assert problem(result) == (
        "a.py",
        1,
        "no module named 'zz_shared'; a file of this folder is imported with 'from . import zz_shared'",
    )


def test_a_file_cannot_hide_a_module_of_the_standard_library(tmp_path: Path) -> None:
    result = loaded(tmp_path, json=GOOD, user="import json\nassert json.loads('1') == 1\n")
    assert result.problems == []
    assert names(result) == {"good"}


def test_a_file_whose_name_python_cannot_import_is_reported(tmp_path: Path) -> None:
    (tmp_path / "send-mail.py").write_text("")
    assert problem(load(tmp_path)) == ("send-mail.py", 0, "the file name must be a Python name, such as send_mail.py")


def test_a_file_to_be_skipped_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "deadly.py").write_text("raise AssertionError\n")
    heard: list[str] = []
    result = load(tmp_path, skip={"deadly.py"}, loading=heard.append)
    assert problem(result)[0] == "deadly.py"
    assert problem(result)[2].startswith("skipped")
    assert heard == []
