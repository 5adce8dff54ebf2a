"""Data types, and the data type functions of the array API standard."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import (
    bool_ as bool,
    complex64,
    complex128,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
)

from asyncexec.array.array import Array
from asyncexec.array.dtypes import KINDS
from asyncexec.array.wrapping import as_array


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatingLimits:
    """The limits of a floating type; of a complex one, those of its real parts.

    Attributes
    ----------
    bits : int
        Bits that an element takes.
    eps : float
        The distance of 1 to the next larger number.
    max, min : float
        The largest and the smallest finite number.
    smallest_normal : float
        The smallest positive number of full precision.
    dtype : dtype
        The (real) type.
    """

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: np.dtype[Any]


def astype(
    x: Array, dtype: Any, /, *, copy: builtins.bool = True, device: str | None = None
) -> Array:
    """Return ``x`` with elements of ``dtype``; with ``copy=False`` it may be ``x`` itself, where the type is the same.

    >>> xp.astype(xp.asarray([1.7, -1.7]), xp.int32).compute()
    array([ 1, -1], dtype=int32)

    Raises
    ------
    ValueError
        For a device other than ``"cpu"``.
    """
    return as_array(x, "astype").astype(dtype, copy=copy, device=device)


def can_cast(from_: Any, to: Any, /) -> builtins.bool:
    """Return whether a type (or that of an array) becomes another without loss, by type promotion.

    A Python scalar is weak: it becomes each type of its kind that has its value, and of the kinds above.

    >>> xp.can_cast(xp.int32, xp.float64), xp.can_cast(xp.int64, xp.int32), xp.can_cast(300, xp.int8)
    (True, False, False)
    """
    wanted = np.dtype(to)
    if isinstance(from_, int | float | complex) and not isinstance(from_, np.generic):
        if np.result_type(wanted, from_) != wanted:
            return False
        return wanted.kind not in "iu" or np.iinfo(wanted).min <= from_ <= np.iinfo(wanted).max  # type: ignore[operator]  # a complex number is no integer
    return np.can_cast(_type_of(from_), wanted)


def finfo(type: Any, /) -> FloatingLimits:
    """Return the limits of a floating type, or of that of an array.

    >>> xp.finfo(xp.float32).max
    3.4028234663852886e+38
    >>> xp.finfo(xp.ones(2, dtype=xp.complex64)).bits
    32

    Raises
    ------
    ValueError
        If it is no floating or complex type.
    """
    found = np.finfo(_type_of(type))
    return FloatingLimits(
        bits=found.bits,
        eps=float(found.eps),
        max=float(found.max),
        min=float(found.min),
        smallest_normal=float(found.smallest_normal),
        dtype=np.dtype(found.dtype),
    )


def iinfo(type: Any, /) -> np.iinfo[Any]:
    """Return the limits of an integer type.

    >>> xp.iinfo(xp.int16).max
    32767
    """
    return np.iinfo(_type_of(type))


def isdtype(dtype: Any, kind: Any) -> builtins.bool:
    """Return whether ``dtype`` is of a kind: a type, a name such as ``"real floating"``, or a tuple of these.

    >>> xp.isdtype(xp.float32, "real floating"), xp.isdtype(xp.int8, ("bool", xp.float64))
    (True, False)

    Raises
    ------
    ValueError
        If there is no such kind.
    """
    if isinstance(kind, tuple):
        return any(isdtype(dtype, each) for each in kind)
    name = np.dtype(dtype).name
    if isinstance(kind, str):
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is no kind of element type: use one of {', '.join(KINDS)}")
        return name in KINDS[kind]
    return builtins.bool(name == np.dtype(kind).name)


def result_type(*arrays_and_dtypes: Any) -> np.dtype[Any]:
    """Return the type that these arrays, types and scalars have in common; Python scalars are weak.

    >>> xp.result_type(xp.ones(3, dtype=xp.float32), 1.5)
    dtype('float32')
    >>> xp.result_type(xp.int16, xp.uint16)
    dtype('int32')
    """
    return np.result_type(*map(_type_of, arrays_and_dtypes))


def _type_of(value: Any) -> Any:
    return value.dtype if isinstance(value, Array) else value


__all__ = [
    "astype",
    "bool",
    "can_cast",
    "complex64",
    "complex128",
    "finfo",
    "float32",
    "float64",
    "iinfo",
    "int8",
    "int16",
    "int32",
    "int64",
    "isdtype",
    "result_type",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
]
