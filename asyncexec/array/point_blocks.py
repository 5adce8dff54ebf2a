"""The node that takes single points of an array: a few windows of it a task, wherever they lie."""

from __future__ import annotations

from dataclasses import dataclass, field

from asyncexec.array.index_kernels import TakePoints
from asyncexec.array.kernels import BlockFunction
from asyncexec.array.nodes import DType, Node
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.access_map import AccessMap
from asyncexec.plan.box import Shape
from asyncexec.plan.positions import Listing


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PointBlocks:
    """Pieces of ``chunks[0]`` points each, of one window of the first axes of an array.

    Attributes
    ----------
    inputs : (Node, Node)
        The array, and a row of numbers for each point: its places within the window, along each of the first axes.
    windows : tuple of Listing
        For each of these axes, the elements of the window of each piece, one piece after another.
    widths : tuple of int
        Length of a window along each of them.
    """

    operation: str
    inputs: tuple[Node, Node]
    windows: tuple[Listing, ...]
    widths: Shape
    shape: Shape
    chunks: Shape
    dtype: DType
    inline: bool = field(default=False, init=False)
    aliases: bool = field(default=False, init=False)

    def accesses(self, out: AccessMap) -> tuple[AccessMap | None, ...]:
        piece = out.axes[0].block_number(self.chunks[0], self.shape[0])
        axes = [self._window(piece, axis, listed) for axis, listed in enumerate(self.windows)]
        whole = AxisAccess.constant(0, len(self.windows))
        return (
            AccessMap((*axes, *out.axes[1:]), out.guards),
            AccessMap((out.axes[0], whole), out.guards),
        )

    def accepts(self, out: AccessMap, grid: Shape) -> bool:
        return out.once(grid) and out.axes[0].blocks(self.chunks[0], self.shape[0]) is not None

    def function(self, out: AccessMap) -> BlockFunction:
        return TakePoints()

    def working_bytes(self, out: AccessMap) -> int:
        # The numbers become indices of 64 bits.
        return 16 * out.axes[0].most * len(self.windows)

    def _window(self, piece: AxisAccess, axis: int, listed: Listing) -> AxisAccess:
        width, extent = self.widths[axis], self.inputs[0].shape[axis]
        if width == extent:
            return AxisAccess.constant(0, extent)
        found = piece.through(AxisAccess(0, width, 0, len(listed), 1, 0, listed))
        if found is None:
            raise ValueError(f"{piece!r} is not one piece a task")
        return found
