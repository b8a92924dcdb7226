"""What `@task` accepts, and how a registry finds a task."""

from __future__ import annotations

from typing import Any

import pytest

from hubqueue.errors import Invalid
from hubqueue.work.registry import Registry, task


@task("greet", queue="talk", concurrency=3, timeout_s=2)
def greet(name: str) -> str:
    return f"hello {name}"


@task("wait")
async def wait(job: object) -> None: ...


def test_a_task_is_still_called_like_its_function() -> None:
    assert greet("you") == "hello you"


def test_a_task_knows_what_it_was_given() -> None:
    assert (greet.name, greet.queue, greet.concurrency, greet.timeout_s, greet.is_async) == (
        "greet",
        "talk",
        3,
        2,
        False,
    )
    assert (wait.queue, wait.concurrency, wait.timeout_s, wait.is_async) == ("default", 1, None, True)
    assert greet.place[0] == __file__


@pytest.mark.parametrize(
    "options",
    [
        {"name": ""},
        {"name": "x" * 257},
        {"name": "ok", "queue": "no spaces"},
        {"name": "ok", "concurrency": 0},
        {"name": "ok", "concurrency": True},
        {"name": "ok", "concurrency": 1.5},
        {"name": "ok", "timeout_s": 0},
        {"name": "ok", "timeout_s": float("nan")},
        {"name": "ok", "timeout_s": 86_401},
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        task(**options)


def test_a_class_or_a_generator_is_no_handler() -> None:
    with pytest.raises(Invalid, match="must decorate a function"):
        task("x")(int)

    def numbers() -> Any:
        yield 1

    with pytest.raises(Invalid, match="generator"):
        task("x")(numbers)


def test_a_second_task_of_the_same_name_is_refused_and_told_where_the_first_is() -> None:
    registry = Registry()
    registry.add(greet)
    with pytest.raises(Invalid, match=r"exists already.*test_registry\.py:\d+"):
        registry.add(task("greet", queue="talk")(lambda job: None))
    assert registry.find("talk", "greet") is greet


def test_the_same_name_in_another_queue_is_another_task() -> None:
    registry = Registry()
    other = task("greet", queue="other", concurrency=2)(lambda job: None)
    second = task("more", queue="other", concurrency=5)(lambda job: None)
    for one in (greet, other, second):
        registry.add(one)
    assert registry.find("other", "greet") is other
    assert registry.find("elsewhere", "greet") is None
    assert registry.queues() == {"talk": 3, "other": 7}
    assert len(registry) == 3
