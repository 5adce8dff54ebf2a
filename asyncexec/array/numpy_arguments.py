"""Arguments of NumPy's functions, sorted out for functions of the namespace that have other signatures."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

OTHER_NAMES = {"a_min": "min", "a_max": "max", "ddof": "correction"}
"""The namespace's names of arguments that NumPy calls otherwise."""

WITHOUT_EFFECT = frozenset(
    {"order", "subok", "kind", "overwrite_input", "copy", "optimize", "assume_unique", "like"}
)
"""Arguments that say how NumPy computes, and change no result."""

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_ANY_NUMBER = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundArguments:
    """The arguments of one call of a function of NumPy.

    Attributes
    ----------
    called : str
        The function, for messages.
    needed : mapping
        Those without a default, by NumPy's names and in its order.
    several : sequence
        Those of which there may be any number.
    named : mapping
        Others that are not NumPy's defaults.
    defaults : mapping
        NumPy's, of those that are not given.
    """

    called: str
    needed: Mapping[str, Any]
    several: Sequence[Any]
    named: Mapping[str, Any]
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def call(self, function: Callable[..., Any]) -> Any:
        """Return ``function`` of these arguments.

        Raises
        ------
        TypeError
            If it lacks one.
        """
        own = inspect.signature(function).parameters
        open_ended = any(p.kind is p.VAR_KEYWORD for p in own.values())
        positional: list[Any] = []
        by_name: dict[str, Any] = {}
        for name, value in self.needed.items():
            known = own.get(OTHER_NAMES.get(name, name), own.get(name))
            if known is not None and known.kind is known.KEYWORD_ONLY:
                by_name[known.name] = value
            else:
                positional.append(value)
        # What only NumPy has a default for, such as how many values a spacing has.
        lacking = {n: v for n, v in self.defaults.items() if n in own and _is_required(own[n])}
        for name, value in {**lacking, **self.named}.items():
            ours = name if name in own or OTHER_NAMES.get(name) not in own else OTHER_NAMES[name]
            if ours in own and own[ours].kind is inspect.Parameter.POSITIONAL_ONLY:
                positional.append(value)
            elif ours in own or open_ended:
                by_name[ours] = value
            elif name not in WITHOUT_EFFECT:
                raise TypeError(
                    f"{self.called}({name}=...) is not known for lazy arrays: leave it out, or compute before: "
                    f"{self.called}(x.compute(), {name}=...)"
                )
        return function(*positional, *self.several, **by_name)


def bind(
    func: Callable[..., Any], called: str, args: Sequence[Any], keywords: Mapping[str, Any]
) -> BoundArguments:
    """Return the arguments of a call of NumPy's ``func``, but for those that are its defaults.

    Raises
    ------
    TypeError
        If the result is to be written into an array that exists (``out=``).
    """
    try:
        signature = inspect.signature(func)
    except ValueError:  # Before NumPy 2.4, functions in C have none.
        return BoundArguments(
            called=called, needed={}, several=args, named=_checked(called, keywords)
        )
    needed: dict[str, Any] = {}
    several: list[Any] = []
    named: dict[str, Any] = {}
    for name, value in signature.bind(*args, **keywords).arguments.items():
        parameter = signature.parameters[name]
        if parameter.kind is parameter.VAR_POSITIONAL:
            several.extend(value)
        elif parameter.kind is parameter.VAR_KEYWORD:
            named |= value
        elif parameter.default is parameter.empty and parameter.kind in _POSITIONAL:
            needed[name] = value
        elif not _same(value, parameter.default):
            named[name] = value
    defaults = {
        name: parameter.default
        for name, parameter in signature.parameters.items()
        if parameter.default is not parameter.empty
    }
    return BoundArguments(
        called=called,
        needed=needed,
        several=several,
        named=_checked(called, named),
        defaults=defaults,
    )


def _is_required(parameter: inspect.Parameter) -> bool:
    return parameter.default is parameter.empty and parameter.kind not in _ANY_NUMBER


def _checked(called: str, named: Mapping[str, Any]) -> Mapping[str, Any]:
    if named.get("out") is not None:
        raise TypeError(
            f"{called}(out=...) would change an array in place: write y = {called}(...), and compute or store y"
        )
    return named


def _same(value: Any, default: Any) -> bool:
    """Return True if an argument is its default, without comparing elements."""
    plain = value is None or isinstance(value, bool | int | float | str)
    return (
        value is default
        or (plain and type(value) is type(default) and value == default)
        or (value is getattr(np, "_NoValue", None))
    )
