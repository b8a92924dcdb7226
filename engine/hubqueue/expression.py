"""Expressions and text templates of rules and pipelines: Jinja2 in a sandbox, compiled once, run for every record.

The sandbox is for the data, which anybody on the broker may have sent: it cannot reach Python through an
attribute, and cannot make an expression of its author run away. What an expression names is checked when it is
compiled: syntax, filters, tests, functions, and the names at the top where the caller says which there are.
Rule: one compiled expression is run by one thread at a time.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, ClassVar, Final, NoReturn
from urllib.parse import quote

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, Undefined, UndefinedError, meta, nodes
from jinja2.exceptions import SecurityError, TemplateRuntimeError
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from hubqueue.errors import Invalid, Undecodable
from hubqueue.model.cells import read_number

_MAX_POWER: Final = 64  # 10 ** 10 ** 10 would keep a core busy for hours
_ABSENT: Final = re.compile(r"(?:^|attribute )('[^']*')(?: is undefined)?\Z")
_OUTCOME: Final = "outcome_of_the_expression"
_SCALARS: Final = frozenset({int, float, str, bool, type(None), bytes})


class ExpressionFailed(Exception):
    """The expression cannot be worked out for this record."""


class _Missing:
    """What an expression gives when it needs a value that is not there."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()


class _Careful(Undefined):
    """A value that is not there: false, and comparable, but never text or a list in silence."""

    def _fails(self, *_: Any, **__: Any) -> NoReturn:
        self._fail_with_undefined_error()

    __str__ = __iter__ = __len__ = __contains__ = _fails


class _Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"*", "**", "%"})  # of text they are repetition and formats: any length

    def __init__(self, undefined: type[Undefined], finalize: Callable[[Any], str] | None = None) -> None:
        super().__init__(undefined=undefined, finalize=finalize)
        for name in ("lipsum", "cycler", "joiner", "namespace"):
            del self.globals[name]
        self.globals.update(_FUNCTIONS)
        self.filters["number"] = to_number
        self.tests["number"] = is_number

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if isinstance(left, Undefined) or isinstance(right, Undefined):
            return left + right  # which says what is not there
        if not isinstance(left, int | float) or not isinstance(right, int | float):
            raise TypeError(f"'{operator}' takes numbers")
        if operator == "**" and abs(right) > _MAX_POWER:
            raise SecurityError(f"the exponent is above {_MAX_POWER}")
        return super().call_binop(context, operator, left, right)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A key of the data goes before a method of dict: payload.values is the sender's value."""
        if isinstance(obj, dict):
            return self.getitem(obj, attribute) if attribute in obj else self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)


def is_number(value: object) -> bool:
    """Whether one can calculate with it: an int or a float; neither true, false, NaN nor an infinity."""
    kind = type(value)
    return kind is int or (kind is float and math.isfinite(value))  # type: ignore[arg-type]


def to_number(value: object) -> int | float:
    """The number, or the number that this text is. Errors: ValueError."""
    if is_number(value):
        return value  # type: ignore[return-value]
    try:
        found = read_number(value.strip()) if isinstance(value, str) else None
    except Undecodable as error:
        raise ValueError(error.message) from error
    if found is None:
        raise ValueError("not a number")
    return found


_FUNCTIONS: Final[dict[str, Callable[..., float]]] = {
    name: getattr(math, name)
    for name in ("sqrt", "exp", "log", "log10", "sin", "cos", "tan", "atan2", "radians", "degrees", "floor", "ceil")
}
_values: Final = _Sandbox(_Careful)
_conditions: Final = _Sandbox(Undefined)
_texts: Final = _Sandbox(StrictUndefined)


def _quoted(value: Any) -> str:
    text = str(value)
    if text in {".", ".."}:
        raise ValueError("dots alone would mean another folder")
    return quote(text, safe="")


_urls: Final = _Sandbox(StrictUndefined, _quoted)


class Condition:
    """An expression that is true or false. A value that is not there makes <, > and == false, and != true."""

    def __init__(self, text: str, names: Collection[str] | None = None) -> None:
        self.text: Final = text
        self._run: Final = _Run(_conditions, text, names)

    def holds(self, values: Mapping[str, object]) -> bool:
        """Errors: ExpressionFailed where the values cannot be compared at all, as text with a number."""
        try:
            return bool(self._run(values))
        except UndefinedError:
            return False
        except Exception as error:  # whatever an operator or filter raises on odd data
            raise ExpressionFailed(f"{type(error).__name__}: {error}") from error


class Value:
    """An expression that gives any value that a record can carry."""

    def __init__(self, text: str, names: Collection[str] | None = None) -> None:
        self.text: Final = text
        self._run: Final = _Run(_values, text, names)

    def of(self, values: Mapping[str, object]) -> Any:
        """The value; MISSING when something it needs is not there.

        Errors: ExpressionFailed where it cannot be worked out, as text plus a number.
        """
        try:
            found = self._run(values)
            return found if type(found) in _SCALARS else _plain(found)
        except UndefinedError:
            return MISSING
        except Exception as error:  # whatever an operator or filter raises on odd data
            raise ExpressionFailed(f"{type(error).__name__}: {error}") from error


class Text:
    """A template that makes text. Every value it names must be there."""

    _sandbox: ClassVar[_Sandbox] = _texts

    def __init__(self, text: str, names: Collection[str] | None = None) -> None:
        self.text: Final = text
        tree, self._template = _parsed(self._sandbox, text, names)
        self._parts: Final = _parts(tree)

    def render(self, values: Mapping[str, object]) -> str:
        """Errors: ExpressionFailed."""
        finalize = self._sandbox.finalize or str
        try:
            if self._parts is not None:
                made = []
                for part in self._parts:
                    found: Any = part if isinstance(part, str) else _walked(part, values)
                    if found is MISSING:
                        break
                    made.append(part if isinstance(part, str) else finalize(found))
                else:
                    return "".join(made)
            return self._template.render(values)
        except UndefinedError as error:
            raise ExpressionFailed(_absent(error)) from error
        except Exception as error:  # whatever an operator or filter raises on odd data
            raise ExpressionFailed(f"{type(error).__name__}: {error}") from error


def _absent(error: UndefinedError) -> str:
    """Without the words of Python: `'dict object' has no attribute 'device'`, `'room' is undefined`."""
    text = str(error)
    found = _ABSENT.search(text)
    return text if found is None else f"there is no {found.group(1)}"


class Url(Text):
    """A template that makes a URL: every value in it is percent-encoded, so that data cannot choose where it leads."""

    _sandbox = _urls


class _Run:
    """A compiled expression. A path such as data.room.temperature is walked without Jinja2: five times faster."""

    def __init__(self, sandbox: _Sandbox, text: str, names: Collection[str] | None) -> None:
        parsed = _expression(sandbox, text)
        tree = nodes.Template([nodes.Assign(nodes.Name(_OUTCOME, "store"), parsed, lineno=1)], lineno=1)
        tree.set_environment(sandbox)
        _check_names(sandbox, tree, f"expression {text!r}", names)
        self._path: Final = _path(parsed)
        template = sandbox.from_string(tree)
        self._render: Final = template.root_render_func
        self._context: Final[Context] = template.new_context({})

    def __call__(self, values: Mapping[str, object]) -> Any:
        if self._path is not None and (found := _walked(self._path, values)) is not MISSING:
            return found
        context = self._context  # made once: making it costs more than most expressions
        context.vars = dict(values)
        for _ in self._render(context):
            pass
        return context.vars[_OUTCOME]


def _walked(path: tuple[str, ...], values: Any) -> Any:
    """What stands there, or MISSING, and then Jinja2 says what is wrong."""
    for key in path:
        if type(values) is not dict or key not in values:
            return MISSING
        values = values[key]
    return values


def _expression(sandbox: _Sandbox, text: str) -> nodes.Expr:
    if not text.strip():
        raise Invalid("an expression must not be empty")
    try:
        parser = Parser(sandbox, text, state="variable")
        parsed = parser.parse_expression()
        if not parser.stream.eos:
            parser.fail("something follows the expression")
    except TemplateSyntaxError as error:
        hint = "write it without braces, as in: data.temperature > 30 and data.room != 'attic'"
        raise Invalid(f"expression {text!r} is not valid: {error.message}", hint=hint) from error
    return parsed


def _parsed(sandbox: _Sandbox, text: str, names: Collection[str] | None) -> tuple[nodes.Template, Template]:
    try:
        tree = sandbox.parse(text)
        _check_names(sandbox, tree, f"template {text!r}", names)
        return tree, sandbox.from_string(tree)
    except TemplateSyntaxError as error:
        hint = 'write values in double braces, as in: "{{ room }}/{{ data.id }}"'
        raise Invalid(f"template {text!r} is not valid: {error.message}", hint=hint) from error


def _check_names(sandbox: _Sandbox, tree: nodes.Template, what: str, names: Collection[str] | None) -> None:
    """Jinja2 alone would notice an unknown filter in a branch of `if`, or an unknown function, only when it runs."""
    for found in tree.find_all(nodes.Filter):
        if found.name not in sandbox.filters:
            raise Invalid(f"{what}: there is no filter '{found.name}'", hint=_close(found.name, sandbox.filters))
    for test in tree.find_all(nodes.Test):
        if test.name not in sandbox.tests:
            raise Invalid(f"{what}: there is no test '{test.name}'", hint=_close(test.name, sandbox.tests))
    called = {call.node.name for call in tree.find_all(nodes.Call) if isinstance(call.node, nodes.Name)}
    unknown = meta.find_undeclared_variables(tree) - sandbox.globals.keys()
    for name in sorted(unknown & called):
        raise Invalid(f"{what}: there is no function '{name}'", hint=_close(name, sandbox.globals))
    if names is None:
        return
    for name in sorted(unknown - set(names)):
        hint = _close(name, names, otherwise=f"known are {', '.join(names)}; write text in quotes: '{name}'")
        raise Invalid(f"{what}: there is no '{name}'", hint=hint)


def _parts(tree: nodes.Template) -> tuple[str | tuple[str, ...], ...] | None:
    """Text and paths, where a template has nothing else: it is put together without Jinja2."""
    parts: list[str | tuple[str, ...]] = []
    for node in tree.body:
        if not isinstance(node, nodes.Output):
            return None
        for child in node.nodes:
            part = child.data if isinstance(child, nodes.TemplateData) else _path(child)
            if part is None:
                return None
            parts.append(part)
    return tuple(parts)


def _path(parsed: nodes.Expr) -> tuple[str, ...] | None:
    """The keys of data.a['b'].c, or None for what is no plain path."""
    if isinstance(parsed, nodes.Name):
        return (parsed.name,)
    if isinstance(parsed, nodes.Getattr):
        key = parsed.attr
    elif (
        isinstance(parsed, nodes.Getitem) and isinstance(parsed.arg, nodes.Const) and isinstance(parsed.arg.value, str)
    ):
        key = parsed.arg.value
    else:
        return None
    before = _path(parsed.node)
    return None if before is None else (*before, key)


def _plain(value: Any) -> Any:
    """The value with nothing of Jinja2 in it: what a filter yields one by one becomes a list."""
    if type(value) in _SCALARS:
        return value
    if isinstance(value, Undefined):
        raise UndefinedError
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, str):
        return str(value)
    if isinstance(value, list | tuple | Iterator | range):
        return [_plain(item) for item in value]
    if callable(value):
        raise TemplateRuntimeError("a function is no value")
    return value


def _close(word: str, known: Collection[str], otherwise: str = "") -> str:
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean '{found[0]}'?" if found else otherwise
