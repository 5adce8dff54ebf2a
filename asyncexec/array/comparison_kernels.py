"""The kernels of comparisons and of the replacement of NaN, which go slab by slab through a block.

NumPy's functions make arrays of floats and of booleans on the way; of a slab these are small compared with the result.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from asyncexec.array.slab_lengths import slabs_of


def close(first: NDArray[Any], second: NDArray[Any], **keywords: Any) -> NDArray[np.bool_]:
    """Return whether elements are close; ``keywords`` are NumPy's."""
    pair = np.broadcast_arrays(first, second)
    found = np.empty(pair[0].shape, np.bool_)
    for slab in slabs_of(found.shape):
        found[slab] = np.isclose(pair[0][slab], pair[1][slab], **keywords)
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
