"""Element types of arrays that are stored: names that NumPy's types are made of again, and the value of nothing."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np

from asyncexec.errors import OptionError

ELEMENT_KINDS = "biufcmMSUVT"
"""NumPy's kinds of element types that can be stored: numbers, times, text, bytes, and records of these."""


def native_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return ``dtype`` in this machine's byte order; text of any length has none."""
    return dtype if dtype.kind == "T" else dtype.newbyteorder("=")


def dtype_name(dtype: np.dtype[Any]) -> str:
    """Return the name of ``dtype`` in the machine's byte order, which :func:`named_dtype` takes.

    >>> from asyncexec.storage.chunks.element_types import dtype_name
    >>> dtype_name(np.dtype(">f8")), dtype_name(np.dtype("M8[ns]"))
    ('float64', 'datetime64[ns]')
    >>> dtype_name(np.dtype([("x", "i2"), ("y", "f4")]))
    "[('x', '<i2'), ('y', '<f4')]"
    """
    native = native_dtype(dtype)
    if native.kind == "T":
        return "T"
    if native.names is not None:
        return repr(np.lib.format.dtype_to_descr(native))
    return native.str if native.kind in "SUV" else native.name


def named_dtype(name: str) -> np.dtype[Any]:
    """Return the element type of which :func:`dtype_name` returned ``name``."""
    if not name.startswith("["):
        return np.dtype(name)
    return np.dtype(np.lib.format.descr_to_dtype(ast.literal_eval(name)))


def fill_scalar(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return ``value`` (None for the type's zero) as a scalar that can be pickled and compared.

    Raises
    ------
    OptionError
        If it is no value of the type.
    """
    try:
        element = np.zeros((), dtype) if value is None else np.asarray(value, dtype)
    except (ValueError, TypeError, OverflowError) as error:
        raise OptionError(f"fill_value={value!r} is no value of type {dtype}: {error}") from None
    if element.ndim or (dtype.kind in "iu" and value is not None and element != value):
        raise OptionError(f"fill_value={value!r} is no value of type {dtype}: give a scalar of it")
    return (element.view("i8") if dtype.kind in "mM" else element).item()
