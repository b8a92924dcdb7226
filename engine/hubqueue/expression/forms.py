"""The forms in which rules, steps, sources and sinks hold expressions: compiled once, run for every record.

What an expression names is checked when it is compiled. What it does with data is bounded (`work`) and says in plain
words what is wrong (`ExpressionFailed`). Any thread may run one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final
from urllib.parse import quote

from jinja2 import nodes

from hubqueue.expression.compiler import Compiled, Compiler
from hubqueue.expression.fault import ExpressionFailed, NotThere
from hubqueue.expression.missing import MISSING, Lack, path_of
from hubqueue.expression.numbers import bounded
from hubqueue.expression.parsing import expression, short, template
from hubqueue.expression.shown import shown
from hubqueue.expression.templates import Show, TemplateCompiler
from hubqueue.expression.work import SHARED, UNITS, Work, weigh
from hubqueue.model.dataname import escaped
from hubqueue.model.limits import check_queue
from hubqueue.model.topic import check_topic

_SCALARS: Final = frozenset({str, bool, bytes})
_BITS_64: Final = 2**64
_ONE_VALUE: Final = re.compile(r"\s*\{\{((?!\}\}).)*\}\}\s*\Z", re.DOTALL)


class Condition:
    """An expression that is true or false. What is missing makes < > <= >= == and `in` false, and != true."""

    def __init__(self, text: str, names: Collection[str] | None = None) -> None:
        self.text: Final = text
        self._run: Final = Compiler(f"expression {short(text)}", names).expression(expression(text))

    def holds(self, values: Mapping[str, object]) -> bool:
        """Errors: ExpressionFailed, which names the expression, where values cannot be compared: text with a number."""
        try:
            return bool(self._run(values, values.get(SHARED) or [UNITS]))
        except Exception as error:  # one record of odd data must not stop the others
            failed = _failed(error)
            raise ExpressionFailed(f"{short(self.text)} cannot be worked out: {failed}") from failed.__cause__


class Value:
    """An expression that gives any value that a record can carry."""

    def __init__(self, text: str, names: Collection[str] | None = None) -> None:
        self.text: Final = text
        tree = expression(text)
        self._run: Final = Compiler(f"expression {short(text)}", names).expression(tree)
        self._lack: Final = Lack(tree)
        self._plain: Final = path_of(tree) is not None

    def of(self, values: Mapping[str, object]) -> Any:
        """The value; MISSING when something it needs is not there, or null.

        Errors: ExpressionFailed where it cannot be worked out, as text plus a number.
        """
        work: Any = values.get(SHARED) or [UNITS]
        try:
            found = self._run(values, work)
            if found is None:
                return MISSING
            return found if self._plain or type(found) in _SCALARS else _carried(work, found)
        except Exception as error:  # one record of odd data must not stop the others
            raise _failed(error) from error.__cause__

    def lack(self, values: Mapping[str, object]) -> str:
        """Why it is MISSING: `there is no data.t`, `data.t is null`."""
        return self._lack.reason(values)


class Text:
    """A template that makes text. Every value it writes must be there."""

    def __init__(self, text: str, names: Collection[str] | None = None) -> None:
        self.text: Final = text
        made, places = TemplateCompiler(f"template {short(text)}", names).template(template(text), self._show())
        self._run: Final[Compiled] = made
        self._lacks: Final = [Lack(place) for place in places]

    def written(self) -> list[str]:
        """What stands around the values, piece by piece."""
        return [each.data for each in template(self.text).find_all(nodes.TemplateData)]

    def _show(self) -> Show:
        """How a value that is there is written."""
        return shown

    def render(self, values: Mapping[str, object]) -> str:
        """Errors: ExpressionFailed."""
        try:
            return self._run(values, values.get(SHARED) or [UNITS])  # type: ignore[no-any-return]
        except NotThere as missing:
            raise ExpressionFailed(self._lacks[missing.place].reason(values)) from None
        except Exception as error:  # one record of odd data must not stop the others
            raise _failed(error) from error.__cause__


def _quoted(work: Work, value: Any) -> str:
    text = shown(work, value)
    if text in {".", ".."}:
        raise ExpressionFailed("dots alone would mean another folder")
    return quote(text, safe="", errors="replace")


class Url(Text):
    """A template that makes a URL: every value in it is percent-encoded, so that data cannot choose where it leads."""

    def _show(self) -> Show:
        return _quoted


def _level(work: Work, value: Any) -> str:
    text = shown(work, value)
    if "/" in text:
        raise ExpressionFailed(
            f"a value may not bring levels of a topic with it: {short(text)} (write replace('/', '-') behind it)"
        )
    return text


class Topic(Text):
    """A template that makes a topic of MQTT: its `/` are the author's, so that data cannot choose where it leads.

    A template that is one value and nothing else says that the data names the whole topic. Errors: Invalid, where what
    stands around the values can be in no topic.
    """

    def __init__(self, text: str, names: Collection[str] | None = None) -> None:
        super().__init__(text, names)
        for piece in self.written():
            check_topic(piece)

    def _show(self) -> Show:
        return shown if _ONE_VALUE.match(self.text) else _level


def _queue_part(work: Work, value: Any) -> str:
    return escaped(shown(work, value))


class QueueName(Text):
    """A template that makes the name of a queue: what a value has and a name cannot have is escaped (model.dataname).

    Errors: Invalid, where what stands around the values can be in no name.
    """

    def __init__(self, text: str, names: Collection[str] | None = None) -> None:
        super().__init__(text, names)
        for piece in self.written():
            check_queue(piece)

    def _show(self) -> Show:
        return _queue_part


def _failed(error: Exception) -> ExpressionFailed:
    """What is told to people."""
    if isinstance(error, ExpressionFailed):
        return error
    if isinstance(error, RecursionError):
        return ExpressionFailed("the data is nested too deeply")
    failed = ExpressionFailed("it cannot be worked out with these values")
    failed.__cause__ = error
    return failed


def _carried(work: Work, found: Any) -> Any:
    """What was worked out, if a job can hold it. Errors: ExpressionFailed."""
    kind = type(found)
    if kind is list or kind is dict:
        weigh(work, found)
    elif kind is float:
        bounded(found)
    elif kind is int and not -_BITS_64 // 2 <= found < _BITS_64:
        raise ExpressionFailed("the number is beyond 64 bits")
    return found
