"""The expression behind an array, and the chunks that it has: its own, or such as have one length along each axis."""

from __future__ import annotations

from asyncexec.array import build, chunks as chunking
from asyncexec.array.nodes import Node
from asyncexec.plan.lengths import each_length


class Chunked:
    """The chunks of an array."""

    __slots__ = ("_node", "_regular")

    _node: Node
    _regular: Node | None

    @property
    def own_node(self) -> Node:
        """The expression behind it, in its own chunks, whose lengths may differ along an axis."""
        return self._node

    @property
    def node(self) -> Node:
        """The expression behind it, in chunks of one length along each axis.

        Functions that count chunks by their length take it in this form: they read what is there in windows.
        """
        if self._regular is None:
            self._regular = build.in_regular_chunks(self._node)
        return self._regular

    @property
    def chunks(self) -> tuple[int | tuple[int, ...], ...]:
        """Chunk length along each axis (the last chunk may be shorter), or the length of each chunk if they differ."""
        return chunking.listed_chunks(self._node.chunks)

    @property
    def chunksizes(self) -> tuple[tuple[int, ...], ...]:
        """Length of each chunk along each axis, as Dask has them in ``chunks``.

        >>> xp.ones((5, 8), chunks=(2, (3, 5))).chunksizes
        ((2, 2, 1), (3, 5))
        """
        along = zip(self._node.shape, self._node.chunks, strict=True)
        return tuple(each_length(n, c) for n, c in along)

    @property
    def numblocks(self) -> tuple[int, ...]:
        """Number of chunks along each axis."""
        return chunking.grid(self._node.shape, self._node.chunks)
