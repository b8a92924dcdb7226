"""Expressions and text templates of rules, steps, sources and sinks: a checked part of Jinja2's language.

`parsing` reads the text, `compiler` makes a Python function of it, with the tables in `operators`, `filters`, `asked`
and `functions`: nothing else can be called. docs/expressions.md has its rule on what is missing, and its bounds.
"""

from hubqueue.expression.fault import ExpressionFailed
from hubqueue.expression.forms import Condition, QueueName, Text, Topic, Url, Value
from hubqueue.expression.missing import MISSING
from hubqueue.expression.numbers import is_number, to_number, whole
from hubqueue.expression.shown import quick as as_text
from hubqueue.expression.work import SHARED, UNITS

__all__ = [
    "MISSING",
    "SHARED",
    "UNITS",
    "Condition",
    "ExpressionFailed",
    "QueueName",
    "Text",
    "Topic",
    "Url",
    "Value",
    "as_text",
    "is_number",
    "to_number",
    "whole",
]
