"""The options of an executor, declared once as the fields of a dataclass.

::

    @dataclass(frozen=True, slots=True, kw_only=True)
    class PoolOptions:
        '''Options of the executor ``pool``.'''

        max_workers: Count | None = None
        '''How many tasks run at once; default: one for each core.'''

        def __post_init__(self) -> None:
            check_options(self, executor="pool")

The annotation says what is allowed (:mod:`asyncexec.backends.options` has the checks), the string below the field what
it means, and ``field(default=None, repr=False)`` keeps a secret out of messages. A backend whose ``__init__`` has
:class:`takes_options` takes these options; the registry, ``asyncexec executors``, the manual and the tests read them.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from functools import cache, wraps
from itertools import pairwise
from types import NoneType, UnionType
from typing import Any, Concatenate, Union, get_args, get_origin, get_type_hints

from asyncexec.backends.options import flag, text
from asyncexec.errors import OptionError

type Check = Callable[..., Any]
"""Takes a value, and ``executor`` and ``option`` for its message; returns the value as it is kept."""

_OF_PLAIN_TYPES: Mapping[Any, Check] = {bool: flag, str: text}


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An option of an executor.

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


class takes_options[**P, O]:  # noqa: N801 - a decorator
    """Give an ``__init__`` that takes the options as one object the keyword arguments of their dataclass.

    Type checkers and ``inspect.signature`` see the keyword arguments.

    Parameters
    ----------
    options : type
        The dataclass.
    """

    def __init__(self, options: Callable[P, O]) -> None:
        self._options = options

    def __call__[B](self, init: Callable[[B, O], None], /) -> Callable[Concatenate[B, P], None]:
        options = self._options

        @wraps(init, assigned=("__module__", "__name__", "__qualname__"))
        def __init__(backend: B, /, *args: P.args, **given: P.kwargs) -> None:  # noqa: N807 - it is one
            init(backend, options(*args, **given))

        __init__.__doc__ = (
            f"Take the fields of :class:`{getattr(options, '__qualname__', options)}` as arguments."
        )
        vars(__init__).update(__signature__=_signature(options), options=options)
        return __init__


def check_options(options: object, *, executor: str) -> None:
    """Check each field by what its annotation says, and keep it as the check returns it.

    Parameters
    ----------
    options : object
        Of a dataclass of options.
    executor : str
        As users write it.

    Raises
    ------
    OptionError
        If a value is not allowed.
    """
    declared: type = type(options)
    for name, (check, optional) in checks_of(declared).items():
        value = getattr(options, name)
        if check is None or (value is None and optional):
            continue
        kept = check(value, executor=executor, option=name)
        if kept is None:
            raise OptionError(f"executor {executor!r}: {name} must be given, not None")
        object.__setattr__(options, name, kept)


def options_of(constructor: object) -> type | None:
    """Return the dataclass of the options that a backend's class takes; None where it declares none."""
    return getattr(getattr(constructor, "__init__", None), "options", None)


def declared_options(constructor: object) -> tuple[Option, ...] | None:
    """Return the options that a backend's class declares; None where it declares none."""
    options = options_of(constructor)
    return None if options is None else described_fields(options)


def described_fields(options: type) -> tuple[Option, ...]:
    """Return the options that are the fields of a dataclass."""
    meanings = _meanings(options)
    return tuple(
        Option(name=each.name, default=_default(each), meaning=meanings.get(each.name, ""))
        for each in fields(options)
    )


def _signature(options: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of an ``__init__`` that takes the options, with their types and without the checks."""
    types, declared = get_type_hints(options), inspect.signature(options)
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    named = [each.replace(annotation=types[each.name]) for each in declared.parameters.values()]
    return declared.replace(parameters=[this, *named])


@cache
def checks_of(options: type) -> Mapping[str, tuple[Check | None, bool]]:
    """Return the check of each field, and whether it may be None."""
    hints = get_type_hints(options, include_extras=True)
    return {each.name: _check_of(hints[each.name]) for each in fields(options)}


def _check_of(hint: Any) -> tuple[Check | None, bool]:
    members = get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)
    named = [check for member in members for check in getattr(member, "__metadata__", ())]
    plain = [_OF_PLAIN_TYPES[member] for member in members if member in _OF_PLAIN_TYPES]
    return next(iter(named + plain), None), NoneType in members


def _default(each: Field[Any]) -> str | None:
    return None if each.default is MISSING else repr(each.default)


def _meanings(options: type) -> dict[str, str]:
    """Return what is written below each field; nothing where the source is not there."""
    try:
        source = inspect.getsource(options)
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
