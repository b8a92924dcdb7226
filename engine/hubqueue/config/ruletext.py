"""A rule as somebody types it, to try it: the YAML or JSON that would stand in the configuration."""

from __future__ import annotations

from typing import Any, Final

import yaml

from hubqueue.errors import Invalid

MAX_CHARS: Final = 16_384


def rule_text(typed: str) -> Any:
    """What the configuration would hold: a map, or the only one of a list. Errors: Invalid says what is no YAML."""
    if len(typed) > MAX_CHARS:
        raise Invalid(f"rule: it is longer than {MAX_CHARS} characters")
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(typed, Loader=yaml.SafeLoader)):
            raise Invalid("rule: it refers to another part of itself (*name)", hint="write that part out")
        found = yaml.load(typed, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"rule: line {mark.line + 1}" if mark else "rule"
        raise Invalid(f"{place} is not YAML: {error.problem or error.context}", hint=_HINT) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Invalid(f"rule: it is not YAML: {error}", hint=_HINT) from error
    return found[0] if isinstance(found, list) and len(found) == 1 else found


_HINT: Final = "one setting a line, as in `queue: readings`"
