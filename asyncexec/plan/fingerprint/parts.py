"""Parts of definitions that :mod:`asyncexec.plan.fingerprint.digest` hashes in a way of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Unordered:
    """A mapping whose order says nothing: the members of a class, the attributes of an object."""

    items: Mapping[Any, Any]


@dataclass(frozen=True, slots=True)
class Used:
    """All that a function takes from its module and from others, where a lock, say, is nothing but a lock."""

    parts: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Package:
    """An installed module, which counts by its name and its package's version."""

    module: str


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable; without a name, those that the names and constants in all the code may stand for."""

    name: str | None


@dataclass(frozen=True, slots=True)
class Whole:
    """All of a module of the user's, as code uses it in a way that cannot be followed.

    ``all_around`` takes in what lies around it as well, which may be imported by a name that is worked out.
    """

    namespace: dict[str, Any]
    reason: str
    all_around: bool = False


@dataclass(frozen=True, slots=True)
class Absent:
    """A module of the user's that cannot be imported here; its source counts, if there is one."""

    module: str
    error: str
