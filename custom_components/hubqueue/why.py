"""Why a run of actions has failed, in the user's words where there are some.

Home Assistant tells an exception to its log, and the text of `stop` to nobody; both are in the trace of the run, which
lies in a variable of the task that ran the actions: read it there, before anything else is run in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import TemplateError
from homeassistant.helpers.template import Template
from homeassistant.helpers.trace import TraceElement, script_execution_get, trace_get

from .outcome import Fail
from .said import is_final, said

# a step of the outermost sequence: of an automation, of a script, of actions of ours
STEP: Final = re.compile(r"^(?:action/|sequence/)?\d+$")


def why(hass: HomeAssistant, error: BaseException | None = None) -> Fail | None:
    """What the run that has just ended in this task has failed with. error: what it raised, where that is known."""
    elements = _elements()
    cause = error if error is not None else _cause(elements)
    return _condition(elements) if cause is None else _failure(hass, cause, elements)


def why_script(hass: HomeAssistant, script: str) -> str | None:
    """What a script that was called in this task has failed with, of which it has raised nothing.

    Its own condition is no failure: then there was nothing to do.
    """
    match script_execution_get():
        case "failed_single" | "failed_max_runs":
            return f"{script} is running already"
        case "disallowed_recursion_detected":
            return f"{script} calls itself without end"
        case "aborted":
            elements = _elements()
            cause = _cause(elements)
            failed = (
                None if cause is None else _failure(hass, cause, elements) or Fail(f"{script} stopped with an error")
            )
            return None if failed is None else failed.error
    return None


def _elements() -> list[TraceElement]:
    return [each for of_path in (trace_get(clear=False) or {}).values() for each in of_path]


def _cause(elements: list[TraceElement]) -> BaseException | None:
    steps = [each for each in elements if STEP.match(each.path)]
    return _error(steps[-1]) if steps else None


def _failure(hass: HomeAssistant, cause: BaseException, elements: list[TraceElement]) -> Fail | None:
    inner = [each for each in elements if _error(each) is cause]
    result = _result(max(inner, key=lambda each: each.path.count("/"))) if inner else {}
    if result.get("stop") is not None and result.get("error"):
        text = _rendered(hass, str(result["stop"]), elements).strip()
        return Fail(said(Exception(text))) if text else None
    if result.get("timeout"):
        return Fail(f"a wait among the actions took too long ({inner[-1].path})")
    return Fail(said(cause, _action(result)), final=is_final(cause))


def _condition(elements: list[TraceElement]) -> Fail | None:
    """A condition that was false raises nothing."""
    false = [each for each in elements if _result(each).get("result") is False]
    return Fail(f"a condition among the actions is not met ({false[-1].path})") if false else None


def _error(element: TraceElement) -> BaseException | None:
    """The exception itself; a Home Assistant that keeps it elsewhere at least tells its text."""
    error = getattr(element, "_error", None)
    if error is None and (text := element.as_dict().get("error")) is not None:
        return Exception(text)
    return error if isinstance(error, BaseException) else None


def _result(element: TraceElement) -> Mapping[str, Any]:
    result = element.as_dict().get("result")
    return result if isinstance(result, Mapping) else {}


def _action(result: Mapping[str, Any]) -> str:
    params = result.get("params")
    return f"{params['domain']}.{params['service']}" if isinstance(params, Mapping) else ""


def _rendered(hass: HomeAssistant, text: str, elements: list[TraceElement]) -> str:
    """Home Assistant does not look at templates in the text of `stop`; whoever writes one there means it."""
    variables: dict[str, Any] = {}
    for element in elements:
        variables |= element.as_dict().get("changed_variables", {})
    try:
        rendered: str = Template(text, hass).async_render(variables, parse_result=False)
    except TemplateError:
        return text
    return rendered
