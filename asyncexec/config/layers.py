"""The sources of settings: a file, a dotenv file, the environment, ``key=value`` of a command; each is a layer.

A layer holds the settings of its source as nested mappings, and the origin of each key, for messages.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dotenv import dotenv_values

from asyncexec.config.yaml_file import KeyPath, YamlFile, parse_yaml
from asyncexec.errors import OptionError

PREFIX = "ASYNCEXEC__"
FLOWDAPT_PREFIX = "FLOWDAPT__"
VERBATIM = "env_vars"
"""Names below this key are not made small, and values stay the text that was written: they are other programs'."""


@dataclass(slots=True, kw_only=True)
class Layer:
    """The settings of one source."""

    name: str
    """The source, for people."""
    values: dict[str, Any] = field(default_factory=dict, repr=False)
    origins: dict[KeyPath, str] = field(default_factory=dict, repr=False)
    """The place of each key and each item, for messages: ``"asyncexec.yaml:12"``."""
    texts: dict[KeyPath, str] = field(default_factory=dict, repr=False)
    """Scalars as they are written."""

    def put(self, path: tuple[str, ...], text: str, origin: str) -> None:
        """Put the value that ``text`` is in YAML, or else the text itself, at a path.

        Raises
        ------
        OptionError
            If the path leads through a value.
        """
        try:
            read = parse_yaml(text, name=origin)
        except OptionError:  # A password, say, that begins with a brace.
            read = YamlFile(name=origin, value=text, lines={}, texts={(): text})
        inner = self.values
        for depth, key in enumerate(path[:-1], start=1):
            self.origins.setdefault(path[:depth], origin)
            inner = inner.setdefault(key, {})
            if not isinstance(inner, dict):
                raise OptionError(f"{origin}: {'.'.join(path[:depth])} is given as a value as well")
        value, before = read.value, inner.get(path[-1])
        if isinstance(before, dict) and not isinstance(value, dict):
            raise OptionError(f"{origin}: keys of {'.'.join(path)} are given as well")
        inner[path[-1]] = _merged(before, value)
        self.origins[path] = origin
        self.origins |= {(*path, *below): origin for below in read.lines}
        self.texts |= {(*path, *below): written for below, written in read.texts.items()}

    def at(self, path: KeyPath) -> Any:
        """Return the value at a path."""
        inner: Any = self.values
        for key in path:
            inner = inner[key]
        return inner

    def remove(self, path: KeyPath) -> None:
        """Remove a key with all that is below it."""
        del self.at(path[:-1])[path[-1]]
        for known in [each for each in self.origins if each[: len(path)] == path]:
            del self.origins[known]


def file_layer(file: YamlFile) -> Layer:
    """Return the settings of a YAML file.

    Raises
    ------
    OptionError
        If it is not a mapping.
    """
    if file.value is None:
        return Layer(name=file.name)
    if not isinstance(file.value, dict):
        raise OptionError(
            f"{file.name} must map names to settings, not be a {type(file.value).__name__}"
        )
    origins = {path: f"{file.name}:{line}" for path, line in file.lines.items()}
    return Layer(name=file.name, values=file.value, origins=origins, texts=dict(file.texts))


def mapping_layer(values: Mapping[str, Any], *, name: str = "the mapping") -> Layer:
    """Return the settings of a mapping of Python, which is copied."""
    layer = Layer(name=name, values=_copied(values))

    def note(inner: Mapping[str, Any], path: KeyPath) -> None:
        for key, value in inner.items():
            layer.origins[*path, key] = name
            if isinstance(value, Mapping):
                note(value, (*path, key))

    note(layer.values, ())
    return layer


def environment_layer(variables: Mapping[str, str], *, prefix: str, name: str = "") -> Layer:
    """Return the settings in environment variables: ``PREFIX`` and the path with ``__`` between its keys.

    Parameters
    ----------
    variables : mapping of str to str
    prefix : str
    name : str
        The dotenv file that they stand in; empty for the environment of the process.

    Raises
    ------
    OptionError
        If a name is no path of keys.
    """
    layer = Layer(name=name or "environment")
    for variable, value in variables.items():
        if not variable.startswith(prefix):
            continue
        origin = f"{name}: {variable}" if name else f"environment {variable}"
        path = _path_of(variable.removeprefix(prefix).split("__"))
        if not all(path):
            raise OptionError(
                f"{origin}: a name is {prefix} and keys with __ between them ({prefix}ENGINE__MEMORY)"
            )
        layer.put(path, value, origin)
    return layer


def dotenv_layers(path: str | os.PathLike[str], *prefixes: str) -> list[Layer]:
    """Return the settings of a dotenv file, a layer for each prefix; nothing else in it is read.

    Raises
    ------
    OptionError
        If it cannot be read.
    """
    name = os.fspath(path)
    try:
        with open(path, encoding="utf-8") as stream:  # noqa: PTH123 - a path or its text
            found = dotenv_values(stream=stream, interpolate=False)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OptionError(f"the file {name} cannot be read: {reason}") from error
    variables = {key: value or "" for key, value in found.items()}
    return [environment_layer(variables, prefix=each, name=name) for each in prefixes]


def override_layer(assignments: Iterable[str]) -> Layer:
    """Return the settings of texts such as ``"services.compute.executor.cpus=4"``; a value is read as YAML.

    Raises
    ------
    OptionError
        If one is not of that form.
    """
    layer = Layer(name="-o")
    if isinstance(assignments, str):
        raise OptionError(
            "overrides must be a list of texts such as 'engine.memory=8GB', not a text"
        )
    for assignment in assignments:
        if not isinstance(assignment, str):
            kind = type(assignment).__name__
            raise OptionError(f"overrides must be texts such as 'engine.memory=8GB', not {kind}")
        dotted, equals, value = assignment.partition("=")
        path = tuple(key.strip() for key in dotted.split("."))
        if not equals or not all(path):
            # Not the text: it may be a secret's.
            raise OptionError(
                f"-o {dotted or '=…'}: this is not of the form key=value (services.compute.executor.cpus=4)"
            )
        layer.put(path, value.strip(), f"-o {dotted.strip()}")
    return layer


def write_text(values: Any, path: KeyPath, text: str) -> None:
    """Replace the value at a path of nested mappings and lists by the text it was written as, unless it is null."""
    for key in path[:-1]:
        values = values[key]
    if values[path[-1]] is not None:
        values[path[-1]] = text


def _merged(below: Any, above: Any) -> Any:
    """Return mappings as one, and of other values the one above."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{key: _merged(below.get(key), value) for key, value in above.items()}}


def _path_of(keys: list[str]) -> tuple[str, ...]:
    """Return the keys in small letters, but for what is below ``env_vars``."""
    small = [key.lower() for key in keys]
    if VERBATIM in small[:-1]:
        at = small.index(VERBATIM) + 1
        # A variable's own name may have two underscores.
        return (*small[:at], "__".join(keys[at:]))
    return tuple(small)


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(each) for key, each in value.items()}
    return [_copied(each) for each in value] if isinstance(value, list) else value
