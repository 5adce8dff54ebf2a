"""Calls that users make, as errors show them: a function's public name, and the arguments that it was given.

Functions are named where they are offered (:mod:`asyncexec.array.api` and its like), not where they are defined: what
they call of each other raises what it finds wrong, and the call that the user made is put in front of it, once.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import FunctionType
from typing import Any, NoReturn

import numpy as np
from numpy.exceptions import AxisError

from asyncexec.array.argument_kinds import ArgumentKinds
from asyncexec.array.chunked import Chunked
from asyncexec.errors import AsyncexecError
from asyncexec.masking import masked_logins

STANDARD = (IndexError, TypeError, OverflowError, ValueError)
"""What functions raise of arguments that cannot be; the more special ones first."""

_PLAIN = (
    bool,
    int,
    float,
    complex,
    bytes,
    str,
    np.generic,
    np.dtype,
    range,
    slice,
    type(...),
    type(None),
)
_MOST_LETTERS, _MOST_ITEMS = 60, 4
_OWN_MESSAGE = "_message_without_call"


_kinds_of = functools.cache(ArgumentKinds.of)


def name_in_errors(offered: dict[str, Any], names: Iterable[str], module: str, prefix: str) -> None:
    """Put functions in the place of those in a namespace that do the same, and name themselves in their errors.

    Parameters
    ----------
    offered : dict
        The namespace.
    names : iterable of str
        The names in it that users see; what is no function stays.
    module : str
        The package that offers them, by which they are pickled.
    prefix : str
        What users write before a name, such as ``"xp."``.
    """
    for name in names:
        if isinstance(offered[name], FunctionType):
            offered[name] = named(offered[name], f"{prefix}{name}")
            offered[name].__module__ = module


def name_methods_in_errors(owner: type, names: Iterable[str], prefix: str) -> None:
    """Have methods of ``owner``, its bases' too, name themselves in their errors, after ``prefix``."""
    for name in names:
        setattr(owner, name, named(getattr(owner, name), f"{prefix}{name}"))


def named(function: Callable[..., Any], called: str) -> Callable[..., Any]:
    """Return ``function``, with its call as ``called`` in front of the message of each error.

    Arguments that are not of the kind that it says are refused before it is called.
    """

    @functools.wraps(function)
    def call(*args: Any, **keywords: Any) -> Any:
        try:
            _kinds_of(function).check(args, keywords)
            return function(*args, **keywords)
        except STANDARD as error:
            raise_named(error, called, function, args, keywords)

    return call


def raise_named(
    error: Exception,
    called: str,
    function: Callable[..., Any],
    args: Sequence[Any],
    keywords: Mapping[str, Any],
) -> NoReturn:
    """Raise ``error`` again, with the call of ``function`` in front of its message.

    Of calls within each other, the outer one is named. An error whose message is composed of other parts, as NumPy has
    some, is raised as the one of the standard's kinds that it is.
    """
    try:
        arguments = _shown_arguments(function, args, keywords)
    except TypeError:
        raise error  # noqa: B904 - Python has said which argument the function does not take
    if str(error).startswith(f"{called}("):
        raise error  # It names the call already.
    shown = f"{called}({', '.join(arguments)})"
    if isinstance(error, AxisError) and error.ndim is not None:
        error.__init__(error.axis, error.ndim, shown)  # type: ignore[misc]  # the only way to NumPy's prefix
        raise error
    message = vars(error).setdefault(_OWN_MESSAGE, str(error))
    if _is_text_alone(error):
        error.args = (f"{shown}: {message}",)
        raise error
    if isinstance(error, AsyncexecError):
        error.add_note(f"in {shown}")
        raise error
    kind = next(kind for kind in STANDARD if isinstance(error, kind))
    found = kind(f"{shown}: {message}")
    vars(found)[_OWN_MESSAGE] = message
    raise found from error


def _is_text_alone(error: Exception) -> bool:
    return len(error.args) == 1 and str(error) == error.args[0]


def _shown_arguments(
    function: Callable[..., Any], args: Sequence[Any], keywords: Mapping[str, Any]
) -> list[str]:
    by_name = [f"{name}={shown_value(value)}" for name, value in keywords.items()]
    try:
        signature = inspect.signature(function)
    except ValueError:  # Before NumPy 2.4, functions in C have none.
        return [*map(shown_value, args), *by_name]
    signature.bind(*args, **keywords)
    found: list[str] = []
    names = iter(signature.parameters.values())
    for place, value in enumerate(args):
        parameter = next(names)
        if parameter.kind is parameter.VAR_POSITIONAL:
            return [*found, *_shown_items(args[place:]), *by_name]
        found.append(f"{parameter.name}={shown_value(value)}")
    return [*found, *by_name]


def shown_value(value: Any) -> str:
    """Return a short text for ``value``: of arrays shape, element type and chunks, never their elements."""
    if isinstance(value, Chunked):
        node = value.own_node
        return f"Array(shape={node.shape}, dtype={node.dtype}, chunks={node.chunks})"
    if isinstance(value, np.ndarray):
        return f"ndarray(shape={value.shape}, dtype={value.dtype})"
    if isinstance(value, list | tuple):
        begin, end = "[]" if isinstance(value, list) else "()"
        comma = "," if isinstance(value, tuple) and len(value) == 1 else ""
        return f"{begin}{', '.join(_shown_items(value))}{comma}{end}"
    if isinstance(value, type) or inspect.isroutine(value):
        return str(getattr(value, "__name__", type(value).__name__))
    if not isinstance(value, _PLAIN):
        return f"<{type(value).__name__}>"
    text = masked_logins(repr(value))
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 3]}..."


def _shown_items(values: Sequence[Any]) -> Iterator[str]:
    yield from map(shown_value, values[:_MOST_ITEMS])
    if len(values) > _MOST_ITEMS:
        yield f"... {len(values)} in all"
