"""Every option of a job at every door: it comes in as it was said, is bounded as the table says, or is left out there
for the reason that the table gives."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Final, get_type_hints

import click
import msgspec
import pytest
import voluptuous as vol
from msgspec import inspect
from yaml import safe_load

from hubqueue.api.newjob import JobOptions, RunOptions, new_job
from hubqueue.cli import joboptions as flags
from hubqueue.cli.add import add
from hubqueue.commands.decode import decode_request
from hubqueue.commands.enqueue import PlainPush, Push
from hubqueue.config.checks import duration_text
from hubqueue.config.rules import read_rule, words
from hubqueue.config.sources import source
from hubqueue.errors import HubqueueError
from hubqueue.ingest.outcome import Taken
from hubqueue.model import options as table
from hubqueue.model.flatoptions import scattered
from hubqueue.model.job import Job, NewJob, Options
from hubqueue.model.limits import check_new_job
from hubqueue.model.option import Door, Kind, Option, Parent
from hubqueue.model.options import BY_NAME, OPTIONS, options_at
from hubqueue.model.optionsjson import FILE, text
from hubqueue.mqtt.invoke import read_invoke
from hubqueue.mqtt.trial import try_message
from hubqueue.mqttclient.message import Message
from hubqueue.sources.message import Message as Record
from hubqueue.sources.routing import SourceRouting
from hubqueue.ui import joboptions as forms
from hubqueue.ui.text import LANGUAGES, texts
from hubqueue.wire.jobin import JobIn, to_new_job
from hubqueue.wire.joboptions import job_fields
from support import node_push
from support.job_options import SAMPLES, as_json, with_needs
from support.rest import Rest, serving

HOME_ASSISTANT: Final = Path(__file__).parents[2] / "custom_components" / "hubqueue"
DOCS: Final = Path(__file__).parents[2] / "docs"
NOW_MS: Final = 1_800_000_000_000
Given = Mapping[str, Any]


def spoken(given: Given) -> dict[str, Any]:
    return {name: value for each, said in given.items() for name, value in as_json(BY_NAME[each], said).items()}


def python(given: Given) -> NewJob:
    options: dict[str, Any] = {}
    for name, value in given.items():
        kind = BY_NAME[name].kind
        options[name] = value / 1000 if kind in (Kind.SPAN, Kind.TIME) else value
        if isinstance(value, Parent):
            options[name] = (value.queue, value.id)
    return new_job("n", {"a": 1}, options)  # type: ignore[arg-type]


def across_the_wire(given: Given) -> NewJob:
    """What a Python client sends of a job, as a hub reads it."""
    sent = msgspec.msgpack.encode({"cmd": "PUSH", "queue": "q", **job_fields(python(given), "jobId")})
    push = decode_request(sent)
    if isinstance(push, PlainPush):
        plain = {name: getattr(push, name) for name in ("name", "priority", "delay_ms", "max_attempts")}
        return NewJob(data=bytes(push.data), **plain)
    assert isinstance(push, Push)
    return to_new_job(push, push.job_id)


def yaml(option: Option, value: Any) -> Any:
    match option.kind:
        case Kind.SPAN:
            return duration_text(round(value))
        case Kind.TEXTS:
            return list(value)
        case Kind.MAP:
            return {part.name: yaml(part, getattr(value, part.field)) for part in option.parts}
    return value


def keys(given: Given) -> dict[str, Any]:
    return {name: yaml(BY_NAME[name], value) for name, value in given.items()}


def rule(given: Given) -> NewJob:
    read = read_rule({"topic": "a", "queue": "q", **keys(given)})
    assert read_rule(words(read)) == read
    (taken,) = try_message([read], "a", b"1", now_ms=NOW_MS)
    assert isinstance(taken, Taken), taken
    return taken.job


def from_kafka(given: Given) -> NewJob:
    made = source(Path())({"name": "s", "from": "kafka://h/t", "queue": "q", **keys(given)})
    (taken,) = SourceRouting("s", made.into).route([Record("t", b"1")], NOW_MS).taken
    return taken.job


def invoke(given: Given) -> NewJob:
    body = {"method": "n", **spoken(given)}
    return read_invoke(Message("hubqueue/q/invoke", json.dumps(body).encode()), "q")[0]


def command_line(given: Given) -> NewJob:
    arguments = ["q"]
    for name, value in scattered(given, Door.CLI).items():
        for one in value if isinstance(value, tuple) else (value,):
            arguments += flag_of(name, one)
    return table.new_job("n", None, flags.given(add.make_context("add", arguments).params))


def flag_of(name: str, value: Any) -> list[str]:
    leaf = next(field.leaf for field in flags.FIELDS if field.name == name)
    match leaf.kind:
        case Kind.FLAG:
            return [flags.flag(name)] if value else []
        case Kind.SPAN:
            return [flags.flag(name), f"{value}ms"]
        case Kind.TIME:
            return [flags.flag(name), "2096-10-02T07:06:40+00:00"]  # the sample
    return [flags.flag(name), str(value)]


def form(given: Given) -> NewJob:
    sent: dict[str, Any] = {}
    for name, value in scattered(given, Door.FORM).items():
        if isinstance(value, bool):
            sent |= {name: "on"} if value else {}
        else:
            sent[name] = ", ".join(value) if isinstance(value, tuple) else str(value)
            sent[f"{name}_unit"] = "ms"
    return table.new_job("n", None, forms.read(sent))


def node_red(given: Given) -> NewJob:
    """As msg.enqueue. What is said of every job of Node-RED is taken away: an id, synced, dependencies as children."""
    sent = node_push.push({"durable": False} | spoken(given))
    message = decode_request(sent)
    assert isinstance(message, Push)
    job = to_new_job(message, None if (message.job_id or "").startswith("once:") else message.job_id)
    if job.options is None:
        return job
    return msgspec.structs.replace(job, options=msgspec.structs.replace(job.options, children_ids=()))


DOORS: Final[dict[str, tuple[Door, Callable[[Given], NewJob]]]] = {
    "Python": (Door.PYTHON, python),
    "the wire": (Door.PYTHON, across_the_wire),
    "a rule": (Door.RULE, rule),
    "a source": (Door.SOURCE, from_kafka),
    "an invoke": (Door.INVOKE, invoke),
    "the command line": (Door.CLI, command_line),
    "a form": (Door.FORM, form),
    "Node-RED": (Door.NODE_RED, node_red),
}
TAKEN: Final = [
    pytest.param(make, option.name, id=f"{name}-{option.name}")
    for name, (door, make) in DOORS.items()
    for option in options_at(door)
]
LEFT_OUT: Final = [
    pytest.param(make, option.name, id=f"{name}-{option.name}")
    for name, (door, make) in DOORS.items()
    for option in OPTIONS
    if door in option.left_out and option.name in SAMPLES and make not in (command_line, form)
]


def said_of(job: NewJob | Job) -> dict[str, Any]:
    """Everything of a job that options say."""
    plain = {name: getattr(job, name) for name in ("priority", "custom_id", "max_attempts")}
    delay = {"delay_ms": job.delay_ms, "run_at_ms": job.run_at_ms} if isinstance(job, NewJob) else {}
    options = job.options or Options()
    return plain | delay | {name: getattr(options, name) for name in Options.__struct_fields__}


@pytest.mark.parametrize(("make", "name"), TAKEN)
def test_an_option_comes_in_as_it_was_said(make: Callable[[Given], NewJob], name: str) -> None:
    given = with_needs(name)
    job = make(given)
    check_new_job(job)
    assert said_of(job) == said_of(table.new_job("n", None, given))


@pytest.mark.parametrize(("make", "name"), LEFT_OUT)
def test_what_a_door_leaves_out_it_refuses(make: Callable[[Given], NewJob], name: str) -> None:
    with pytest.raises((HubqueueError, vol.Invalid)) as refused:
        make({name: SAMPLES[name]})
    assert re.search(name.replace("_", "_?"), str(refused.value), re.IGNORECASE)


@pytest.mark.parametrize(("name", "bare", "parts"), [("dedup", "k", {"key": "k"}), ("backoff", "5s", {"delay": "5s"})])
def test_a_section_may_hold_the_short_part_of_a_map_alone(name: str, bare: str, parts: dict[str, str]) -> None:
    said = {"topic": "a", "queue": "q"}
    assert read_rule(said | {name: bare}) == read_rule(said | {name: parts})
    of_source = {"name": "s", "from": "kafka://h/t", "queue": "q"}
    assert source(Path())(of_source | {name: bare}).into == source(Path())(of_source | {name: parts}).into
    for wrong in ("", 5, ["k"], True):
        with pytest.raises(HubqueueError):
            read_rule(said | {name: wrong})


BOUNDED: Final = [
    pytest.param(make, option.name, bound, id=f"{name}-{option.name}-{bound}")
    for name, (door, make) in DOORS.items()
    for option in options_at(door)
    if option.kind in (Kind.WHOLE, Kind.SPAN) and make is not across_the_wire
    for bound in (option.low, option.high)
]


@pytest.mark.parametrize(("make", "name", "bound"), BOUNDED)
def test_a_number_is_taken_up_to_its_bound_and_not_beyond(
    make: Callable[[Given], NewJob], name: str, bound: float
) -> None:
    option, edge = BY_NAME[name], int(bound)
    needs = {option.needs: SAMPLES[option.needs]} if option.needs else {}
    check_new_job(make({**needs, name: edge}))
    beyond = edge - 1 if edge == option.low else edge + 1
    with pytest.raises((HubqueueError, vol.Invalid, msgspec.ValidationError, click.ClickException)):
        check_new_job(make({**needs, name: beyond}))


def test_the_wire_takes_every_option_and_the_table_has_every_field_of_it() -> None:
    info = inspect.type_info(JobIn)
    assert isinstance(info, inspect.StructType)
    wire = {field.encode_name: field.type for field in info.fields} | {"parentId": None}
    known = {"name", "data", "dedup"}
    for option in OPTIONS:
        known |= set(filter(None, option.choices.values())) or {option.wire}
    assert wire.keys() == known


def test_the_table_has_every_option_of_the_model() -> None:
    fields = {*NewJob.__struct_fields__, *Options.__struct_fields__} - {"name", "data", "options"}
    assert {option.field for option in OPTIONS} == fields


def test_what_is_left_out_has_a_reason_and_nothing_is_left_out_everywhere_but_for_bunqueue() -> None:
    for option in OPTIONS:
        assert option.help
        assert all(len(why) > 10 for why in option.left_out.values()), option.name
        assert option.name in SAMPLES or set(option.left_out) == set(Door), option.name


def test_types_of_python_are_those_of_the_table() -> None:
    assert get_type_hints(JobOptions).keys() == {option.name for option in options_at(Door.PYTHON)}
    both = [option.name for option in options_at(Door.PYTHON) if Door.SCHEDULE not in option.left_out]
    assert get_type_hints(RunOptions).keys() == set(both)


def test_every_option_of_a_form_has_its_words_in_every_language() -> None:
    for language in LANGUAGES:
        entries = texts(language).entries
        for field in forms.fields({}):
            names = {f"option.{field.name}", f"option.{field.name}.hint"}
            names |= {f"option.{field.name}.{word}" for word in field.choices}
            assert names <= entries.keys(), language


def test_every_option_stands_in_the_docs_with_its_names() -> None:
    http = (DOCS / "http.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", http.partition("## The options of a job")[2], re.MULTILINE))
    python = (DOCS / "python.md").read_text(encoding="utf-8")
    for option in options_at(Door.REST):
        assert option.json in rows, option.name
        assert f"`{option.name}`" in python, option.name


@pytest.mark.parametrize("path", [FILE, HOME_ASSISTANT / "options.json"], ids=["engine", "Home Assistant"])
def test_the_table_as_json_is_fresh(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == text(), "run script/options"


def test_home_assistant_asks_for_every_option_in_every_language_and_explains_it() -> None:
    """What it makes of them is tried there: tests/custom_components/test_job_options.py."""
    names = {option.name for option in options_at(Door.HOME_ASSISTANT)}
    beside = {"queue", "create", "name", "data", "config_entry_id"}
    fields = safe_load((HOME_ASSISTANT / "services.yaml").read_text(encoding="utf-8"))["enqueue"]["fields"]
    sections = [field["fields"] for field in fields.values() if "fields" in field]
    assert {name for section in sections for name in section} == names
    for path in (HOME_ASSISTANT / "translations").iterdir():
        told = json.loads(path.read_text(encoding="utf-8"))
        assert told["services"]["enqueue"]["fields"].keys() == names | beside, path.name
        for option in options_at(Door.HOME_ASSISTANT):
            shown = told["selector"].get(option.name, {})
            assert shown.get("fields", {}).keys() == {part.name for part in option.parts}, (path.name, option.name)
            assert option.kind is not Kind.CHOICE or shown["options"].keys() == set(option.choices), path.name
    docs = (DOCS / "home-assistant.md").read_text(encoding="utf-8").partition("`enqueue` takes")[2].partition("```")[0]
    assert [name for name in names if f"`{name}`" not in docs] == []


@pytest.fixture
async def rest(tmp_path: Path) -> AsyncIterator[Rest]:
    async with serving(tmp_path / "hub.db") as served:
        yield served


def feed_query(given: Given) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in scattered(given, Door.FEED).items():
        words = {True: "true", False: "false"}.get(value) if isinstance(value, bool) else None
        found[name.replace("_", "")] = words or (",".join(value) if isinstance(value, tuple) else str(value))
    return found


async def by_rest(rest: Rest, door: Door, given: Given) -> str:
    """The id of the job that a route makes."""
    match door:
        case Door.FEED:
            made = await rest.post("/queues/q/feed", {"a": 1}, params=feed_query(given))
        case Door.INVOKE:
            made = await rest.post("/queues/q/invoke/n", {"data": 1} | spoken(given))
        case Door.FLOW:
            child = {"queue": "q", "name": "n", "id": "child"} | spoken(given)
            await rest.post("/flows", {"queue": "q", "name": "top", "children": [child]})
            return str(child["id"])
        case _:
            made = await rest.post("/queues/q/jobs", {"name": "n"} | spoken(given))
    return str(made["ids"][0] if "ids" in made else made["id"])


@pytest.mark.parametrize("door", [Door.REST, Door.FLOW, Door.FEED, Door.INVOKE])
async def test_every_option_comes_in_by_every_route(rest: Rest, door: Door) -> None:
    await rest.post("/queues/q/jobs", {"name": "n", "id": "first", "priority": 9})
    await rest.post("/queues/q/jobs", {"name": "n", "id": "above"})
    for option in options_at(door):
        given = with_needs(option.name)
        id = await by_rest(
            rest, door, {name: said for name, said in given.items() if door not in BY_NAME[name].left_out}
        )
        found, wanted = await rest.hub.get(id), table.new_job("n", None, given)
        assert found is not None, option.name
        held, due = said_of(found), said_of(wanted)
        skipped = {"delay_ms", "run_at_ms", "custom_id", "children_ids"}
        skipped |= {"parent_id"} if door is Door.FLOW else set()
        wrong = {name for name in due if name not in skipped and held[name] != due[name]}
        assert wrong == set(), (option.name, wrong)
        if option.name == "delay":
            assert found.run_at_ms - found.created_at_ms == SAMPLES["delay"]
        if option.name == "run_at":
            assert found.run_at_ms == SAMPLES["run_at"]
        if option.name == "parent":
            assert "above" in {job.id for job in [await rest.hub.get("above")] if job and job.options.children_ids}
        await rest.hub.cancel(id)
