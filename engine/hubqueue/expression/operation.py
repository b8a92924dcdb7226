"""One filter, test, function or method of the language: what runs, what it takes, whether it sees what is missing."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hubqueue.expression.work import Work

Run = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """run takes the work, then values; none of its defaults is None. sees_missing: it is called with missing values,
    which are None, too; any other gives `missing` for one.
    """

    run: Run
    sees_missing: bool = False
    missing: Any = None

    def called(self, values: int = 0) -> Run:
        """What compiled expressions call. values: with how many, 0 if that is not known."""
        if self.sees_missing:
            return self.run
        run, missing = self.run, self.missing
        if values == 1:
            return lambda work, value: missing if value is None else run(work, value)

        def strict(work: Work, *values: Any) -> Any:
            if None in values:
                return missing
            return run(work, *values)

        return strict

    def arranged(self, given: Sequence[Any], named: Mapping[str, Any]) -> list[Any]:
        """The arguments after the work, all by position; `...` where the default counts. Errors: TypeError."""
        bound = inspect.signature(self.run).bind(None, *given, **named)
        _, *wanted = bound.signature.parameters.values()
        last = max((place for place, each in enumerate(wanted) if each.name in bound.arguments), default=-1)
        found: list[Any] = []
        for each in wanted[: last + 1]:
            if each.kind is inspect.Parameter.VAR_POSITIONAL:
                found += bound.arguments.get(each.name, ())
            else:
                found.append(bound.arguments.get(each.name, Default(each.default)))
        return found

    def takes(self, before: int) -> str:
        """What may stand between its brackets, for people. before: how many values stand before it."""
        _, *wanted = inspect.signature(self.run).parameters.values()
        return ", ".join(
            "any number of values" if each.kind is each.VAR_POSITIONAL else each.name for each in wanted[before:]
        )


@dataclass(frozen=True, slots=True)
class Default:
    """An argument that nobody gave."""

    value: Any


def table(**runs: Run) -> dict[str, Operation]:
    """Operations that give missing for missing."""
    return {name.removesuffix("_"): Operation(run) for name, run in runs.items()}
