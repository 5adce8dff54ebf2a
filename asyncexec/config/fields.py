"""Settings declared once, as the fields of a dataclass.

::

    @dataclass(frozen=True, slots=True, kw_only=True)
    class PoolOptions:
        '''Options of a pool.'''

        max_workers: Count | None = None
        '''How many tasks run at once; default: one for each core.'''

        def __post_init__(self) -> None:
            check_fields(self, "pool: ")

The annotation says what is allowed (:mod:`asyncexec.config.checks` has the checks), the string below the field what it
means, and ``field(default=None, repr=False)`` keeps a secret out of messages.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from difflib import get_close_matches
from functools import cache, partial
from itertools import pairwise
from types import NoneType, UnionType
from typing import Any, Literal, TypeAliasType, Union, cast, get_args, get_origin, get_type_hints

from asyncexec.config.checks import flag, one_of, text
from asyncexec.errors import OptionError

type Check = Callable[[Any, str], Any]
"""Takes a value and where it stands, for its message; returns the value as it is kept."""

_OF_PLAIN_TYPES: Mapping[Any, Check] = {bool: flag, str: text}


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A setting.

    Attributes
    ----------
    name : str
    default : str or None
        As Python text; None where it has to be given.
    meaning : str
        The first paragraph that is written of it.
    """

    name: str
    default: str | None
    meaning: str


def check_fields(settings: object, prefix: str) -> None:
    """Check each field by what its annotation says, and keep it as the check returns it.

    Parameters
    ----------
    settings : object
        Of a dataclass.
    prefix : str
        What stands before the name of a field in messages.

    Raises
    ------
    OptionError
        If a value is not allowed.
    """
    kind: type = type(settings)
    for name in checks_of(kind):
        kept = checked_field(kind, name, getattr(settings, name), prefix)
        object.__setattr__(settings, name, kept)


def read_fields[T](kind: type[T], given: Mapping[str, Any], *, prefix: str, section: str) -> T:
    """Return a ``kind``, a dataclass of settings, of what a file or the like says by name.

    Parameters
    ----------
    kind : type
    given : mapping of str to object
    prefix : str
        What stands before the name of a field in messages.
    section : str
        What is called by the names, for messages.

    Raises
    ------
    OptionError
        If ``given`` maps no names to values, a name is unknown, or a value is not allowed.
    """
    if not isinstance(given, Mapping):
        raise OptionError(
            f"{section} must map names to values, or be a {kind.__name__}, not a {type(given).__name__}"
        )
    refuse_unknown(given, checks_of(cast("type", kind)), section)
    return kind(**{name: checked_field(kind, name, value, prefix) for name, value in given.items()})


def refuse_unknown(
    given: Iterable[str], known: Iterable[str], section: str, *, otherwise: str = ""
) -> None:
    """Raise OptionError for the first name of ``given`` that is not ``known``, with the nearest that is.

    ``otherwise`` is advice for where none is near; ``{}`` in it stands for the name.
    """
    names = list(known)
    for name in given:
        if name not in names:
            near = nearest(name, names)
            hint = f"did you mean {near[0]!r}? " if near else otherwise.format(name)
            raise OptionError(
                f"there is no {name!r} in {section}: {hint}it has {', '.join(names) or 'none'}"
            )


def nearest(name: str, known: Iterable[str], *, most: int = 1) -> list[str]:
    """Return the ``known`` names that are spelled most like ``name``."""
    return get_close_matches(name, list(known), n=most)


def described_fields(settings: type) -> tuple[Option, ...]:
    """Return the settings that are the fields of a dataclass."""
    meanings = _meanings(settings)
    return tuple(
        Option(name=each.name, default=_default(each), meaning=meanings.get(each.name, ""))
        for each in fields(settings)
    )


@cache
def checks_of(settings: type) -> Mapping[str, tuple[Check | None, bool]]:
    """Return the check of each field, and whether it may be None."""
    hints = get_type_hints(settings, include_extras=True)
    return {each.name: _check_of(hints[each.name]) for each in fields(cast("Any", settings))}


def checked_field(settings: type, name: str, value: Any, prefix: str) -> Any:
    """Return a value of one field as its check returns it; ``prefix`` stands before the name in messages."""
    check, optional = checks_of(settings)[name]
    if check is None or (value is None and optional):
        return value
    kept = check(value, f"{prefix}{name}")
    if kept is None:
        raise OptionError(f"{prefix}{name} must be given, not None")
    return kept


def _check_of(hint: Any) -> tuple[Check | None, bool]:
    members = get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)
    found = [check for member in members for check in getattr(member, "__metadata__", ())]
    for member in members:
        plain = member.__value__ if isinstance(member, TypeAliasType) else member
        if get_origin(plain) is Literal:
            found.append(partial(one_of, choices=get_args(plain)))
        elif plain in _OF_PLAIN_TYPES:
            found.append(_OF_PLAIN_TYPES[plain])
    return next(iter(found), None), NoneType in members


def _default(each: Field[Any]) -> str | None:
    return None if each.default is MISSING else repr(each.default)


def _meanings(settings: type) -> dict[str, str]:
    """Return what is written below each field; nothing where the source is not there."""
    try:
        source = inspect.getsource(settings)
    except OSError:
        return {}
    (definition,) = ast.parse(textwrap.dedent(source)).body
    return {
        target.id: " ".join(inspect.cleandoc(meaning).partition("\n\n")[0].split())
        for declared, below in pairwise(getattr(definition, "body", ()))
        if isinstance(declared, ast.AnnAssign) and isinstance(target := declared.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
        if isinstance(meaning := below.value.value, str)
    }
