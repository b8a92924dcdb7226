"""Expressions and text templates of rules: Jinja2 in a sandbox, compiled once, run for every message.

The sandbox is for the data, which anybody on the broker may have sent: it cannot reach Python through an
attribute, and cannot make an expression of the rules' author run away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, UndefinedError
from jinja2.environment import TemplateExpression
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from hubqueue.errors import Invalid

_MAX_POWER: Final = 64  # 10 ** 10 ** 10 would keep a core busy for hours


class ExpressionFailed(Exception):
    """The expression cannot be worked out for this message."""


class _Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
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


_conditions: Final = _Sandbox()
_texts: Final = _Sandbox(undefined=StrictUndefined)


class Condition:
    """An expression that is true or false. Comparing a value that the message does not have is false."""

    def __init__(self, text: str) -> None:
        self.text: Final = text
        self._run: TemplateExpression = _compiled(text)

    def holds(self, values: Mapping[str, object]) -> bool:
        """Errors: ExpressionFailed where the values cannot be compared at all, as text with a number."""
        try:
            return bool(self._run(values))
        except UndefinedError:
            return False
        except Exception as error:  # whatever an operator or filter raises on odd data
            raise ExpressionFailed(f"{type(error).__name__}: {error}") from error


class Text:
    """A template that makes text. Every value it names must be there."""

    def __init__(self, text: str) -> None:
        self.text: Final = text
        self._template: Template = _parsed(text)

    def render(self, values: Mapping[str, object]) -> str:
        """Errors: ExpressionFailed."""
        try:
            return self._template.render(values)
        except Exception as error:  # whatever an operator or filter raises on odd data
            raise ExpressionFailed(f"{type(error).__name__}: {error}") from error


def _compiled(text: str) -> TemplateExpression:
    if not text.strip():
        raise Invalid("an expression must not be empty")
    try:
        return _conditions.compile_expression(text, undefined_to_none=True)
    except TemplateSyntaxError as error:
        hint = "write it without braces, as in: payload.temperature > 30 and room != 'attic'"
        raise Invalid(f"expression {text!r} is not valid: {error.message}", hint=hint) from error


def _parsed(text: str) -> Template:
    try:
        return _texts.from_string(text)
    except TemplateSyntaxError as error:
        hint = 'write values in double braces, as in: "{{ room }}/{{ payload.id }}"'
        raise Invalid(f"template {text!r} is not valid: {error.message}", hint=hint) from error
