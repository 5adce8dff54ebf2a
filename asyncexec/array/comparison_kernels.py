"""The kernels of comparisons and of the replacement of NaN, which go slab by slab through a block.

NumPy's functions make arrays of floats and of booleans on the way; of a slab these are small compared with the result.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from asyncexec.array.slab_lengths import slabs_of


def close(
    first: NDArray[Any], second: NDArray[Any], rtol: Any, atol: Any, *, equal_nan: bool
) -> NDArray[np.bool_]:
    """Return whether elements are close; each tolerance is a number, or an array that broadcasts."""
    # Numbers stay what they are: as arrays they would count for the type in which NumPy compares.
    pair = (first, second, *(each for each in (rtol, atol) if np.ndim(each)))
    x1, x2, *tolerances = np.broadcast_arrays(*pair)
    found = np.empty(x1.shape, np.bool_)
    for slab in slabs_of(found.shape):
        parts = iter(tolerances)
        relative, absolute = (next(parts)[slab] if np.ndim(t) else t for t in (rtol, atol))
        found[slab] = np.isclose(x1[slab], x2[slab], relative, absolute, equal_nan=equal_nan)
    return found


def same(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.bool_]:
    """Return whether elements are equal, or both NaN."""
    return np.asarray((first == second) | ((first != first) & (second != second)))  # noqa: PLR0124 - NaN is not itself


def numbers_for_nan(block: NDArray[Any], **keywords: Any) -> NDArray[Any]:
    """Return ``block`` with NaN and infinities replaced; ``keywords`` are NumPy's."""
    found = np.empty_like(block)
    for slab in slabs_of(found.shape):
        found[slab] = np.nan_to_num(block[slab], **keywords)
    return found
