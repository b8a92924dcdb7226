"""Filters of lists. Where an order or a sum is wanted null items take no part, as in the steps of pipelines."""

from __future__ import annotations

from collections.abc import Callable
from functools import cmp_to_key
from typing import Any

from hubqueue.expression.fault import ExpressionFailed
from hubqueue.expression.numbers import NUMBERS, bounded, number_in, whole_in
from hubqueue.expression.operators import entry, equal, less
from hubqueue.expression.shown import json_text, shown
from hubqueue.expression.work import CALL, ITEM, Work, check_items, check_text, spend
from hubqueue.model.kinds import kind_of

Run = Callable[..., Any]


def items_of(work: Work, value: Any, units: int = ITEM) -> list[Any]:
    """The items of a list, the keys of a map, the characters of a text. Errors: ExpressionFailed."""
    if type(value) not in (list, dict, str):
        raise ExpressionFailed(f"{kind_of(value)} is no list")
    spend(work, units * len(value))
    return value if type(value) is list else list(value)


def length(work: Work, value: Any) -> int:
    if type(value) not in (list, dict, str, bytes):
        raise ExpressionFailed(f"{kind_of(value)} has no length")
    return len(value)


def as_list(work: Work, value: Any) -> list[Any]:
    return items_of(work, value)


def first(work: Work, value: Any) -> Any:
    return _end(value, 0, "first")


def last(work: Work, value: Any) -> Any:
    return _end(value, -1, "last")


def _end(value: Any, place: int, name: str) -> Any:
    if type(value) not in (list, str):
        raise ExpressionFailed(f"{name} takes a list or text, not {kind_of(value)}")
    return value[place] if value else None


def backwards(work: Work, value: Any) -> Any:
    found = items_of(work, value)[::-1]
    return "".join(found) if type(value) is str else found


def join(work: Work, value: Any, between: Any = "", attribute: Any = "") -> str:
    parts = [shown(work, each) for each in _present(work, value, attribute, CALL)]
    text = shown(work, between)
    check_text(work, sum(map(len, parts)) + len(text) * len(parts))
    return text.join(parts)


def total(work: Work, value: Any, attribute: Any = "", start: Any = 0) -> Any:
    found = items_of(work, value, CALL if attribute else 2 * ITEM)
    if attribute:
        found = [_field(work, item, attribute) for item in found]
    if type(start) not in NUMBERS or not NUMBERS.issuperset(map(type, found)):
        found = [number_in(each, "sum") for each in (start, *found) if each is not None]
        start = 0
    try:
        return bounded(sum(found, start))
    except OverflowError:  # a whole number that no float can hold, and a float
        raise ExpressionFailed("the number is too large") from None


def smallest(work: Work, value: Any, case_sensitive: Any = False, attribute: Any = "") -> Any:
    return _most(work, value, case_sensitive, attribute, lambda each, best: less(work, each, best))


def largest(work: Work, value: Any, case_sensitive: Any = False, attribute: Any = "") -> Any:
    return _most(work, value, case_sensitive, attribute, lambda each, best: less(work, best, each))


def _most(work: Work, value: Any, exact: Any, attribute: Any, better: Callable[[Any, Any], bool]) -> Any:
    found: Any = None
    best: Any = None
    for item in items_of(work, value, CALL):
        each = _cased(work, _field(work, item, attribute), exact)
        if each is not None and (best is None or better(each, best)):
            found, best = item, each
    return found


def sort(work: Work, value: Any, reverse: Any = False, case_sensitive: Any = False, attribute: Any = "") -> list[Any]:
    """By number or by text; items without a value to sort by come last."""
    keyed: list[tuple[Any, Any]] = [
        (_cased(work, _field(work, item, attribute), case_sensitive), item) for item in items_of(work, value, 4 * CALL)
    ]
    ordered = cmp_to_key(lambda left, right: _order(work, left, right))
    there = [pair for pair in keyed if pair[0] is not None]
    there.sort(key=lambda pair: ordered(pair[0]), reverse=bool(reverse))
    return [item for _, item in (*there, *(pair for pair in keyed if pair[0] is None))]


def _order(work: Work, left: Any, right: Any) -> int:
    spend(work, ITEM)
    return -1 if less(work, left, right) else int(less(work, right, left))


def dictsort(work: Work, value: Any, case_sensitive: Any = False, by: Any = "key", reverse: Any = False) -> list[Any]:
    if by not in ("key", "value"):
        raise ExpressionFailed("dictsort is by 'key' or by 'value'")
    return sort(work, pairs(work, value), reverse, case_sensitive, int(by == "value"))


def pairs(work: Work, value: Any) -> list[Any]:
    """Key and value of each entry."""
    if type(value) is not dict:
        raise ExpressionFailed(f"{kind_of(value)} is no map")
    spend(work, CALL * len(value))
    return [[key, each] for key, each in value.items()]


def keys(work: Work, value: Any) -> list[Any]:
    return [key for key, _ in pairs(work, value)]


def values(work: Work, value: Any) -> list[Any]:
    return [each for _, each in pairs(work, value)]


def unique(work: Work, value: Any, case_sensitive: Any = False, attribute: Any = "") -> list[Any]:
    seen: set[Any] = set()
    found = []
    for item in items_of(work, value, CALL):
        each = _cased(work, _field(work, item, attribute), case_sensitive)
        mark = (json_text(work, each),) if type(each) in (list, dict) else each
        if mark not in seen:
            seen.add(mark)
            found.append(item)
    return found


def batch(work: Work, value: Any, count: Any, fill: Any = ...) -> list[Any]:
    """Lists of so many items; the last one is filled up if told with what."""
    size, found = _some(count, "batch"), items_of(work, value)
    made = [found[at : at + size] for at in range(0, len(found), size)]
    if made and fill is not ...:
        check_items(work, size - len(made[-1]))
        made[-1] = made[-1] + [fill] * (size - len(made[-1]))
    return made


def slices(work: Work, value: Any, count: Any, fill: Any = ...) -> list[Any]:
    """So many lists of about the same length."""
    parts, found = _some(count, "slice"), items_of(work, value)
    check_items(work, parts)
    each, more = divmod(len(found), parts)
    made, at = [], 0
    for place in range(parts):
        end = at + each + (place < more)
        made.append(found[at:end] + ([fill] if fill is not ... and more and place >= more else []))
        at = end
    return made


def numbered(work: Work, start: Any, stop: Any = ..., step: Any = 1) -> list[int]:
    """The function `range`."""
    bounds = (0, start) if stop is ... else (start, stop)
    low, high, by = (whole_in(each, "range") for each in (*bounds, step))
    if by == 0:
        raise ExpressionFailed("the step of a range cannot be 0")
    check_items(work, max(0, -((low - high) // by)))
    return list(range(low, high, by))


def each_by(work: Work, value: Any, run: Run, *rest: Any) -> list[Any]:
    """map('upper'): the filter, for every item."""
    return [run(work, item, *rest) for item in items_of(work, value, CALL)]


def each_field(work: Work, value: Any, attribute: Any, default: Any = ...) -> list[Any]:
    """map(attribute='state')."""
    found = [_field(work, item, attribute) for item in items_of(work, value, CALL)]
    return found if default is ... else [default if each is None else each for each in found]


def chosen(work: Work, value: Any, test: Run, wanted: bool, *rest: Any) -> list[Any]:
    """select and reject."""
    return [item for item in items_of(work, value, CALL) if bool(test(work, item, *rest)) is wanted]


def chosen_by(work: Work, value: Any, attribute: Any, test: Run, wanted: bool, *rest: Any) -> list[Any]:
    """selectattr and rejectattr."""
    found = items_of(work, value, CALL)
    return [item for item in found if bool(test(work, _field(work, item, attribute), *rest)) is wanted]


def place_of(work: Work, value: Any, item: Any) -> int | None:
    """list.index(item): missing where it is not."""
    for place, each in enumerate(items_of(work, value)):
        if equal(work, each, item):
            return place
    return None


def joined(work: Work, between: Any, value: Any) -> str:
    """', '.join(list)."""
    return join(work, value, between)


def _present(work: Work, value: Any, attribute: Any, units: int) -> list[Any]:
    items = items_of(work, value, units)
    if attribute != "":
        items = [_field(work, item, attribute) for item in items]
    return [item for item in items if item is not None]


def _field(work: Work, item: Any, attribute: Any) -> Any:
    """What stands at `a.b` of an item; the item itself for no attribute. A number names a place in a list."""
    if attribute == "":
        return item
    if type(attribute) is not str:
        return entry(work, item, attribute)
    steps = attribute.split(".") if len(attribute) <= 1000 else []
    spend(work, ITEM * len(steps))
    for step in steps:
        item = entry(work, item, int(step) if step.isdecimal() and type(item) is list else step)
    return item


def _cased(work: Work, value: Any, exact: Any) -> Any:
    if exact or type(value) is not str:
        return value
    check_text(work, len(value))
    return value.lower()


def _some(count: Any, name: str) -> int:
    found = whole_in(count, name)
    if found < 1:
        raise ExpressionFailed(f"{name} takes a number above 0")
    check_items([2**40], found)
    return found
