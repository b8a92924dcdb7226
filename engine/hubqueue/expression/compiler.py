"""From a syntax tree to one Python function. What is not named here is no part of the language.

The source that is made holds nothing but names of this module and of constants (k0, k1, ...): no word of an author
gets into it. A value that is missing is None; see `operators` for what becomes of it.
Rule: every piece of source stands in brackets, and is one level deeper than what it holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, cast

from jinja2 import nodes

from hubqueue.errors import Invalid
from hubqueue.expression import listfilters as lists
from hubqueue.expression import operators
from hubqueue.expression.asked import TESTS
from hubqueue.expression.filters import FILTERS, INNER, KNOWN, METHODS
from hubqueue.expression.functions import FUNCTIONS
from hubqueue.expression.operation import Default, Operation
from hubqueue.expression.parsing import close
from hubqueue.expression.work import Work

Compiled = Callable[[Mapping[str, Any], Any], Any]  # of values and a Work

_STATEMENTS: Final[dict[type[nodes.Node], str]] = {
    nodes.For: "for",
    nodes.Macro: "macro",
    nodes.CallBlock: "call",
    nodes.FilterBlock: "filter",
    nodes.Assign: "set",
    nodes.AssignBlock: "set",
    nodes.With: "with",
    nodes.Block: "block",
    nodes.Extends: "extends",
    nodes.Include: "include",
    nodes.Import: "import",
    nodes.FromImport: "from",
    nodes.Scope: "autoescape",
}
_BEYOND: Final = 2**64  # larger whole numbers fit into no job


class Compiler:
    """Makes functions. what: for messages, with the author's text. names: those that there are, None for any."""

    def __init__(self, what: str, names: Collection[str] | None) -> None:
        self._what: Final = what
        self._names: Final = names
        self._held: Final[dict[str, Any]] = {"__builtins__": {}, "D": dict}
        self._temporary = 0

    def expression(self, tree: nodes.Expr) -> Compiled:
        """Errors: Invalid."""
        return self._made(self._value(tree))

    def _made(self, source: str) -> Compiled:
        made: Compiled = eval(f"lambda v, w: {source}", self._held)  # see the module's docstring
        return made

    def _hold(self, value: Any) -> str:
        name = f"k{len(self._held)}"
        self._held[name] = value
        return name

    def _wrong(self, message: str, hint: str = "") -> Invalid:
        return Invalid(f"{self._what}: {message}", hint=hint)

    def _statement(self, node: nodes.Node) -> Invalid:
        word = _STATEMENTS.get(type(node))
        if word is None:
            return self._wrong("something in it is not part of the language of expressions")
        hint = "there are {{ expressions }} and {% if %}; lists take filters, as in data.list|map('upper')|join(', ')"
        return self._wrong(f"{{% {word} %}} is not taken here", hint)

    def _value(self, node: nodes.Node) -> str:
        match node:
            case nodes.Const():
                return self._constant(node.value)
            case nodes.TemplateData():
                return self._hold(node.data)
            case nodes.Name():
                return self._named(node.name)
            case nodes.Getattr():
                return self._field(node.node, node.attr)
            case nodes.Getitem():
                return self._item(node)
            case nodes.Not():
                return f"(not {self._value(node.node)})"
            case nodes.And():
                return f"({self._value(node.left)} and {self._value(node.right)})"
            case nodes.Or():
                return f"({self._value(node.left)} or {self._value(node.right)})"
            case nodes.CondExpr():
                other = "None" if node.expr2 is None else self._value(node.expr2)
                return f"({self._value(node.expr1)} if {self._value(node.test)} else {other})"
            case nodes.Compare():
                return self._compared(node)
            case nodes.Neg():
                return self._called(operators.negative, [self._value(node.node)])
            case nodes.Pos():
                return self._called(operators.positive, [self._value(node.node)])
            case nodes.Concat():
                return self._called(operators.together, [self._value(each) for each in node.nodes])
            case nodes.List() | nodes.Tuple():
                return f"{self._hold(operators.listed)}({', '.join(self._value(each) for each in node.items)})"
            case nodes.Dict():
                pairs = [self._value(each) for pair in node.items for each in (pair.key, pair.value)]
                return f"{self._hold(operators.mapped)}({', '.join(pairs)})"
            case nodes.Filter() if node.node is not None:
                return self._filtered(node)
            case nodes.Test():
                operation = self._known(node.name, TESTS, "test")
                for given in node.args:
                    self._check_compared(given)
                return self._operated(operation, f"the test '{node.name}'", node.node, node)
            case nodes.Call():
                return self._call(node)
            case nodes.BinExpr() if type(node).__name__ in operators.CALCULATIONS:
                self._check_sign(node)
                calculation = operators.CALCULATIONS[type(node).__name__]
                return self._called(calculation, [self._value(node.left), self._value(node.right)])
            case _:
                raise self._statement(node)

    def _check_sign(self, node: nodes.BinExpr) -> None:
        """What Python does with text and `%` is not known here."""
        if isinstance(node, nodes.Mod) and isinstance(node.left, nodes.Const) and isinstance(node.left.value, str):
            raise self._wrong("'%' takes numbers", "write: '%.1f'|format(data.temperature)")

    def _called(self, run: Callable[..., Any], values: Sequence[str]) -> str:
        return f"{self._hold(run)}(w, {', '.join(values)})"

    def _constant(self, value: Any) -> str:
        if value is None or value is True or value is False:
            return str(value)
        if type(value) is float and not math.isfinite(value):
            raise self._wrong("a number in it is too large")
        if type(value) is int and abs(value) >= _BEYOND:
            raise self._wrong("a number in it is beyond 64 bits")
        return self._hold(value)

    def _named(self, name: str) -> str:
        if self._names is not None and name not in self._names:
            raise self._unknown(name)
        return f"v.get({self._hold(name)})"

    def _unknown(self, name: str) -> Invalid:
        if name in FUNCTIONS:
            return self._wrong(f"'{name}' is a function", f"call it, as in {name}(...)")
        if name in ("null", "nil", "None"):
            return self._wrong(f"there is no '{name}'", "write: data.temperature is none")
        names = self._names or ()
        known = KNOWN.get(name) or f"known are {', '.join(names)}; write text in quotes: '{name}'"
        return self._wrong(f"there is no '{name}'", close(name, names, otherwise=known))

    def _field(self, holder: nodes.Expr, key: str) -> str:
        self._temporary += 1
        name = f"t{self._temporary}"
        return f"({name}.get({self._hold(key)}) if ({name} := {self._value(holder)}).__class__ is D else None)"

    def _item(self, node: nodes.Getitem) -> str:
        if isinstance(node.arg, nodes.Slice):
            bounds = (node.arg.start, node.arg.stop, node.arg.step)
            made = [self._hold(operators.OPEN) if each is None else self._value(each) for each in bounds]
            return self._called(operators.cut, [self._value(node.node), *made])
        if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            return self._field(node.node, node.arg.value)
        return self._called(operators.entry, [self._value(node.node), self._value(node.arg)])

    def _compared(self, node: nodes.Compare) -> str:
        """a < b < c is true when a < b and b < c are."""
        left, made = self._compared_value(node.expr), []
        for place, operand in enumerate(node.ops, 1):
            right = self._compared_value(operand.expr)
            again = right
            if place < len(node.ops):
                self._temporary += 1
                again = f"t{self._temporary}"
                right = f"({again} := {right})"
            elif operand.op in ("in", "notin") and (fixed := _fixed_list(operand.expr)) is not None:
                right = self._hold(fixed)  # nobody gets hold of it, so it is made once
            made.append(self._called(operators.COMPARISONS[operand.op], [left, right]))
            left = again
        return f"({' and '.join(made)})"

    def _compared_value(self, node: nodes.Expr) -> str:
        for each in (node, *(node.items if isinstance(node, nodes.List | nodes.Tuple) else ())):
            self._check_compared(each)
        return self._value(node)

    def _check_compared(self, node: nodes.Node) -> None:
        if isinstance(node, nodes.Const) and node.value is None:
            raise self._wrong("nothing is equal to none", "write: data.temperature is none, or: is not none")
        if isinstance(node, nodes.Name) and node.name == "null" and "null" not in (self._names or ()):
            raise self._unknown("null")

    def _known(self, name: str, table: Mapping[str, Operation], what: str) -> Operation:
        found = table.get(name)
        if found is None:
            hint = KNOWN.get(name) or close(name, [*table, *(INNER if what == "filter" else ())])
            raise self._wrong(f"there is no {what} '{name}'", hint)
        return found

    def _filtered(self, node: nodes.Filter) -> str:
        assert node.node is not None
        what = f"the filter '{node.name}'"
        if node.name in INNER and (node.name != "map" or node.args):
            return self._inner(node, what)
        if node.name == "map":
            return self._operated(Operation(lists.each_field), what, node.node, node)
        return self._operated(self._known(node.name, FILTERS, "filter"), what, node.node, node)

    def _inner(self, node: nodes.Filter, what: str) -> str:
        """A filter that runs another filter or a test, whose name is known now."""
        keeps = INNER[node.name]
        by_field = node.name.endswith("attr")
        given = list(node.args)
        held = [given.pop(0)] if by_field and given else []
        if by_field and not held:
            raise self._wrong(f"{what} needs the name of a field", f"as in {node.name}('state', 'eq', 'on')")
        name = given.pop(0) if given else nodes.Const("")
        if not isinstance(name, nodes.Const) or not isinstance(name.value, str):
            raise self._wrong(f"{what} needs a name in quotes", "as in map('upper'), select('number')")
        if keeps is None:
            operation = self._known(name.value, FILTERS, "filter")
        else:
            operation = self._known(name.value, TESTS, "test") if name.value else Operation(_truth, sees_missing=True)
        self._check_fixed(node, what)
        for each in given if keeps is not None else ():
            self._check_compared(each)
        named = cast("Sequence[nodes.Keyword]", node.kwargs)  # Jinja2 says pairs, and means keywords
        rest = self._arguments(operation, f"{what} with '{name.value}'", ["item"], given, named)[1:]
        before = [self._value(each) for each in (cast(nodes.Expr, node.node), *held)]
        values = [*before, self._hold(operation.called())]
        run = lists.each_by if keeps is None else lists.chosen_by if by_field else lists.chosen
        return self._called(_unless_missing(run), [*values, *(() if keeps is None else (str(keeps),)), *rest])

    def _operated(self, operation: Operation, what: str, value: nodes.Node | None, node: Any) -> str:
        first = [] if value is None else [self._value(value)]
        self._check_fixed(node, what)
        values = self._arguments(operation, what, first, node.args, node.kwargs)
        return self._called(operation.called(len(values)), values)

    def _check_fixed(self, node: Any, what: str) -> None:
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            raise self._wrong(f"{what} takes no * or **")

    def _arguments(
        self, operation: Operation, what: str, first: list[str], given: Sequence[Any], named: Sequence[nodes.Keyword]
    ) -> list[str]:
        """first: what stands before the filter or method, as source."""
        try:
            found = operation.arranged([*first, *given], {each.key: each.value for each in named})
        except TypeError:
            takes = operation.takes(len(first))
            raise self._wrong(f"{what} takes other arguments", f"it takes: {takes or 'none'}") from None
        return [self._argument(each) for each in found]

    def _argument(self, given: Any) -> str:
        if isinstance(given, str):
            return given
        return self._hold(given.value) if isinstance(given, Default) else self._value(given)

    def _call(self, node: nodes.Call) -> str:
        if isinstance(node.node, nodes.Name):
            name = node.node.name
            operation = FUNCTIONS.get(name)
            if operation is None:
                hint = KNOWN.get(name) or close(name, FUNCTIONS)
                raise self._wrong(f"there is no function '{name}'", hint)
            return self._operated(operation, f"the function '{name}'", None, node)
        if isinstance(node.node, nodes.Getattr):
            operation = self._known(node.node.attr, METHODS, "method")
            return self._operated(operation, f"the method '{node.node.attr}'", node.node.node, node)
        raise self._wrong("a value cannot be called like a function")


def _fixed_list(node: nodes.Expr) -> list[Any] | None:
    """A list of constants."""
    if not isinstance(node, nodes.List | nodes.Tuple) or not all(isinstance(each, nodes.Const) for each in node.items):
        return None
    return [each.value for each in node.items if isinstance(each, nodes.Const)]


def _truth(work: Work, value: Any) -> bool:
    return bool(value)


def _unless_missing(run: Callable[..., Any]) -> Callable[..., Any]:
    """Missing where the list is."""

    def guarded(work: Work, value: Any, *rest: Any) -> Any:
        return None if value is None else run(work, value, *rest)

    return guarded
