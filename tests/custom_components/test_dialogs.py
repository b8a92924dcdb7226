"""The dialogs of subentries: every field, section, choice and error has a text, in every language."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from flows import add_subentry
from homeassistant.config_entries import SOURCE_RECONFIGURE, SOURCE_USER
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import SelectSelector
from pytest_homeassistant_custom_component.common import MockConfigEntry

from conftest import ROOT

HERE = ROOT / "custom_components" / "hubqueue"
LANGUAGES = {path.stem: json.loads(path.read_text()) for path in sorted((HERE / "translations").glob("*.json"))}
PLAIN: dict[str, Any] = {"schedule": {}, "more": {"test": False}}
GIVEN: dict[str, dict[str, Any]] = {
    "feed": {"name": "F", "queue": "q", "event_types": ["go"], "filter": {}, "job": {}},
    "worker": {"name": "W", "queue": "q", "sequence": [{"delay": 1}], "concurrency": 1},
    "uplink": {"queue": "q", "to": "tcp://127.0.0.1:9", **PLAIN},
}


def fields(schema: Mapping[Any, Any]) -> dict[str, Any]:
    """Names of fields, a section as the fields in it."""
    return {
        str(key): fields(value.schema.schema) if isinstance(value, section) else value for key, value in schema.items()
    }


def selectors(found: Mapping[str, Any]) -> Iterator[Any]:
    for value in found.values():
        if isinstance(value, dict):
            yield from selectors(value)
        else:
            yield value


def check(texts: dict[str, Any], found: Mapping[str, Any]) -> None:
    plain = {name for name, value in found.items() if not isinstance(value, dict)}
    assert texts["data"].keys() == texts["data_description"].keys() == plain
    inner = {name: value for name, value in found.items() if isinstance(value, dict)}
    assert texts.get("sections", {}).keys() == inner.keys()
    for name, value in inner.items():
        assert texts["sections"][name]["name"]
        check(texts["sections"][name], value)


@pytest.mark.parametrize("kind", GIVEN)
async def test_everything_in_a_dialog_has_a_text(hass: HomeAssistant, loaded: MockConfigEntry, kind: str) -> None:
    flows = hass.config_entries.subentries
    handler = (loaded.entry_id, kind)
    shown = {"user": await flows.async_init(handler, context={"source": SOURCE_USER})}
    subentry_id = await add_subentry(hass, loaded, kind, GIVEN[kind])
    context = {"source": SOURCE_RECONFIGURE, "subentry_id": subentry_id}
    shown["reconfigure"] = await flows.async_init(handler, context=context)
    for language, everything in LANGUAGES.items():
        texts = everything["config_subentries"][kind]
        assert texts["entry_type"], language
        assert texts["initiate_flow"].keys() == shown.keys()
        assert texts["step"].keys() == shown.keys()
        for step, form in shown.items():
            found = fields(form["data_schema"].schema)
            check(texts["step"][step], found)
            used = set(re.findall(r"\{(\w+)\}", json.dumps(texts["step"][step])))
            assert used <= (form["description_placeholders"] or {}).keys()
            for each in selectors(found):
                key = each.config.get("translation_key") if isinstance(each, SelectSelector) else None
                if key is not None:
                    assert everything["selector"][key]["options"].keys() == set(each.config["options"])


@pytest.mark.parametrize("kind", GIVEN)
def test_every_error_of_a_dialog_has_a_text(kind: str) -> None:
    said = (HERE / f"flow_{kind}.py").read_text()
    for texts in LANGUAGES.values():
        known = texts["config_subentries"][kind]["error"].keys()
        assert "invalid_queue" in known
        assert [error for error in known - {"invalid_queue"} if f'"{error}"' not in said] == []
