"""The options of an executor, declared once as the fields of a dataclass (:mod:`asyncexec.config.fields`).

A backend whose ``__init__`` has :class:`takes_options` takes these options; the registry, ``asyncexec executors``, the
manual and the tests read them. Its dataclass calls :func:`check_options` when it is made.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, get_type_hints

from asyncexec.config.fields import Option, check_fields, described_fields

__all__ = [
    "Option",
    "check_options",
    "declared_options",
    "described_fields",
    "options_of",
    "takes_options",
]


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
    check_fields(options, f"executor {executor!r}: ")


def options_of(constructor: object) -> type | None:
    """Return the dataclass of the options that a backend's class takes; None where it declares none."""
    return getattr(getattr(constructor, "__init__", None), "options", None)


def declared_options(constructor: object) -> tuple[Option, ...] | None:
    """Return the options that a backend's class declares; None where it declares none."""
    options = options_of(constructor)
    return None if options is None else described_fields(options)


def _signature(options: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of an ``__init__`` that takes the options, with their types and without the checks."""
    types, declared = get_type_hints(options), inspect.signature(options)
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    named = [each.replace(annotation=types[each.name]) for each in declared.parameters.values()]
    return declared.replace(parameters=[this, *named])
