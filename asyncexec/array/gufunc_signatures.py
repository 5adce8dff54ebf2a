"""Signatures of generalized universal functions, such as ``"(i,j),(j)->(i)"``, and the axes that they are about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from asyncexec.array.integers import integer, integers
from asyncexec.errors import OptionError

_CORE = r"\(\s*(?:\w+\s*(?:,\s*\w+\s*)*,?)?\s*\)"
_LIST = rf"\s*{_CORE}\s*(?:,\s*{_CORE}\s*)*"
_INPUTS = re.compile(rf"^(?:{_LIST})?$")
_OUTPUTS = re.compile(rf"^{_LIST},?\s*$")

type Cores = tuple[tuple[str, ...], ...]
"""The names of core dimensions, for each array."""


@dataclass(frozen=True, slots=True)
class GufuncSignature:
    """The core dimensions of a function's arguments and results.

    Attributes
    ----------
    inputs, outputs : tuple of tuple of str
    several : bool
        Whether the function returns a tuple.
    """

    inputs: Cores
    outputs: Cores
    several: bool

    @classmethod
    def parse(cls, text: str) -> GufuncSignature:
        """Return the signature that ``text`` says.

        Raises
        ------
        OptionError
            If it is none.
        TypeError
            If it is no text.
        """
        if not isinstance(text, str):
            raise TypeError(
                f"a signature is text such as '(i,j),(j)->(i)', not {type(text).__name__}"
            )
        given, arrow, returned = text.partition("->")
        if not (arrow and _INPUTS.match(given) and _OUTPUTS.match(returned)):
            raise OptionError(
                f"{text!r} is no signature: write names of core dimensions in parentheses, such as '(i,j),(j)->(i)'"
            )
        outputs = _cores(returned)
        several = len(outputs) > 1 or returned.rstrip().endswith(",")
        return cls(_cores(given), outputs, several)


def _cores(text: str) -> Cores:
    return tuple(tuple(re.findall(r"\w+", each)) for each in re.findall(r"\(([^)]*)\)", text))


def core_axes(
    signature: GufuncSignature, axes: Any, axis: int | None, *, keepdims: bool
) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """Return the axes of the core dimensions of each argument and each result, as NumPy's ``axes`` and ``axis`` say.

    Raises
    ------
    OptionError
        If they do not fit the signature.
    """
    cores = (*signature.inputs, *signature.outputs)
    if axes is not None and axis is not None:
        raise OptionError("apply_gufunc takes axes= or axis=, not both")
    counts = {len(core) for core in signature.inputs if core}
    if keepdims and (len(set(map(len, signature.inputs))) > 1 or any(signature.outputs)):
        raise OptionError(
            "keepdims is for functions whose arguments have the same number of core dimensions, and results none"
        )
    found: list[tuple[int, ...]]
    if axis is not None:
        names = {name for core in cores for name in core}
        if counts != {1} or len(names) != 1:
            raise OptionError("axis= is for functions with one core dimension; use axes=")
        found = [(integer(axis, "axis"),) if core else () for core in cores]
    elif axes is not None:
        found = _listed(axes, cores, len(signature.inputs))
    else:
        found = [tuple(range(-len(core), 0)) for core in cores]
    count = len(signature.inputs)
    if keepdims:
        given = _listed(axes, cores, count)[count:] if axes is not None else []
        found[count:] = (
            [a or found[0] for a in given] if given else [found[0]] * len(signature.outputs)
        )
    return found[:count], found[count:]


def _listed(axes: Any, cores: Sequence[tuple[str, ...]], inputs: int) -> list[tuple[int, ...]]:
    given = [integers(each, "an axis of axes") for each in axes]
    if len(given) == inputs and not any(cores[inputs:]):
        given += [()] * (len(cores) - inputs)
    lengths = [len(core) for core in cores]
    if len(given) != len(cores) or any(
        len(a) != n for a, n in zip(given[:inputs], lengths, strict=False)
    ):
        raise OptionError(
            f"axes={axes!r} must have, for each argument and each result, as many axes as it has core "
            f"dimensions: {lengths}"
        )
    return given
