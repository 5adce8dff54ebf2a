"""Integers among the arguments of array functions: those of NumPy are integers, booleans and fractions are none."""

from __future__ import annotations

from typing import Any

from asyncexec.plan.box import Shape
from asyncexec.plan.given_numbers import as_whole_number


def integer(value: Any, what: str) -> int:
    """Return ``value``, called ``what`` in messages, as Python's integer.

    Raises
    ------
    TypeError
        If it is none.
    """
    number = as_whole_number(value)
    if number is None:
        raise TypeError(f"{what} must be an integer, not {value!r}")
    return number


def integers(value: Any, what: str) -> tuple[int, ...]:
    """Return one integer, or each of several, as Python's.

    Raises
    ------
    TypeError
        If one is none.
    """
    number = as_whole_number(value)
    if number is not None:
        return (number,)
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__") or not _has_items(value):
        raise TypeError(f"{what} must be an integer or several, not {value!r}")
    return tuple(integer(each, what) for each in value)


def _has_items(value: Any) -> bool:
    # An array without axes has a method for it, and is not iterated over.
    return getattr(value, "shape", (1,)) != ()


def as_shape(value: Any) -> Shape:
    """Return lengths of axes: one integer, or several.

    Raises
    ------
    TypeError
        If one is no integer.
    ValueError
        If one is negative.
    """
    lengths = integers(value, "a length of a shape")
    if min(lengths, default=0) < 0:
        raise ValueError(f"shape {value!r} cannot be: lengths are integers from 0")
    return lengths
