"""YAML files with the line of each value, for messages; needs the extra ``config``.

Values are what ``yaml.safe_load`` makes of them, and nothing in a file is executed. What it would pass over in silence
is an error here: a key that comes twice, and a file of several documents.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml

from asyncexec.errors import OptionError

type KeyPath = tuple[str | int, ...]
"""The keys and positions that lead to a value: ``("stages", 0, "name")``."""

MOST_VALUES = 200_000
"""Aliases of aliases can make any number of values from a file of a few lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlFile:
    r"""The value of a YAML document, and where its parts are.

    >>> from asyncexec.config.yaml_file import parse_yaml
    >>> read = parse_yaml("stages:\n- name: load\n", name="flow.yaml")
    >>> read.value
    {'stages': [{'name': 'load'}]}
    >>> read.where("stages", 0, "name")
    'flow.yaml:2'
    """

    name: str
    """The file, for messages."""
    value: Any
    lines: Mapping[KeyPath, int] = field(repr=False)
    """The line of each key of a mapping and of each item of a list, from 1."""
    texts: Mapping[KeyPath, str] = field(repr=False)
    """Each scalar as it is written: ``"007"`` where the value is the number 7."""
    quoted: frozenset[KeyPath] = field(default=frozenset(), repr=False)
    """The scalars that are texts whatever they look like, as they stand in quotes."""

    def where(self, *path: str | int) -> str:
        """Return ``file:line`` of a value, or of the nearest thing around it that has a line."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.name}:{self.lines[path]}" if path in self.lines else self.name


def read_yaml(path: str | os.PathLike[str]) -> YamlFile:
    """Return the document in a file.

    Raises
    ------
    OptionError
        If it cannot be read, or is not one document of YAML; the message says the line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # Of bytes that are no text, or a path with a NUL.
        reason = getattr(error, "strerror", None) or str(error)
        raise OptionError(f"the file {os.fspath(path)} cannot be read: {reason}") from error
    return parse_yaml(text, name=os.fspath(path))


def parse_yaml(text: str, *, name: str) -> YamlFile:
    """Return the document in a text; ``name`` is what messages call it.

    Raises
    ------
    OptionError
        If it is not one document of YAML; the message says the line.
    """
    given = _json(text, name) if name.endswith(".json") else None
    if given is not None:
        text = text.replace(
            "\t", " "
        )  # Outside of its texts, which have none, and where YAML has none.
    try:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            reading = _Reading(loader, name)
            value = None if node is None else reading.value_of(node, ())
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise OptionError(_sentence(error, name)) from error
    except RecursionError as error:
        raise OptionError(f"{name} is nested too deeply") from error
    return YamlFile(
        name=name,
        value=value if given is None else given,
        lines=reading.lines,
        texts=reading.texts,
        quoted=frozenset(reading.quoted),
    )


def plain_value(text: str) -> Any:
    """Return the number or truth value that a text is where it stands in a file without quotes; else the text.

    >>> from asyncexec.config.yaml_file import plain_value
    >>> plain_value("3"), plain_value("yes"), plain_value("a: [b]")
    (3, True, 'a: [b]')
    """
    loader = yaml.SafeLoader("")
    try:
        tag = loader.resolve(yaml.ScalarNode, text, (True, False))
        kind = tag.rpartition(":")[2]
        node = yaml.ScalarNode(tag, text)
        return loader.construct_object(node) if kind in {"int", "float", "bool"} else text
    finally:
        loader.dispose()


def _json(text: str, name: str) -> Any:
    """Return the value of a JSON document, whose numbers and characters are not always those of YAML."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise OptionError(
            f"{name}:{error.lineno}: this is no JSON that can be read: {error.msg}"
        ) from error
    except RecursionError as error:
        raise OptionError(f"{name} is nested too deeply") from error


class _Reading:
    """One walk over the nodes of a document."""

    def __init__(self, loader: yaml.SafeLoader, name: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self.texts: dict[KeyPath, str] = {}
        self.quoted: set[KeyPath] = set()
        self._loader = loader
        self._name = name
        self._around: set[int] = set()
        self._count = 0

    def value_of(self, node: yaml.Node, path: KeyPath) -> Any:
        """Return the value of a node, whose parts are recorded below ``path``."""
        self._count += 1
        if self._count > MOST_VALUES:
            raise self._error(node, f"holds more than {MOST_VALUES:,} values")
        if id(node) in self._around:
            raise self._error(node, "has an alias (*name) to what it stands in itself")
        self._around.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                return self._sequence(node, path)
            self.texts[path] = cast("str", node.value)
            if isinstance(node, yaml.ScalarNode) and node.style in {"'", '"', "|", ">"}:
                self.quoted.add(path)
            return self._made(node)
        finally:
            self._around.discard(id(node))

    def _sequence(self, node: yaml.SequenceNode, path: KeyPath) -> Any:
        if node.tag != "tag:yaml.org,2002:seq":
            return self._made(node)
        values: list[Any] = []
        for position, each in enumerate(node.value):
            self.lines[*path, position] = _line(each)
            values.append(self.value_of(each, (*path, position)))
        return values

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> Any:
        if node.tag != "tag:yaml.org,2002:map":
            return self._made(node)
        self._refuse_twice(node)
        self._loader.flatten_mapping(node)
        values: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            self.lines[*path, key] = _line(key_node)
            values[key] = self.value_of(value_node, (*path, key))
        return values

    def _refuse_twice(self, node: yaml.MappingNode) -> None:
        first: dict[Any, int] = {}
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self._key(key_node)
            if key in first:
                raise self._error(
                    key_node, f"has the key {key!r} twice, first in line {first[key]}"
                )
            first[key] = _line(key_node)

    def _key(self, node: yaml.Node) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            raise self._error(node, "has a list or a mapping as a key")
        if node.tag == "tag:yaml.org,2002:bool" and node.value.lower() not in {"true", "false"}:
            return (
                node.value
            )  # YAML 1.1 takes "on" for a truth value, and it is the name of an option.
        return self._made(node)

    def _made(self, node: yaml.Node) -> Any:
        try:
            return self._loader.construct_object(node, deep=True)
        except ValueError as error:  # A date with a 13th month, say.
            raise self._error(node, f"has a value that cannot be read: {error}") from error

    def _error(self, node: yaml.Node, what: str) -> OptionError:
        return OptionError(f"{self._name}:{_line(node)}: the file {what}")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _sentence(error: yaml.YAMLError, name: str) -> str:
    """Return what is wrong and where, in one line and without the text of the file, which may be secret."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML"
    place = f"{name}:{mark.line + 1}" if mark else name
    context = getattr(error, "context", None)
    said = " ".join(filter(None, (context, problem)))
    return f"{place}: this is no YAML that can be read: {said}"
