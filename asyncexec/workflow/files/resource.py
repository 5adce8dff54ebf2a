"""A resource: the common envelope of YAML files, ``kind``, ``metadata`` and ``spec``; problems are collected."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from asyncexec.config.fields import nearest
from asyncexec.config.yaml_file import KeyPath, YamlFile, read_yaml
from asyncexec.errors import WorkflowFileError
from asyncexec.workflow.files.variables import substituted

KINDS = ("workflow", "config")
NAME = re.compile(r"[A-Za-z0-9_-]+")

_ENVELOPE = ("kind", "metadata", "spec")
# What a server writes into a definition; here it is accepted and has no effect.
_WRITTEN_BY_SERVERS = ("uid", "created_at", "updated_at")
_METADATA = ("name", "annotations", *_WRITTEN_BY_SERVERS)


class Problems:
    """Problems of one file, each with its line; they are raised together."""

    def __init__(self, file: YamlFile) -> None:
        self.file = file
        self.found: list[str] = []
        self._replaced: set[KeyPath] = set()

    def add(self, path: KeyPath, problem: str) -> None:
        """Add a problem of the value at a path, unless the value stands in place of one with a problem."""
        if not any(tuple(path[:length]) in self._replaced for length in range(len(path) + 1)):
            self.found.append(f"{self.file.where(*path)}: {problem}")

    def replace(self, path: KeyPath, problem: str) -> None:
        """Add a problem of a value that another stands in for: what is wrong with that follows from this."""
        self.found.append(f"{self.file.where(*path)}: {problem}")
        self._replaced.add(tuple(path))

    def raise_any(self) -> None:
        """Raise WorkflowFileError if there are any."""
        if self.found:
            raise WorkflowFileError("\n".join(self.found))

    def names(self, path: KeyPath, given: Any, known: Iterable[str], what: str) -> dict[str, Any]:
        """Return ``given`` without what is wrong with it: it is to be a mapping with names among ``known``."""
        if given is None:
            return {}
        if not isinstance(given, Mapping):
            self.replace(path, f"{what} maps names to values, and this is {_a(given)}")
            return {}
        names = list(known)
        for name in given:
            if name not in names:
                near = nearest(str(name), names)
                hint = f"did you mean {near[0]!r}? " if near else ""
                self.add((*path, name), f"{what} has no {name!r}: {hint}It has {', '.join(names)}")
        return {name: value for name, value in given.items() if name in names}

    def of_type[T](self, path: KeyPath, value: Any, kind: type[T], default: T, what: str) -> T:
        """Return ``value`` if it is a ``kind``, the default if it is None or something else."""
        if value is None:
            return default
        if not isinstance(value, kind):
            self.replace(path, f"{what} is {_WORDS[kind]}, not {_a(value)}")
            return default
        return value

    def scalar(self, path: KeyPath, value: Any, what: str) -> str:
        """Return a text, or what stands in place of one: a version is often written as a number."""
        if isinstance(value, Mapping | list):
            self.replace(path, f"{what} is a text, not {_a(value)}")
            return ""
        return "" if value is None else str(value)

    def texts(self, path: KeyPath, value: Any, what: str) -> tuple[str, ...]:
        """Return a list of texts."""
        given = self.of_type(path, value, list, [], what)
        for number, each in enumerate(given):
            if not isinstance(each, str):
                self.add((*path, number), f"{what} is a list of texts, and this is {_a(each)}")
        return tuple(each for each in given if isinstance(each, str))


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A definition in a file.

    Attributes
    ----------
    kind : str
        ``"workflow"`` or ``"config"``.
    name : str
    annotations : mapping of str to str
    spec : object
    file : YamlFile
    """

    kind: str
    name: str
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    spec: Any = None
    file: YamlFile = field(repr=False)


def read_resource(
    path: str | os.PathLike[str], *, variables: Mapping[str, str] | None = None
) -> Resource:
    """Return the resource in a YAML or JSON file, after ``$NAME`` and ``${NAME}`` in its texts are replaced.

    Parameters
    ----------
    path : path
    variables : mapping of str to str, optional
        By default those of the environment.

    Raises
    ------
    OptionError
        If it cannot be read, or is no YAML.
    WorkflowFileError
        If it is no resource, with all problems of its envelope.
    """
    return resource_of(read_yaml(path), variables=variables)


def resource_of(read: YamlFile, *, variables: Mapping[str, str] | None = None) -> Resource:
    """Return the resource that a document is; as :func:`read_resource`."""
    problems = Problems(read)
    value = substituted(read, os.environ if variables is None else variables, problems.replace)
    if not isinstance(value, Mapping):
        problems.add((), f"a resource has kind, metadata and spec, and this is {_a(value)}")
        problems.raise_any()
    if "stages" in value and "spec" not in value:
        problems.add(
            ("stages",), "the stages of a workflow stand below 'spec', its name below 'metadata'"
        )
        problems.raise_any()
    given = problems.names((), value, _ENVELOPE, "a resource")
    kind = problems.of_type(("kind",), given.get("kind"), str, "workflow", "kind")
    if kind not in KINDS:
        problems.add(("kind",), f"there is no kind {kind!r} here: it is one of {', '.join(KINDS)}")
    metadata = problems.names(("metadata",), given.get("metadata"), _METADATA, "metadata")
    name = problems.of_type(("metadata", "name"), metadata.get("name"), str, "", "metadata.name")
    if not NAME.fullmatch(name):
        problems.add(
            ("metadata", "name"),
            f"metadata.name is a text of letters, digits, _ and -, not {metadata.get('name')!r}",
        )
    annotations = problems.of_type(
        ("metadata", "annotations"), metadata.get("annotations"), dict, {}, "metadata.annotations"
    )
    problems.raise_any()
    return Resource(
        kind=kind,
        name=name,
        annotations={str(key): str(each) for key, each in annotations.items()},
        spec=given.get("spec"),
        file=read,
    )


_WORDS: Mapping[type, str] = {
    str: "a text",
    list: "a list",
    dict: "a mapping",
    bool: "true or false",
    int: "a whole number",
}


def _a(value: Any) -> str:
    return (
        "nothing"
        if value is None
        else f"{_WORDS.get(type(value), type(value).__name__)} ({value!r})"
    )
