"""From text to Jinja2's syntax tree, and what is refused before anything is made of it: size and depth.

Jinja2 reads the language and does no more: nothing of it runs. The rest of the checks is the compiler's, which knows
all nodes that there are.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from typing import Final

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.parser import Parser

from hubqueue.errors import Invalid

MAX_CHARS: Final = 10_000
MAX_DEPTH: Final = 50  # Python's own parser takes 200 open brackets, and a level of ours needs up to three
MAX_PARTS: Final = 500

_environment: Final = Environment()  # nothing is rendered by it


def expression(text: str) -> nodes.Expr:
    """Errors: Invalid."""
    what = f"expression {short(text)}"
    hint = "write it without braces, as in: data.temperature > 30 and data.room != 'attic'"
    if not text.strip():
        raise Invalid("an expression must not be empty")
    _check_length(text, what)
    try:
        parser = Parser(_environment, text, state="variable")
        parsed = parser.parse_expression()
        if not parser.stream.eos:
            parser.fail("something follows the expression")
    except (TemplateSyntaxError, ValueError, RecursionError) as error:
        raise _refused(what, error, hint) from None
    _check_size(parsed, what)
    return parsed


def template(text: str) -> nodes.Template:
    """Errors: Invalid."""
    what = f"template {short(text)}"
    _check_length(text, what)
    try:
        parsed = _environment.parse(text)
    except (TemplateSyntaxError, ValueError, RecursionError) as error:
        raise _refused(what, error, 'write values in double braces, as in: "{{ room }}/{{ data.id }}"') from None
    _check_size(parsed, what)
    return parsed


def short(text: str) -> str:
    """In quotes, as long as a message may quote it."""
    return repr(text if len(text) <= 200 else f"{text[:200]}...")


def close(word: str, known: Collection[str], otherwise: str = "") -> str:
    """The hint for a word that does not exist."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean '{found[0]}'?" if found else otherwise


def _refused(what: str, error: Exception, hint: str) -> Invalid:
    if isinstance(error, TemplateSyntaxError):
        return Invalid(f"{what} is not valid: {error.message}", hint=hint)
    if isinstance(error, RecursionError):
        return _too_deep(what)
    return Invalid(f"{what} is not valid: a number in it has too many digits")


def _too_deep(what: str) -> Invalid:
    return Invalid(f"{what} is nested too deeply", hint=f"{MAX_DEPTH} levels are taken; split it into smaller ones")


def _check_length(text: str, what: str) -> None:
    if len(text) > MAX_CHARS:
        raise Invalid(f"{what} is longer than {MAX_CHARS} characters")


def _check_size(tree: nodes.Node, what: str) -> None:
    parts, level = 0, [tree]
    for _ in range(MAX_DEPTH):
        parts += len(level)
        if parts > MAX_PARTS:
            raise Invalid(f"{what} has more than {MAX_PARTS} parts", hint="split it into smaller ones")
        level = [below for each in level for below in _below(each)]
        if not level:
            return
    raise _too_deep(what)


def _below(node: nodes.Node) -> Iterator[nodes.Node]:
    return node.iter_child_nodes()
