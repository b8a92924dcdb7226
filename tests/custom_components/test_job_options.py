"""Every option of a job in the hub's table: an action takes it under its name there, within its bounds, and the hub
has it as it was said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import probatio as vol
import pytest
import yaml
from custom_components.hubqueue.actions import ACTIONS
from custom_components.hubqueue.const import DOMAIN
from custom_components.hubqueue.durations import duration
from custom_components.hubqueue.job_options import ROWS
from custom_components.hubqueue.table import OPTIONS
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from pytest_homeassistant_custom_component.common import MockConfigEntry

from conftest import ROOT, Call

HERE = ROOT / "custom_components" / "hubqueue"
SCHEMA = ACTIONS["enqueue"].schema
AT = datetime(2096, 10, 2, 7, 6, 40, tzinfo=UTC)
# what is said in an action, and what the hub tells of the job then
SAMPLES: Final[dict[str, tuple[Any, dict[str, Any]]]] = {
    "id": ("mine", {"customId": "mine", "id": "mine"}),
    "priority": (7, {"priority": 7}),
    "delay": ("1h", {"state": "delayed"}),
    "run_at": (AT.isoformat(), {"runAt": AT.timestamp() * 1000}),
    "attempts": (9, {"maxAttempts": 9, "keepTrying": None}),
    "backoff": (
        {"type": "fixed", "delay": 2.5, "max": "1m", "jitter": 0.5},
        {"backoffConfig": {"type": "fixed", "delay": 2500, "maxDelay": 60_000, "jitter": 0.5}},
    ),
    "timeout": ({"seconds": 30}, {"timeout": 30_000}),
    "ttl": ("00:10:00", {"ttl": 600_000}),
    "keep_trying": ("15min", {"keepTrying": 900_000}),
    "stall_timeout": (45, {"stallTimeout": 45_000}),
    "lifo": (True, {"lifo": True}),
    "durable": (True, {"durable": True}),
    "dedup": (
        {"key": "k", "ttl": "2m", "extend": True, "replace": True},
        {
            "uniqueKey": "k",
            "deduplicationTtl": 120_000,
            "deduplicationExtend": True,
            "deduplicationReplace": True,
        },
    ),
    "remove_on_complete": (True, {"removeOnComplete": True}),
    "remove_on_fail": (True, {"removeOnFail": True}),
    "tags": (["a", "b"], {"tags": ["a", "b"]}),
    "group": ("kitchen", {"groupId": "kitchen"}),
    "group_max_size": (5, {"groupId": "kitchen", "sizeLimit": None}),
    "depends_on": (["first"], {"dependsOn": ["first"], "state": "waiting-children"}),
    "parent": ({"queue": "mail", "id": "above"}, {"parentId": "above"}),
    "on_failure": ("ignore", {"parentId": "above", "ignoreDependencyOnFailure": True}),
}


def with_needs(name: str) -> dict[str, Any]:
    needs = ROWS[name]["needs"]
    return {name: SAMPLES[name][0]} | ({needs: SAMPLES[needs][0]} if needs else {})


async def enqueue(hass: HomeAssistant, **fields: Any) -> str:
    given = {"queue": "mail", "create": True, **fields}
    answer = await hass.services.async_call(DOMAIN, "enqueue", given, blocking=True, return_response=True)
    assert answer is not None
    return str(answer["id"])


@pytest.mark.parametrize("name", ROWS)
async def test_the_hub_has_an_option_as_it_was_said(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, name: str
) -> None:
    for id in ("first", "above"):
        await call("PUSH", queue="mail", jobId=id, delay=3_600_000)
    id = await enqueue(hass, **with_needs(name))
    job = (await call("GetJob", id=id))["job"]
    assert {key: job.get(key) for key in SAMPLES[name][1]} == SAMPLES[name][1]
    if name == "delay":
        assert job["runAt"] - job["createdAt"] == 3_600_000
    if name == "parent":
        assert job["data"] == {"__parentId": "above", "__parentQueue": "mail"}
        assert (await call("GetJob", id="above"))["job"]["dependsOn"] == [id]


async def test_many_jobs_take_them_too(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    jobs = [with_needs(name) for name in ROWS if name not in ("depends_on", "parent", "on_failure")]
    given = {"queue": "mail", "create": True, "jobs": jobs}
    answer = await hass.services.async_call(DOMAIN, "enqueue_many", given, blocking=True, return_response=True)
    ids: list[str] = answer["ids"]  # type: ignore[index, assignment]
    for each, id in zip(jobs, ids, strict=True):
        name = next(iter(each))
        if name != "dedup":
            job = (await call("GetJob", id=id))["job"]
            assert {key: job.get(key) for key in SAMPLES[name][1]} == SAMPLES[name][1], name


def bounded() -> Iterator[Any]:
    for name, row in ROWS.items():
        for part in row.get("parts", [row]):
            if "min" in part and part["kind"] != "time":
                yield pytest.param(name, part, id=name if part is row else f"{name}-{part['name']}")


def edge(part: Mapping[str, Any], end: str, beyond: int) -> Any:
    """A value of this size, or of one more or less."""
    size = part[end] + beyond
    match part["kind"]:
        case "duration":
            return timedelta(milliseconds=size) if size >= 0 else None
        case "text":
            return "x" * size
        case "texts":
            return ["x" * (part["maxLength"] if end == "max" else 1)] * max(size, 0)
    return size


@pytest.mark.parametrize(("name", "part"), bounded())
def test_a_value_is_taken_up_to_its_bound_and_not_beyond(name: str, part: Mapping[str, Any]) -> None:
    given = {"queue": "mail", **with_needs(name)}

    def said(value: Any) -> dict[str, Any]:
        return given | {name: value if part is ROWS[name] else given[name] | {part["name"]: value}}

    for end, beyond in (("min", -1), ("max", 1)):
        SCHEMA(said(edge(part, end, 0)))
        if part["kind"] == "texts" and end == "min":
            continue
        with pytest.raises(vol.Invalid):
            SCHEMA(said(edge(part, end, beyond)))
    if part["kind"] == "texts":
        with pytest.raises(vol.Invalid):
            SCHEMA(said(["x" * (part["maxLength"] + 1)]))


ANYTHING: Final[list[Any]] = [None, {"x": 1}, [{"x": 1}], "", "\ud800"]
NUMBERS: Final[list[Any]] = [float("nan"), float("inf"), float("-inf"), 1e300]
WORDS: Final[list[Any]] = ["anything", "5 parsecs", True]
WRONG: Final[dict[str, list[Any]]] = {
    "integer": [*ANYTHING, *NUMBERS, *WORDS, 2.5],
    "number": [*ANYTHING, *NUMBERS, "anything"],
    "duration": [*ANYTHING, *NUMBERS, *WORDS],
    "time": [*ANYTHING, *NUMBERS, *WORDS],
    "boolean": [*ANYTHING, "anything"],
    "text": ANYTHING,
    "texts": ANYTHING[1:],
    "choice": [*ANYTHING, *NUMBERS, *WORDS],
    "map": ANYTHING,
}


def of_kinds() -> Iterator[Any]:
    for name, row in ROWS.items():
        yield pytest.param(name, None, row["kind"], id=name)
        for part in row.get("parts", ()):
            yield pytest.param(name, part["name"], part["kind"], id=f"{name}-{part['name']}")


@pytest.mark.parametrize(("name", "part", "kind"), of_kinds())
def test_what_is_no_value_of_its_kind_is_refused(name: str, part: str | None, kind: str) -> None:
    """And empty, endless and broken values do nothing worse."""
    given = with_needs(name)
    for value in WRONG[kind]:
        with pytest.raises(vol.Invalid):
            SCHEMA({"queue": "mail", **given, name: value if part is None else given[name] | {part: value}})


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ({"maxAttempts": 3}, "do you mean attempts"),
        ({"max_attempts": 3}, "do you mean attempts"),
        ({"job_id": "x"}, "do you mean id"),
        ({"customId": "x"}, "do you mean id"),
        ({"unique_key": "x"}, "do you mean dedup"),
        ({"replace": True}, r"do you mean dedup: \{replace: ...\}"),
        ({"group_id": "x"}, "do you mean group"),
        ({"max_backoff": 5}, "do you mean backoff"),
        ({"backoff": {"delay": 1, "maxDelay": 5}}, "do you mean max?"),
        ({"keeptrying": 5}, "do you mean keep_trying"),
        ({"expires": 5}, "there are .*keep_trying.* ttl at '.*expires'"),
        ({"children_ids": ["x"]}, "there are "),
    ],
)
@pytest.mark.parametrize("many", [False, True])
async def test_a_name_that_is_none_is_refused_with_the_one_that_is_meant(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, said: dict[str, Any], hint: str, many: bool
) -> None:
    action, given = ("enqueue_many", {"jobs": [said]}) if many else ("enqueue", said)
    with pytest.raises(vol.Invalid, match=hint):
        await hass.services.async_call(DOMAIN, action, {"queue": "mail", "create": True, **given}, blocking=True)
    assert (await call("ListQueues"))["queues"] == []


@pytest.mark.parametrize(
    ("action", "said", "meant"),
    [
        ("get_job", {"job_id": "x"}, "id"),
        ("complete", {"job_id": "x", "token": "t"}, "id"),
        ("run_action", {"action": "light.turn_on", "ttl_": 5}, "ttl"),
        ("run_action", {"action": "light.turn_on", "groupId": "g"}, "group"),
        ("worker", {"queue": "q", "script": "script.x", "maxjobs": 1}, "max_jobs"),
    ],
)
async def test_every_action_says_so(
    hass: HomeAssistant, loaded: MockConfigEntry, action: str, said: dict[str, Any], meant: str
) -> None:
    with pytest.raises(vol.Invalid, match=f"do you mean {meant}"):
        await hass.services.async_call(DOMAIN, action, said, blocking=True, return_response=action == "get_job")


async def test_nobody_is_sent_to_a_name_that_an_action_does_not_take(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    for name in ROWS:
        with pytest.raises(vol.Invalid, match="there are config_entry_id, queue at"):
            await hass.services.async_call(DOMAIN, "pause", {"queue": "q", name: SAMPLES[name][0]}, blocking=True)


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row["needs"]])
async def test_what_says_nothing_alone_is_refused(hass: HomeAssistant, loaded: MockConfigEntry, name: str) -> None:
    with pytest.raises(ServiceValidationError, match=f"{name} needs {ROWS[name]['needs']}"):
        await enqueue(hass, **{name: SAMPLES[name][0]})


@pytest.mark.parametrize(
    ("said", "ms"),
    [("500ms", 500), ("5s", 5000), ("1.5h", 5_400_000), (" 2 m ", 120_000), ("1d", 86_400_000), ("1w", 604_800_000),
     (2.5, 2500), ("5", 5000), ("00:01:00", 60_000), ({"minutes": 1}, 60_000)],
)  # fmt: skip
def test_a_duration_is_said_as_everywhere_and_as_home_assistant_does(said: Any, ms: int) -> None:
    assert duration(said) == timedelta(milliseconds=ms)


def test_a_short_form_is_the_part_that_it_stands_for() -> None:
    def read(said: dict[str, Any]) -> Any:
        return SCHEMA({"queue": "mail", **said})

    assert read({"dedup": "k"})["dedup"] == {"key": "k"}
    for short in ("5m", 300, {"minutes": 5}):
        assert read({"backoff": short})["backoff"] == {"delay": timedelta(minutes=5)}


def test_the_table_is_that_of_the_engine() -> None:
    fresh = (ROOT / "engine/hubqueue/model/options.json").read_bytes()
    assert (HERE / "options.json").read_bytes() == fresh, "run script/options"
    assert SAMPLES.keys() == ROWS.keys()
    assert all(ROWS.get(row["name"]) or len(row["absent"]["home_assistant"]) > 10 for row in OPTIONS)


def selector_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """How an option is asked for."""
    box = {key: row[key] for key in ("min", "max") if key in row} | {"mode": "box"}
    match row["kind"]:
        case "integer":
            return {"number": box}
        case "number":
            return {"number": box | {"step": 0.1}}
        case "duration":
            return {"duration": {"enable_day": True}}
        case "time":
            return {"datetime": None}
        case "texts":
            return {"text": {"multiple": True}}
        case "choice":
            return {"select": {"options": [choice["name"] for choice in row["choices"]]}}
        case "map":
            return {"object": {"fields": {part["name"]: field_of(part) for part in row["parts"]}}}
    return {row["kind"]: None}


def field_of(part: Mapping[str, Any]) -> dict[str, Any]:
    return {"selector": selector_of(part)} | ({"required": True} if part["required"] else {})


def untranslated(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    return {key: untranslated(value) for key, value in tree.items() if key != "translation_key"}


def test_the_editor_asks_for_each_option_as_the_table_has_it() -> None:
    sections = yaml.safe_load((HERE / "services.yaml").read_text())["enqueue"]["fields"]
    asked = {**sections["options"]["fields"], **sections["more"]["fields"]}
    assert {name: untranslated(field["selector"]) for name, field in asked.items()} == {
        name: selector_of(row) for name, row in ROWS.items()
    }
