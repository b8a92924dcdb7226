"""From the syntax tree of a template to the Python function that makes its text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jinja2 import nodes

from hubqueue.expression.compiler import Compiled, Compiler
from hubqueue.expression.fault import NotThere
from hubqueue.expression.shown import shown
from hubqueue.expression.work import SHORT, UNITS, Work, check_text

Show = Callable[[Work, Any], str]  # how a value that is there is written


class TemplateCompiler(Compiler):
    """Expressions in text, and `if`. Every value that is written must be there."""

    _quick = False

    def template(self, tree: nodes.Template, show: Show = shown) -> tuple[Compiled, list[nodes.Expr]]:
        """The function that makes the text, and its expressions by place: NotThere names one. Errors: Invalid."""
        places: list[nodes.Expr] = []

        def showing(work: Work, value: Any, place: int) -> str:
            if value is None:
                raise NotThere(place)
            if value.__class__ is int and self._quick:
                return str(value)
            text = show(work, value)
            if len(text) > SHORT:
                check_text(work, len(text))
            return text

        def glue(texts: Sequence[str]) -> str:
            """Each of them is short or has been paid for."""
            made = "".join(texts)
            check_text([UNITS], len(made))
            return made

        self._quick = show is shown
        self._held.update(show=showing, glue=glue, len=len, S=str)
        return self._made(self._glued(tree.body, places)), places

    def _glued(self, body: Sequence[nodes.Node], places: list[nodes.Expr]) -> str:
        parts = [part for node in body for part in self._parts(node, places)]
        if all(part in self._held for part in parts):
            return self._hold("".join(self._held[part] for part in parts))
        return f"glue(({''.join(f'{part}, ' for part in parts)}))"

    def _parts(self, node: nodes.Node, places: list[nodes.Expr]) -> list[str]:
        if isinstance(node, nodes.If):
            branches = [(node.test, node.body), *((each.test, each.body) for each in node.elif_)]
            made = self._glued(node.else_, places)
            for test, body in reversed(branches):
                made = f"({self._glued(body, places)} if {self._value(test)} else {made})"
            return [made]
        if not isinstance(node, nodes.Output):
            raise self._statement(node)
        parts = []
        for child in node.nodes:
            if isinstance(child, nodes.TemplateData):
                parts.append(self._hold(child.data))
            else:
                places.append(child)
                parts.append(self._shown(self._value(child), len(places) - 1))
        return parts

    def _shown(self, value: str, place: int) -> str:
        """A short text goes by without a call."""
        if not self._quick:
            return f"show(w, {value}, {place})"
        self._temporary += 1
        name = f"t{self._temporary}"
        return f"({name} if ({name} := {value}).__class__ is S and len({name}) < {SHORT} else show(w, {name}, {place}))"
