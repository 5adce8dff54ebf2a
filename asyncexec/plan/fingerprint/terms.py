"""Expressions over what code takes from outside itself: names, and attributes, items, calls and imports of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Name:
    """A global or builtin name (``kind`` is ``"global"``), or one of the function or a function around it."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant in the code."""

    value: Any


@dataclass(frozen=True, slots=True)
class Attribute:
    """``base.name``."""

    base: Term | None
    name: str


@dataclass(frozen=True, slots=True)
class Item:
    """``base[key]``; the key is None where it is worked out."""

    base: Term
    key: Term | None


@dataclass(frozen=True, slots=True)
class Contains:
    """``key in base``."""

    base: Term
    key: Term | None


@dataclass(frozen=True, slots=True)
class Call:
    """``function(*arguments, **keywords)``; arguments that are worked out are None."""

    function: Term
    arguments: tuple[Term | None, ...]
    keywords: tuple[tuple[str, Term | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Import:
    """``import name``, which is its first package unless ``taken_from``: ``from name import …``."""

    name: str
    level: int
    taken_from: bool


@dataclass(frozen=True, slots=True)
class ImportedName:
    """``from base import name``."""

    base: Term
    name: str


type Term = Name | Literal | Attribute | Item | Contains | Call | Import | ImportedName
