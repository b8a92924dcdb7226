"""THE TABLES of filters, value|NAME, and of methods, value.NAME(...). What stands in neither does not exist.

The filters in `INNER` run another filter or test, whose name stands in quotes; `compiler` puts it in.
"""

from __future__ import annotations

from typing import Any, Final

from hubqueue.expression import listfilters as lists
from hubqueue.expression import numberfilters as numbers
from hubqueue.expression import textfilters as texts
from hubqueue.expression.formats import by_braces, by_percent
from hubqueue.expression.operation import Operation, table
from hubqueue.expression.operators import entry
from hubqueue.expression.work import Work


def _default(work: Work, value: Any, default_value: Any = "", boolean: Any = False) -> Any:
    return default_value if value is None or (boolean and not value) else value


def _get(work: Work, value: Any, key: Any, default: Any = None) -> Any:
    found = entry(work, value, key)
    return default if found is None else found


def _shape(text: str) -> Any:
    """A method that asks about the characters of a text."""

    def run(work: Work, value: Any) -> bool:
        return bool(getattr(texts.walked(work, value), text)())

    return run


FILTERS: Final[dict[str, Operation]] = {
    "default": Operation(_default, sees_missing=True),
    "d": Operation(_default, sees_missing=True),
    "int": Operation(numbers.to_int, sees_missing=True),
    "float": Operation(numbers.to_float, sees_missing=True),
    **table(
        abs=numbers.absolute,
        batch=lists.batch,
        capitalize=texts.capitalize,
        center=texts.center,
        count=lists.length,
        dictsort=lists.dictsort,
        first=lists.first,
        format=by_percent,
        indent=texts.indent,
        items=lists.pairs,
        join=lists.join,
        last=lists.last,
        length=lists.length,
        list=lists.as_list,
        lower=texts.lower,
        max=lists.largest,
        min=lists.smallest,
        number=numbers.number,
        replace=texts.replace,
        reverse=lists.backwards,
        round=numbers.rounded,
        slice=lists.slices,
        sort=lists.sort,
        string=texts.string,
        sum=lists.total,
        title=texts.title,
        tojson=texts.tojson,
        trim=texts.trim,
        truncate=texts.truncate,
        unique=lists.unique,
        upper=texts.upper,
        urlencode=texts.urlencode,
        wordcount=texts.wordcount,
    ),
}

# name: whether it runs a filter or tests, and whether what the test is true for is kept
INNER: Final[dict[str, bool | None]] = {
    "map": None,
    "select": True,
    "reject": False,
    "selectattr": True,
    "rejectattr": False,
}

METHODS: Final[dict[str, Operation]] = {
    "get": Operation(_get, sees_missing=True),
    **table(
        capitalize=texts.capitalize,
        center=texts.center,
        count=texts.counted,
        endswith=texts.ends,
        find=texts.find,
        format=by_braces,
        index=lists.place_of,
        isalnum=_shape("isalnum"),
        isalpha=_shape("isalpha"),
        isdecimal=_shape("isdecimal"),
        isdigit=_shape("isdigit"),
        islower=_shape("islower"),
        isnumeric=_shape("isnumeric"),
        isspace=_shape("isspace"),
        isupper=_shape("isupper"),
        items=lists.pairs,
        join=lists.joined,
        keys=lists.keys,
        ljust=texts.left,
        lower=texts.lower,
        lstrip=texts.trim_left,
        partition=texts.partition,
        removeprefix=texts.without_prefix,
        removesuffix=texts.without_suffix,
        replace=texts.replace,
        rfind=texts.find_last,
        rjust=texts.right,
        rpartition=texts.partition_last,
        rsplit=texts.split_from_right,
        rstrip=texts.trim_right,
        split=texts.split,
        splitlines=texts.lines,
        startswith=texts.starts,
        strip=texts.trim,
        title=texts.title,
        upper=texts.upper,
        values=lists.values,
        zfill=texts.zeros,
    ),
}

# What people know from elsewhere, and why it is not here.
KNOWN: Final[dict[str, str]] = {
    "random": "the same record has to give the same result",
    "shuffle": "the same record has to give the same result",
    **dict.fromkeys(
        ("states", "state_attr", "is_state", "is_state_attr", "has_value"),
        "an expression sees the record alone, not Home Assistant",
    ),
    **dict.fromkeys(
        ("now", "utcnow", "today_at", "as_timestamp", "as_datetime", "timestamp_custom", "timestamp_local", "strptime"),
        "an expression does not calculate with times; steps and sinks read those of the data, see time",
    ),
    "groupby": "a window groups records; selectattr picks items",
    "attr": "write data.key or data['key']",
    "safe": "text is not HTML here, and is taken as it is",
    "escape": "text is not HTML here, and is taken as it is",
    "e": "text is not HTML here, and is taken as it is",
    "dict": "write a map as {'key': value}",
    "namespace": "there are no loops that would need one",
    **dict.fromkeys(
        ("regex_match", "regex_search", "regex_replace", "regex_findall", "regex_findall_index", "match", "search"),
        "regular expressions can run for ever; use in, startswith, split or replace",
    ),
}
