"""docs/protocol.md says what the code does: every command, every field, every example."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from hubqueue import errors
from hubqueue.commands.decode import decode_request
from hubqueue.commands.sessions import CAPABILITIES
from hubqueue.commands.table import BY_NAME, COMMANDS, PLAIN_FORMS, Request
from hubqueue.wire.jobin import JobFields
from hubqueue.wire.jobmap import JobMap

DOC = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text()
SECTIONS = dict(re.findall(r"^### (.+?)\n(.*?)(?=^##|\Z)", DOC, re.MULTILINE | re.DOTALL))
OPTIONS = "The options of a job"
ROW = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)


def wire_names(struct: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(struct)}


def chapter(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", DOC, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def test_every_command_has_a_section_and_every_section_a_command() -> None:
    assert set(SECTIONS) - {OPTIONS} == set(BY_NAME)


def test_every_command_has_a_handler() -> None:
    assert set(COMMANDS) == {*BY_NAME.values(), *PLAIN_FORMS.values()}


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_a_command_is_documented_with_its_fields(name: str) -> None:
    fields = wire_names(BY_NAME[name]) - {"reqId"}
    if name == "PUSH":
        fields -= wire_names(JobFields)
    assert set(ROW.findall(SECTIONS[name])) == fields


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_the_example_of_a_command_is_one(name: str) -> None:
    found = re.search(r"^-> (\{.*\})$", SECTIONS[name], re.MULTILINE)
    assert found is not None
    command: Request = decode_request(msgspec.msgpack.encode(json.loads(found[1])))
    assert type(command).__struct_config__.tag == name
    assert re.search(r"^<- \{\"ok\": true", SECTIONS[name], re.MULTILINE)


def test_every_option_of_a_job_is_documented() -> None:
    assert set(ROW.findall(SECTIONS[OPTIONS])) == wire_names(JobFields)


def test_every_key_of_a_job_is_documented() -> None:
    text = chapter("The job")
    assert {name for name in wire_names(JobMap) if f"`{name}`" not in text} == set()


def test_every_capability_is_documented() -> None:
    assert [name for name in CAPABILITIES if name not in SECTIONS["Hello"]] == []


def test_every_documented_code_exists() -> None:
    codes = {error.code for error in vars(errors).values() if isinstance(error, type) and hasattr(error, "code")}
    documented = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.+?) \|", chapter("Errors"), re.MULTILINE))))
    assert documented - {"code"} <= codes
    assert len(documented) > 10
