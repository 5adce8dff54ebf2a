"""Windows that slide over an array: views of its chunks and of the elements after them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from asyncexec.array import build, chunks as chunking
from asyncexec.array.array import Array
from asyncexec.array.integers import integers
from asyncexec.array.kernels import BlockFunction
from asyncexec.array.nodes import DType, Node
from asyncexec.array.operands import chunk_limit
from asyncexec.array.window_kernels import ShowWindows
from asyncexec.array.wrapping import as_array
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.access_map import AccessMap
from asyncexec.plan.box import Shape
from asyncexec.plan.overlap import Overlap


def sliding_window_view(
    x: Array, /, window_shape: int | Sequence[int], axis: int | Sequence[int] | None = None
) -> Array:
    """Return the windows of ``window_shape`` at every place of ``x``, along new axes at the end.

    Each window axis is one chunk. A task reads its chunk and what its windows reach beyond, and holds that alone:
    windows are views of it, and reducing them needs no more. Chunks are shorter where all windows of one, if something
    computed them, would be beyond the size that "auto" aims at.

    >>> x = xp.arange(6.0, chunks=2)
    >>> windows = xp.sliding_window_view(x, 3)
    >>> windows.compute()
    array([[0., 1., 2.],
           [1., 2., 3.],
           [2., 3., 4.],
           [3., 4., 5.]])
    >>> xp.mean(windows, axis=-1).compute()
    array([1., 2., 3., 4.])

    Parameters
    ----------
    x : Array
    window_shape : int or tuple of int
        One length for each of ``axis``, in elements.
    axis : int or tuple of int, optional
        The axes that windows slide along, which may come several times; by default all, once each.

    Raises
    ------
    ValueError
        If a window is longer than its axis, or there are not as many lengths as axes.
    TypeError
        If the elements are text of any length.
    """
    array = as_array(x, "sliding_window_view")
    if array.dtype.kind == "T":
        raise TypeError(
            "sliding_window_view() does not take text of any length, of which NumPy has no windows: convert it before, "
            "such as by .astype('U20')"
        )
    lengths = integers(window_shape, "window_shape")
    given = tuple(range(array.ndim)) if axis is None else integers(axis, "axis")
    axes = tuple(build.normalized_axis(a, array.ndim) for a in given)
    if len(lengths) != len(axes):
        raise ValueError(f"window_shape {lengths} must have one length for each of the axes {axes}")
    if min(lengths, default=1) < 1:
        raise ValueError(f"window_shape {lengths} must be of lengths from 1")
    outer = list(array.shape)
    for a, length in zip(axes, lengths, strict=True):
        outer[a] -= length - 1
        if outer[a] < 1:
            raise ValueError(
                f"a window of {length} elements is longer than axis {a} of an array of shape {array.shape}"
            )
    if not lengths:
        return array
    limit = max(chunk_limit(array.own_spec) // math.prod(lengths), 1)
    clipped = chunking.clipped(array.node.chunks, tuple(outer))
    own = chunking.shortened(clipped, tuple(outer), array.itemsize, limit)
    node = Windows(
        inputs=(array.node,),
        axes=axes,
        lengths=lengths,
        shape=(*outer, *lengths),
        chunks=(*own, *lengths),
    )
    return Array(node, array.own_spec)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Windows:
    """Windows of ``lengths`` along ``axes`` of its input, as views."""

    inputs: tuple[Node]
    axes: tuple[int, ...]
    lengths: tuple[int, ...]
    shape: Shape
    chunks: Shape
    operation: str = "sliding_window_view"
    inline: bool = field(default=True, init=False)
    aliases: bool = field(default=True, init=False)

    @property
    def dtype(self) -> DType:
        return self.inputs[0].dtype

    def accesses(self, out: AccessMap) -> tuple[AccessMap | None, ...]:
        found = self._read(out)
        if found is None:
            raise ValueError(f"{self.operation} cannot be computed for {out!r} on the way")
        return (found,)

    def accepts(self, out: AccessMap, grid: Shape) -> bool:
        return self._read(out) is not None

    def function(self, out: AccessMap) -> BlockFunction:
        return ShowWindows(axes=self.axes, lengths=self.lengths, access=out)

    def working_bytes(self, out: AccessMap) -> int:
        return 0

    def _read(self, out: AccessMap) -> AccessMap | None:
        ndim = len(self.inputs[0].shape)
        axes: list[AxisAccess] = []
        for p, n in enumerate(self.inputs[0].shape):
            reach = sum(w - 1 for a, w in zip(self.axes, self.lengths, strict=True) if a == p)
            along = out.axes[p]
            found = along.around(Overlap(0, reach, 0, n)) if reach else along
            if found is None or (reach and along.via is not None):
                return None
            axes.append(found)
        whole = zip(out.axes[ndim:], self.lengths, strict=True)
        if any(a.positions is not None or (a.via is not None) for a, _ in whole):
            return None
        return AccessMap(tuple(axes), out.guards)
