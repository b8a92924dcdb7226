"""What the client reads of an answer is what the command says it answers."""

from __future__ import annotations

import inspect
import re

import msgspec
import pytest

from hubqueue.client import hubclient, remote, replies
from hubqueue.commands.table import BY_NAME

READ = sorted(
    {
        (cmd, kind)
        for module in (hubclient, remote)
        for cmd, kind in re.findall(r'"(\w+)", replies\.(\w+)', inspect.getsource(module))
    }
    | {(cmd, "CountReply") for cmd in re.findall(r'self\._count\("(\w+)"', inspect.getsource(hubclient))}
)
SAID = [(cmd, kind) for cmd, kind in READ if BY_NAME[cmd].row.answers is not None]


def test_there_is_something_to_compare() -> None:
    assert {"Clean", "Drain", "Publish"} <= {cmd for cmd, _ in SAID}


@pytest.mark.parametrize(("cmd", "kind"), SAID)
def test_no_field_is_read_that_nobody_says(cmd: str, kind: str) -> None:
    said = BY_NAME[cmd].row.answers
    assert said is not None
    wanted = {field.encode_name for field in msgspec.structs.fields(getattr(replies, kind))}
    assert wanted <= {field.encode_name for field in msgspec.structs.fields(said)}
