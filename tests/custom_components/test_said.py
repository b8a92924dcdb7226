"""What exceptions say: words in every case, which the hub takes."""

from __future__ import annotations

import probatio as vol
import pytest
from custom_components.hubqueue.said import LONGEST, is_final, said
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import (
    ConditionErrorIndex,
    ConditionErrorMessage,
    ConfigValidationError,
    HomeAssistantError,
    ServiceNotFound,
    ServiceValidationError,
    Unauthorized,
    UnknownUser,
)
from homeassistant.setup import async_setup_component


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def invalid(data: object) -> vol.Invalid:
    with pytest.raises(vol.Invalid) as caught:
        vol.Schema({vol.Required("level"): int, vol.Required("tone"): str})(data)
    return caught.value


SAID = [
    (HomeAssistantError("The lamp is broken"), "The lamp is broken"),
    (HomeAssistantError(), "HomeAssistantError"),
    (caused(HomeAssistantError(), OSError("no route to host")), "no route to host"),
    (HomeAssistantError(OSError("no route to host")), "no route to host"),
    (KeyError("nope"), "there is no 'nope'"),
    (KeyError(), "KeyError"),
    (TimeoutError(), "it took too long"),
    (ValueError(), "ValueError"),
    (ValueError("  twelve is not a number \n"), "twelve is not a number"),
    (ValueError("half \ud83d a pair"), "half \\ud83d a pair"),
    (UnknownUser(), "the user who asked for this is not known any more"),
    (Unauthorized(Context()), "the user who asked for this may not do this"),
    (Unauthorized(entity_id="light.desk"), "the user who asked for this may not do this with light.desk"),
    (ExceptionGroup("both", [ValueError("one"), KeyError("two"), ValueError("one")]), "one; there is no 'two'"),
    (ExceptionGroup("many", [ValueError(str(each)) for each in range(9)]), "0; 1; 2; 3; 4, and 4 more"),
    (
        ConditionErrorIndex("and", index=0, total=2, error=ConditionErrorMessage("state", "no such entity")),
        "In 'and' (item 1 of 2):\n  In 'state' condition: no such entity",
    ),
    (
        HomeAssistantError(
            translation_domain="nobody", translation_key="not_loaded", translation_placeholders={"a": "b"}
        ),
        "not loaded (a: b)",
    ),
]


@pytest.mark.parametrize(("error", "words"), SAID, ids=[f"{type(error).__name__}: {words}" for error, words in SAID])
async def test_an_exception_says_what_is_wrong_in_words(hass: HomeAssistant, error: Exception, words: str) -> None:
    assert said(error) == words


async def test_what_home_assistant_translates_gives_its_message(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, "homeassistant", {})
    assert said(ServiceNotFound("light", "nope")) == "Action light.nope not found"
    group = ConfigValidationError(
        "platform_component_load_err",
        [ValueError("one"), ValueError("two")],
        translation_domain="homeassistant",
        translation_placeholders={"domain": "light", "error": "no such file"},
    )
    assert "no such file" in said(group)


def test_data_that_an_action_does_not_take_are_all_named_and_so_is_the_action() -> None:
    error = invalid({"level": "high", "wrong": 1})
    told = said(error, "siren.turn_on")
    assert told.startswith("siren.turn_on does not take this: ")
    assert all(key in told for key in ("level", "tone", "wrong"))
    assert told.endswith(said(error))
    assert "level" in said(vol.MultipleInvalid([*error.errors, *error.errors]))


def test_an_error_is_never_longer_than_the_hub_keeps() -> None:
    told = said(ValueError("x" * 100_000))
    assert len(told) == LONGEST
    assert told.endswith("x...")


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (Unauthorized(), True),
        (UnknownUser(), True),
        (ServiceNotFound("light", "nope"), False),
        (ServiceValidationError("no"), False),
        (vol.Invalid("no"), False),
        (OSError(), False),
    ],
)
def test_only_what_is_forbidden_never_gets_better(error: Exception, final: bool) -> None:
    assert is_final(error) is final
