"""Kinds of arguments, checked by a function's annotations before anything is built: flags, numbers, functions, specs.

What needs more than its kind to be judged (axes, shapes, element types) is checked by the functions themselves.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

import numpy as np

from asyncexec.array.spec import Spec
from asyncexec.plan.masked import refuse_masked

type Check = Callable[[Any], bool]


def _is_flag(value: Any) -> bool:
    # NumPy takes 0 and 1 for flags; an array without axes would have to be computed for it.
    return isinstance(value, bool | int | np.bool_ | np.integer)


def _is_number(value: Any) -> bool:
    return hasattr(value, "__float__") or hasattr(value, "__complex__")


_KINDS: Mapping[str, tuple[Check, str]] = {
    "bool": (_is_flag, "True or False"),
    "builtins.bool": (_is_flag, "True or False"),
    "float": (_is_number, "a number"),
    "complex": (_is_number, "a number"),
    "Callable": (callable, "a function"),
    "Mapping": (lambda value: isinstance(value, Mapping), "a mapping"),
    "Spec": (lambda value: isinstance(value, Spec), "an asyncexec.Spec"),
}
"""By the annotation, up to its brackets: whether a value is of the kind, and what the kind is called."""


_MAY_BE_MASKED = (np.ndarray, list, tuple)
"""The types of arguments that have masked elements, or hold what has."""


@dataclass(frozen=True, slots=True)
class ArgumentKinds:
    """The kinds that a function's arguments have by their annotations.

    Attributes
    ----------
    by_name : mapping
        The check of each parameter that has one, and the name of its kind.
    in_order : sequence of str
        The names of the positional parameters.
    own : frozenset of str
        The names of all parameters: what else comes by name is for a function of the user's, as it is.
    several : str or None
        The name of the parameter that takes all further positional arguments.
    """

    by_name: Mapping[str, tuple[Check, str]]
    in_order: Sequence[str] = field(default=())
    own: frozenset[str] = frozenset()
    several: str | None = None

    @classmethod
    def of(cls, function: Callable[..., Any]) -> ArgumentKinds:
        """Return the kinds of the arguments of ``function``, whose annotations are text."""
        by_name: dict[str, tuple[Check, str]] = {}
        in_order: list[str] = []
        several = None
        for name, parameter in inspect.signature(function).parameters.items():
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                in_order.append(name)
            elif parameter.kind is parameter.VAR_POSITIONAL:
                several = name
            kind = _kind_of(parameter.annotation)
            if kind is not None and parameter.kind is not parameter.VAR_KEYWORD:
                by_name[name] = kind
        own = frozenset(inspect.signature(function).parameters)
        return cls(by_name, tuple(in_order), own, several)

    def check(self, args: Sequence[Any], keywords: Mapping[str, Any]) -> None:
        """Check the arguments of a call.

        Raises
        ------
        TypeError
            If one is of another kind, or has masked elements.
        """
        names = self.in_order
        if self.several is not None and len(args) > len(names):
            names = (*names, *repeat(self.several, len(args) - len(names)))
        for name, value in (*zip(names, args, strict=False), *keywords.items()):
            # An array of exactly that class has no mask, and most arguments end here, without a call.
            if (
                isinstance(value, _MAY_BE_MASKED)
                and value.__class__ is not np.ndarray
                and name in self.own
            ):
                refuse_masked(value, name)
            kind = self.by_name.get(name)
            if kind is None:
                continue
            fits, called = kind
            if not fits(value):
                raise TypeError(f"{name} must be {called}, not {type(value).__name__}")


def _kind_of(annotation: Any) -> tuple[Check, str] | None:
    if not isinstance(annotation, str):
        return None
    plain, bar, rest = annotation.partition(" | ")
    # What may be of several kinds, a function tells apart by itself.
    if bar and rest != "None":
        return None
    found = _KINDS.get(plain.partition("[")[0])
    if found is None or not bar:
        return found
    fits, called = found
    return (lambda value: value is None or fits(value)), f"{called}, or None"
