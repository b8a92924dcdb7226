"""Log lines: one line each, text for people, JSON for collectors."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from hubqueue import logs


@pytest.fixture(autouse=True)
def _root_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def written(form: logs.Format, level: str = "info") -> tuple[io.StringIO, logging.Logger]:
    stream = io.StringIO()
    logs.configure(level, form, stream)
    return stream, logging.getLogger("hubqueue.forward.link")


def test_text_keeps_the_sentence_and_its_tail() -> None:
    stream, log = written("text")
    log.warning("link down, trying again url=%s code=%s", "tcp://x:1", "link_down")
    line = stream.getvalue()
    assert line.endswith("WARNING forward.link: link down, trying again url=tcp://x:1 code=link_down\n")


def test_json_turns_the_tail_into_fields() -> None:
    stream, log = written("json")
    log.info('moved on queue=%s attempt=%d why="two words" level=high', "mail", 3)
    entry = json.loads(stream.getvalue())
    assert (entry["message"], entry["level"], entry["logger"]) == ("moved on", "info", "forward.link")
    assert (entry["queue"], entry["attempt"], entry["why"], entry["level_"]) == ("mail", "3", "two words", "high")


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_comes_from_outside_cannot_fake_a_second_line(form: logs.Format) -> None:
    stream, log = written(form)
    log.info("topic=%s", "a\n2026-01-01 ERROR faked")
    assert stream.getvalue().count("\n") == 1


def test_a_traceback_is_written_beside_its_line() -> None:
    stream, log = written("json")
    try:
        raise ValueError("boom")
    except ValueError:
        log.exception("handler failed")
    assert "ValueError: boom" in json.loads(stream.getvalue())["error"]


def test_the_level_holds_and_libraries_are_quieter() -> None:
    stream, log = written("text", "info")
    log.debug("not shown")
    logging.getLogger("asyncio").info("not shown either")
    assert stream.getvalue() == ""


def test_a_second_call_replaces_the_first() -> None:
    first, log = written("text")
    second, _ = written("text")
    log.info("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1
