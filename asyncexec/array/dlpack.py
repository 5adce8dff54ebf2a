"""Arrays of what other libraries hold in memory, by way of DLPack."""

from __future__ import annotations

from typing import Any

import numpy as np

from asyncexec.array.array import Array
from asyncexec.array.chunks import ChunksLike
from asyncexec.array.from_memory import asarray
from asyncexec.array.operands import check_device
from asyncexec.array.spec import Spec


def from_dlpack(
    x: Any,
    /,
    *,
    device: str | None = None,
    copy: bool | None = None,
    chunks: ChunksLike = "auto",
    spec: Spec | None = None,
) -> Array:
    """Return an array of the elements of ``x``, which has the methods of DLPack, such as a tensor of PyTorch.

    A lazy array passes through, and is not computed. The elements of others are copied, so that changing them later
    changes nothing here; with ``copy=False`` they are shared, and must stay as they are.

    >>> xp.from_dlpack(np.arange(4.0), chunks=2)
    <asyncexec.Array shape=(4,) dtype=float64 chunks=(2,) (32 B)>

    Raises
    ------
    BufferError
        If the elements are not in the CPU's memory.
    ValueError
        For a device other than ``"cpu"``.
    TypeError
        If ``x`` has no methods of DLPack, or elements of an unsupported type.
    """
    check_device(device)
    if isinstance(x, Array):
        return asarray(x, copy=copy, chunks=chunks, spec=spec)
    if not hasattr(x, "__dlpack__"):
        raise TypeError(
            f"from_dlpack() takes an object with DLPack's methods, and got {type(x).__name__}: use asarray()"
        )
    return asarray(np.from_dlpack(x), copy=copy, chunks=chunks, spec=spec)
