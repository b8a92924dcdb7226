"""Reading hubqueue.yaml: plain values, and for every path the line it stands on.

Rules: a key that is written twice is a mistake (YAML would let the last one win in silence); `${NAME}` in a
text is replaced from the environment, `$${` is a literal `${`; what is not set is a mistake, not empty text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, Final

import yaml

from hubqueue.config.mistakes import ConfigMistakes, Mistake
from hubqueue.config.path import Path

_VARIABLE: Final = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_MAX_DEPTH: Final = 20  # the schema needs 5; deeper nesting is an anchor loop or a joke


@dataclass
class YamlFile:
    """The values of one file, the line of each path, and what is wrong already. variables: those it uses."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[Path, int] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    variables: set[str] = field(default_factory=set)

    def line(self, path: Path) -> int | None:
        """The line of the path, or of its nearest parent that stands in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)


def read(file: FilePath, environ: Mapping[str, str]) -> YamlFile:
    """The file's values. Errors: ConfigMistakes when it cannot be read or is not YAML at all."""
    found = YamlFile(file.name)
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigMistakes([Mistake((), f"cannot be read: {error.strerror}", source=str(file))]) from error
    except UnicodeDecodeError as error:
        raise ConfigMistakes([Mistake((), "is not UTF-8 text", source=str(file))]) from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        hint = "indent with spaces, not tabs" if "\\t" in str(error.problem) else ""
        problem = f"is not valid YAML: {error.problem or error.context}"
        line = mark.line + 1 if mark else None
        raise ConfigMistakes([Mistake((), problem, hint=hint, source=file.name, line=line)]) from error
    except yaml.YAMLError as error:
        raise ConfigMistakes([Mistake((), f"is not valid YAML: {error}", source=file.name)]) from error
    if root is None:
        return found
    if not isinstance(root, yaml.MappingNode):
        raise ConfigMistakes(
            [Mistake((), "must hold keys and values", hint="as in 'data_path: hub.db'", source=file.name)]
        )
    found.values = _Reader(found, environ).value(root, ())
    return found


class _Reader:
    """Walks the node tree once: values, lines, double keys, variables."""

    def __init__(self, found: YamlFile, environ: Mapping[str, str]) -> None:
        self._found = found
        self._environ = environ
        self._scalars = yaml.constructor.SafeConstructor()

    def value(self, node: yaml.Node, path: Path) -> Any:
        self._found.lines.setdefault(path, node.start_mark.line + 1)
        if len(path) > _MAX_DEPTH:
            self._wrong(node, path, "is nested too deeply")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        try:
            value = self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError):
            self._wrong(node, path, f"cannot be read as {node.tag.removeprefix('tag:yaml.org,2002:')}")
            return None
        return self._filled(node, value, path) if isinstance(value, str) else value

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._wrong(key_node, path, "has a key that is not plain text")
                continue
            key = str(key_node.value)
            if key in values:
                first = self._found.lines[(*path, key)]
                self._wrong(key_node, (*path, key), "is written twice", hint=f"first on line {first}; keep one")
                continue
            self._found.lines[(*path, key)] = key_node.start_mark.line + 1
            values[key] = self.value(value_node, (*path, key))
        return values

    def _filled(self, node: yaml.Node, text: str, path: Path) -> str:
        def fill(match: re.Match[str]) -> str:
            name = match.group(1)
            if name is None:
                return "${"
            self._found.variables.add(name)
            if name not in self._environ:
                self._wrong(node, path, f"the environment variable {name} is not set", hint="write $${ for a plain ${")
            return self._environ.get(name, "")

        return _VARIABLE.sub(fill, text)

    def _wrong(self, node: yaml.Node, path: Path, message: str, hint: str = "") -> None:
        line = node.start_mark.line + 1
        self._found.mistakes.append(Mistake(path, message, hint=hint, source=self._found.name, line=line))
