"""Element types: those that there are, and what becomes of them. NumPy 2 decides, the standard's rules included."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from operator import itemgetter
from typing import Any

import numpy as np

from asyncexec.array.supported_types import reason_against
from asyncexec.plan.masked import unmasked
from asyncexec.storage.chunks.element_types import native_dtype

KINDS: dict[str, tuple[str, ...]] = {
    "bool": ("bool",),
    "signed integer": ("int8", "int16", "int32", "int64"),
    "unsigned integer": ("uint8", "uint16", "uint32", "uint64"),
    "real floating": ("float16", "float32", "float64"),
    "complex floating": ("complex64", "complex128"),
}
KINDS["integral"] = KINDS["signed integer"] + KINDS["unsigned integer"]
KINDS["numeric"] = KINDS["integral"] + KINDS["real floating"] + KINDS["complex floating"]


def checked_dtype(dtype: Any, *, what: str = "the array") -> np.dtype[Any]:
    """Return ``dtype`` in this machine's byte order; text and bytes of no length get room for one character.

    Raises
    ------
    TypeError
        If it is no boolean, integer, floating, complex, time or text type, and no record of these.
    """
    found = np.dtype(dtype)
    if found.itemsize == 0 and found.kind in "SU":
        found = np.dtype(f"{found.kind}1")
    reason = reason_against(found)
    if reason:
        raise TypeError(f"{what} has elements of type {found}, which are not supported: {reason}")
    return native_dtype(found)


def as_text_operand(value: str | bytes, dtype: np.dtype[Any]) -> Any:
    """Return text that stands for an element of ``dtype``: a date where these are dates.

    Returns
    -------
    str, bytes, datetime64 or NotImplemented
        NotImplemented for elements that are no text and no times.

    Raises
    ------
    ValueError
        If it is no date.
    """
    if dtype.kind == "M" and isinstance(value, str):
        return np.datetime64(value)
    return value if dtype.kind in "SUT" else NotImplemented


def field_of(dtype: np.dtype[Any], name: str) -> Callable[[Any], Any]:
    """Return the function that returns the field ``name`` of records of ``dtype``.

    Raises
    ------
    IndexError
        If there is no such field.
    """
    if name not in (dtype.names or ()):
        fields = (
            f"the fields are {', '.join(dtype.names)}" if dtype.names else "there are no fields"
        )
        raise IndexError(f"elements of type {dtype} have no field {name!r}: {fields}")
    return itemgetter(name)


def zero_of(dtype: np.dtype[Any]) -> Any:
    """Return the element that an array of ``dtype`` has where nothing else was said: 0, or text without characters."""
    return 0 if dtype.kind in "biufc" else np.zeros((), dtype)[()]


def as_element(value: Any, dtype: np.dtype[Any], *, what: str) -> Any:
    """Return one ``value`` as an element of ``dtype``; what cannot be one is refused rather than wrapped around.

    Fractions are cut off for integer types, and what is beyond a floating type is infinite, with NumPy's warning.

    Raises
    ------
    OverflowError
        If the value is out of the range of an integer type.
    ValueError
        If it is no single value, or NaN for an integer type.
    TypeError
        If it is complex, and the type is real, or masked.
    """
    given = np.asarray(unmasked(value, what))
    if given.ndim:
        raise ValueError(f"{what} must be one value, and has the shape {given.shape}")
    if dtype.kind not in "biufc":
        return given.astype(dtype)[()]
    plain = given.item()
    if given.dtype.kind == "c" and dtype.kind not in "cb":
        raise TypeError(f"{what} {plain!r} is complex, and {dtype} is not: use its real part")
    if dtype.kind not in "iu":
        # Of NumPy's integers beyond 64 bits, the conversion is Python's.
        return np.asarray(plain).astype(dtype).item()
    if given.dtype.kind == "f" and not math.isfinite(plain):
        refused = ValueError if math.isnan(plain) else OverflowError
        raise refused(f"{what} {plain!r} cannot be an integer, and the type is {dtype}")
    limits = np.iinfo(dtype)
    if not limits.min <= int(plain) <= limits.max:
        raise OverflowError(
            f"{what} {plain!r} is out of range for {dtype}, which holds {limits.min} to {limits.max}: use another dtype"
        )
    return int(plain)


def warn_of_discarded(dtype: np.dtype[Any], wanted: np.dtype[Any]) -> None:
    """Warn, as NumPy does, where elements lose their imaginary part by becoming ``wanted``."""
    if dtype.kind == "c" and wanted.kind in "iuf":
        warnings.warn(
            f"elements of {dtype} lose their imaginary part by becoming {wanted}: take real() of them before",
            np.exceptions.ComplexWarning,
            stacklevel=2,
        )


def check_numbers(operation: str, dtype: np.dtype[Any]) -> None:
    """Check that elements of ``dtype`` are booleans or numbers, which alone ``operation`` takes.

    Raises
    ------
    TypeError
        If they are not.
    """
    if dtype.kind not in "biufc":
        raise TypeError(
            f"{operation}() does not take elements of type {dtype}: convert them before, such as by .astype('int64')"
        )


def sum_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the element type of a sum or product: at least the default integer; floating types stay."""
    if dtype.kind == "u":
        return np.result_type(dtype, np.uint64)
    if dtype.kind in "bi":
        return np.result_type(dtype, np.int64)
    return dtype


def accumulator(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return what sums to ``dtype`` are kept in on the way: double precision for anything floating."""
    if dtype.kind == "f":
        return np.dtype(np.float64)
    if dtype.kind == "c":
        return np.dtype(np.complex128)
    return dtype


def floating(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the element type of a mean: floating and complex types and durations stay, others become float64."""
    return dtype if dtype.kind in "fcm" else np.dtype(np.float64)


def real_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type of the real parts of elements of ``dtype``, which is itself unless it is complex."""
    return np.real(np.empty(0, dtype)).dtype


def with_length(dtype: np.dtype[Any], wanted: np.dtype[Any]) -> np.dtype[Any]:
    """Return ``wanted``, of text and bytes without a length with the one that all elements of ``dtype`` fit into.

    Raises
    ------
    TypeError
        If their lengths are not known.
    """
    if wanted.itemsize or wanted.kind not in "SU":
        return wanted
    if dtype.kind == "T":
        raise TypeError(
            f"text of any length has no longest that is known: say a length, such as .astype('{wanted.kind}20')"
        )
    return np.empty(0, dtype).astype(wanted).dtype
