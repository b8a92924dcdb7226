"""What an exception says to a person: the error of a job, the text of a log line.

Whoever runs something of the user's (actions, scripts, templates) and tells why it failed asks here, never `str`: many
exceptions say nothing, a bare key, or only that there were several.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import probatio as vol
from homeassistant.exceptions import HomeAssistantError, Unauthorized, UnknownUser

LONGEST: Final = 1000  # characters of an error; the hub keeps no more than four times that
MOST_TOLD: Final = 5  # errors of one exception


def said(error: BaseException, action: str = "") -> str:
    """Why it failed, on one line or a few. action: which one was called, where that is known."""
    text = _words(error, action).strip()
    # half a surrogate pair cannot be sent to the hub
    text = text.encode(errors="backslashreplace").decode()
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def is_final(error: BaseException) -> bool:
    """Whether trying again never helps: it is forbidden."""
    return isinstance(error, Unauthorized)


def _words(error: BaseException, action: str) -> str:
    match error:
        case UnknownUser():
            return "the user who asked for this is not known any more"
        case Unauthorized():
            return f"the user who asked for this may not {_forbidden(error, action)}"
        case vol.Invalid():
            return f"{action} does not take this: {_invalid(error)}" if action else _invalid(error)
        case BaseExceptionGroup() if not isinstance(error, HomeAssistantError):
            return _several(_words(each, action) for each in error.exceptions)
        case HomeAssistantError():
            return _translated(error) or _of_cause(error, action)
        case KeyError():
            return f"there is no {error}" if error.args else _of_cause(error, action)
        case TimeoutError():
            return str(error) or "it took too long"
    return str(error) or _of_cause(error, action)


def _forbidden(error: Unauthorized, action: str) -> str:
    what = f"do {action}" if action else "do this"
    return f"{what} with {error.entity_id}" if error.entity_id else what


def _invalid(error: vol.Invalid) -> str:
    several = error.errors if isinstance(error, vol.MultipleInvalid) else [error]
    return _several(str(each) for each in several)


def _translated(error: HomeAssistantError) -> str:
    """Its message; where that was not loaded, Home Assistant gives only the key."""
    text = str(error)
    if not error.generate_message or text != error.translation_key:
        return text
    values = ", ".join(f"{key}: {value}" for key, value in (error.translation_placeholders or {}).items())
    return text.replace("_", " ") + (f" ({values})" if values else "")


def _of_cause(error: BaseException, action: str) -> str:
    """What led to an exception that says nothing itself."""
    if error.__cause__ is not None:
        return _words(error.__cause__, action)
    return type(error).__name__


def _several(texts: Iterable[str]) -> str:
    told = list(dict.fromkeys(texts))
    more = f", and {len(told) - MOST_TOLD} more" if len(told) > MOST_TOLD else ""
    return "; ".join(told[:MOST_TOLD]) + more
