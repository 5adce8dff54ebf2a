"""The merging of what a piece reads into the partial result of those before it, without a partial result of its own.

That would be as large as the block where little is reduced, or larger: it would be made in fresh memory, read once and
let go, for each piece. Here groups are merged one at a time, and other reductions slab by slab, within the processor's
cache. No bit differs from what merging whole partial results makes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from asyncexec.array.kernels import FusedKernel, ReduceBlocks, TakeOutput
from asyncexec.array.reducers import Axes, Part, Reducer
from asyncexec.array.slab_lengths import LEAST_ROW, kept_axes, slabs

LEAST_BYTES = 256 * 1024
"""From this size of a partial result on, none is made for each piece: smaller ones stay in the cache."""

_KINDS = frozenset("biuf")
"""Elements whose reduction does not depend on where a block is cut: NumPy multiplies complex ones in several ways."""

_SLAB_BYTES = 256 * 1024
"""The most of a block that is taken at a time, counting eight bytes an element."""
_ITEMSIZE = 8

type Merge = Callable[[tuple[Part, ...], Sequence[Any], tuple[int, int]], None]
"""Merges what is made of a piece before it is reduced into a partial result; last are the elements of the two."""


def direct_merge(kernel: FusedKernel, reducer: Reducer) -> tuple[FusedKernel, Merge] | None:
    """Return what is done for a piece before it is reduced, and what merges that; None where there is no such way.

    ``kernel`` makes the partial result of one reduction, which ``reducer`` merges.
    """
    step = _reducing_step(kernel)
    if step is None or not reducer.adds_in_place:
        return None
    function: Any = kernel.steps[step].function
    merge: Merge
    if isinstance(function, ReduceBlocks):
        if not function.first or function.last:
            return None
        merge = partial(_merge_in_slabs, reducer, function.axes)
    else:
        start = getattr(function, "function", None)
        if not getattr(start, "merges_blocks", False):
            return None
        merge = partial(_merge_groups, start)
    head = replace(kernel, steps=kernel.steps[:step], results=kernel.steps[step].arguments)
    return head, merge


def _reducing_step(kernel: FusedKernel) -> int | None:
    """Return the number of the step that makes all that ``kernel`` puts out, if there is one at its end."""
    steps, results, first = kernel.steps, kernel.results, len(kernel.inputs)
    if not steps:
        return None
    if not isinstance(steps[-1].function, TakeOutput):
        return len(steps) - 1 if results == (first + len(steps) - 1,) else None
    step = len(steps) - 1 - len(results)
    taken = [(each.function, each.arguments) for each in steps[step + 1 :]]
    in_order = [(TakeOutput(number), (first + step,)) for number in range(len(results))]
    alike = results == tuple(range(first + step + 1, first + len(steps)))
    return step if step >= 0 and alike and taken == in_order else None


def _merge_groups(
    start: Any, held: tuple[Part, ...], values: Sequence[Any], _counts: tuple[int, int]
) -> None:
    start.merge_into(held, *map(np.asarray, values))


def _merge_in_slabs(
    reducer: Reducer,
    axes: Axes,
    held: tuple[Part, ...],
    values: Sequence[Any],
    counts: tuple[int, int],
) -> None:
    block = np.asarray(values[0])
    origin = (0,) * block.ndim
    for slab in _slabs(block, axes):
        parts = reducer.start(block[slab], axes, origin)
        reducer.add(tuple([part[slab] for part in held]), parts, axes, counts)
        del parts  # before those of the next slab are made


def _slabs(block: Part, axes: Axes) -> Iterator[tuple[Any, ...]]:
    """Iterate over the parts of a block that are reduced each by itself; over all of it where rows are reduced."""
    shape = block.shape
    keeps_rows = block.ndim - 1 not in axes and shape[-1:] >= (LEAST_ROW,)
    cut = None
    if keeps_rows and block.dtype.kind in _KINDS and block.flags.c_contiguous:
        cut = next(kept_axes(shape, axes, _ITEMSIZE, _SLAB_BYTES), None)
    if cut is None:
        yield (...,)
        return
    axis, width = cut
    for slab in slabs(shape[axis], width):
        yield (*(slice(None),) * axis, slab, ...)
