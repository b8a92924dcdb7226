"""How a handler's return or exception becomes the outcome of the run.

Rules:
- an outcome (Complete, Fail, Retry, Reject, Release), returned or raised, is taken as it is
- any other return value completes the job with that result; None completes it without one
- any other exception fails the run, with its text and the last lines of its traceback
- a result that cannot be carried or is too large rejects the job: another run would do its work again in vain
"""

from __future__ import annotations

import traceback
from types import TracebackType

from hubqueue.errors import HubqueueError
from hubqueue.model import payload
from hubqueue.model.limits import MAX_ERROR_CHARS, MAX_STACK_LINES, check_size
from hubqueue.model.outcome import Complete, Fail, Outcome, Reject


def of_value(value: object) -> Outcome:
    """The outcome of a handler that returned."""
    if isinstance(value, Outcome):
        encoded: object = value.result if isinstance(value, Complete) else None
        if not isinstance(encoded, bytes | None):
            return Reject(f"the result of the handler cannot be stored: {type(encoded).__name__} is not bytes")
        return value
    if value is None:
        return Complete()
    try:
        result = payload.encode(value)
        check_size(result)
    except HubqueueError as error:
        return Reject(f"the result of the handler cannot be stored: {error}")
    return Complete(result)


def of_error(error: BaseException, stack_lines: int = MAX_STACK_LINES) -> Outcome:
    """The outcome of a handler that raised. stack_lines: how many lines of its traceback, the last ones, are kept."""
    if isinstance(error, Outcome):
        return of_value(error)
    name = type(error).__name__
    try:
        text = str(error)
    except Exception:  # of a class that cannot say what is wrong
        text = ""
    lines = "".join(traceback.format_exception(error.with_traceback(_own_part(error.__traceback__)))).splitlines()
    kept = tuple(lines[-stack_lines:]) if stack_lines > 0 else ()
    return Fail((f"{name}: {text}" if text else name)[:MAX_ERROR_CHARS], stack=kept)


def _own_part(frames: TracebackType | None) -> TracebackType | None:
    """A traceback from the handler on: how the worker came to call it helps nobody."""
    while frames is not None and _is_ours(frames.tb_frame.f_globals.get("__name__", "")):
        frames = frames.tb_next
    return frames


def _is_ours(module: str) -> bool:
    return module.startswith(("hubqueue.work.", "concurrent.futures."))
