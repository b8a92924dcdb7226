"""From file, variables and flags to one Config, or to all that is wrong with them.

`hubqueue run` and `hubqueue check-config` call `load`. Nothing is started or opened here but the file itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import voluptuous as vol

from hubqueue.config import schema
from hubqueue.config.mistakes import ConfigMistakes, Mistake, flatten
from hubqueue.config.options import OPTIONS, from_variables, get, put
from hubqueue.config.path import Path, dotted
from hubqueue.config.settings import Config
from hubqueue.config.yamlfile import YamlFile, read

DEFAULT_FILE = FilePath("hubqueue.yaml")


def load(
    file: FilePath | None = None,
    *,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    beneath: Mapping[Path, Any] | None = None,
    above: Mapping[Path, tuple[str, Any]] | None = None,
) -> Config:
    """The configuration of file, then variables, then flags (by Option.name; None is not given).

    Without `file`, hubqueue.yaml of the working folder is read where there is one.
    beneath: values where the file has none. above: (origin, value) over the file's, a list added to the file's.
    Errors: ConfigMistakes holds every mistake.
    """
    environ = os.environ if environ is None else environ
    source = _source(file, environ)
    found = read(source, environ) if source is not None else YamlFile("")
    for path, value in (beneath or {}).items():
        if get(found.values, path) is None:
            put(found.values, path, value)
    origins = _lay_over(found, above or {}) | _overlay(found, flags or {}, environ)
    mistakes = list(found.mistakes)
    config: Config | None = None
    try:
        config = schema.config(source.parent if source is not None else FilePath())(found.values)
    except vol.Invalid as error:
        known = {mistake.path for mistake in mistakes}
        for path, message, value, hint in flatten(error):
            if path not in known:
                origin, line = _origin(path, found, origins)
                mistakes.append(Mistake(path, message, value, hint, origin, line))
    if config is not None and config.pipeline_files:
        try:
            config = _with_pipelines(config, environ)
        except ConfigMistakes as error:
            mistakes += error.mistakes
    if mistakes or config is None:
        raise ConfigMistakes(sorted(mistakes, key=lambda mistake: (mistake.source, mistake.line or 0)))
    variables = found.variables.union(*(pipeline.variables for pipeline in config.pipelines))
    return replace(config, origins=_told(found, origins), variables=frozenset(variables))


def _with_pipelines(config: Config, environ: Mapping[str, str]) -> Config:
    """Errors: ConfigMistakes holds every mistake of the pipeline files."""
    from hubqueue.config.pipelinefiles import forwards, read_pipelines  # a hub without pipelines never loads them

    broker = config.mqtt.broker if config.mqtt is not None else None
    pipelines = read_pipelines(config.pipeline_files, environ, broker, config.forwarders)
    return replace(config, pipelines=pipelines, forwarders=(*config.forwarders, *forwards(pipelines)))


def _told(found: YamlFile, origins: Mapping[Path, str]) -> dict[str, str]:
    """Where each value came from, by its path: of a list or map only the parts."""
    told = {}
    for path, line in found.lines.items():
        if path and not any(path == known[: len(path)] and path != known for known in found.lines):
            told[dotted(path)] = f"{found.name}:{line}"
    told.update((dotted(path), name) for path, name in origins.items())
    return told


def _source(file: FilePath | None, environ: Mapping[str, str]) -> FilePath | None:
    if file is None and environ.get("HUBQUEUE_CONFIG"):
        file = FilePath(environ["HUBQUEUE_CONFIG"])
    if file is not None:
        return file
    return DEFAULT_FILE if DEFAULT_FILE.is_file() else None


def _lay_over(found: YamlFile, above: Mapping[Path, tuple[str, Any]]) -> dict[Path, str]:
    origins: dict[Path, str] = {}
    for path, (origin, value) in above.items():
        former = get(found.values, path)
        if isinstance(value, list) and isinstance(former, list):
            origins |= {(*path, len(former) + index): origin for index in range(len(value))}
            value = [*former, *value]
        else:
            origins[path] = origin
        put(found.values, path, value)
    return origins


def _overlay(found: YamlFile, flags: Mapping[str, Any], environ: Mapping[str, str]) -> dict[Path, str]:
    """Put variables and flags over the file's values; says where each of those came from."""
    given = from_variables(environ)
    for option in OPTIONS:
        if flags.get(option.name) is not None:
            given[option.path] = (option.flag, flags[option.name])
    for option in OPTIONS:
        if option.path not in given:
            continue
        value = given[option.path][1]
        if option.metavar == "FILE" and value:
            value = str(FilePath(value).expanduser().absolute())  # from the working folder, not from the file's
        put(found.values, option.path, value)
        if option.path == ("tcp", "tokens") and isinstance(found.values.get("tcp"), dict):
            found.values["tcp"].pop("token_file", None)  # the later source wins as a whole
    return {path: name for path, (name, _) in given.items()}


def _origin(path: Path, found: YamlFile, origins: Mapping[Path, str]) -> tuple[str, int | None]:
    """Where the value came from: a flag, a variable, or a line of the file."""
    for known, name in origins.items():
        if path[: len(known)] == known:
            return name, None
    return found.name, found.line(path)
