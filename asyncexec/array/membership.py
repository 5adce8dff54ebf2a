"""Membership among the elements of another array: :func:`isin`, a set function of the array API standard."""

from __future__ import annotations

from functools import partial

import numpy as np

from asyncexec.array.array import Array
from asyncexec.array.chunk_tables import array_or_scalar, over_chunks
from asyncexec.array.operands import chunk_limit, common_spec
from asyncexec.array.reshaping import raveled
from asyncexec.array.search_kernels import IsAmong


def isin(x1: Array | complex, x2: Array | complex, /, *, invert: bool = False) -> Array:
    """Return where elements of ``x1`` are equal to one of ``x2``, as booleans of the shape of ``x1``.

    Each task compares a chunk of ``x1`` with a chunk of ``x2``, which may be as large as ``x1``; others merge that. NaN
    is equal to none.

    >>> xp.isin(xp.asarray([[1, 2], [3, 4]]), xp.asarray([4, 1])).compute()
    array([[ True, False],
           [False,  True]])

    Parameters
    ----------
    x1, x2 : Array or number
        At least one is an array; of any shapes.
    invert : bool
        Whether to return where elements are equal to none.

    Raises
    ------
    TypeError
        If both are numbers, or one is neither a number nor an array.
    """
    if not any(isinstance(x, Array | np.ndarray) for x in (x1, x2)):
        raise TypeError(
            f"isin() takes at least one array of asyncexec.array, and got {type(x1).__name__} and {type(x2).__name__}"
        )
    wanted, known = array_or_scalar(x1, x2, "isin"), array_or_scalar(x2, x1, "isin")
    spec = common_spec((wanted.own_spec, known.own_spec))
    limit = chunk_limit(spec)
    common = np.result_type(wanted.dtype, known.dtype)
    node = over_chunks(
        "isin",
        partial(IsAmong, common, bool(invert)),
        raveled(known.node, limit=limit),
        wanted.node,
        ufunc=np.logical_and if invert else np.logical_or,
        dtype=np.dtype(np.bool_),
        limit=limit,
        # The line converted, and sorted; for each element itself converted, its place, what is there, and the inverse.
        extra_of_line=common.itemsize * (1 + (known.dtype != common)),
        extra_of_element=common.itemsize * (1 + (wanted.dtype != common)) + 8 + 1,
    )
    return Array(node, spec)


__all__ = ["isin"]
