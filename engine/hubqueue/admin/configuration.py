"""The configuration of a running hub as it was loaded. What hides in a repr hides here too: that is what makes a
value of the configuration a secret, wherever it stands."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import tzinfo
from enum import Enum
from pathlib import PurePath
from typing import Any, Final

import msgspec

from hubqueue.commands import operator as commands
from hubqueue.commands.call import Operation
from hubqueue.config.settings import Config
from hubqueue.expression import Condition, Text, Value

HIDDEN: Final = "********"


def operations(config: Config) -> Mapping[str, Operation]:
    async def loaded(command: commands.Config) -> dict[str, Any]:
        told = shown(config)
        del told["origins"]
        return {"config": told, "origins": dict(config.origins)}

    return {"Config": loaded}


def shown(value: Any) -> Any:
    """A frozen value and all it holds, as maps, lists and plain values. Functions (what makes a step) are left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        held = [(each, getattr(value, each.name)) for each in dataclasses.fields(value) if each.init]
        return {each.name: _field(each, item) for each, item in held if not callable(item)}
    if isinstance(value, msgspec.Struct):
        return {name: shown(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {str(key): shown(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [shown(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Condition | Text | Value):
        return value.text
    return str(value) if isinstance(value, PurePath | tzinfo) else value


def _field(field: dataclasses.Field[Any], value: Any) -> Any:
    return shown(value) if field.repr or not value else HIDDEN
