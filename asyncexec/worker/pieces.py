"""The pieces of a task whose kernel takes them one after another: each is read when the one before has been taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from asyncexec.plan.box import Index
    from asyncexec.plan.stage import TaskIO


class LoadedPieces:
    """Iterates over the pieces of a task with their inputs, of which it holds one piece at a time.

    Parameters
    ----------
    kernel : PiecewiseKernel
    io : TaskIO
    index : tuple of int
        That of the task.

    Attributes
    ----------
    read_bytes : int
        The bytes (not encoded) that were read so far.
    """

    def __init__(self, kernel: Any, io: TaskIO, index: Index) -> None:
        self.read_bytes = 0
        self._pieces = kernel.pieces(index)
        self._load = io.load
        self._announce: Callable[[Index], object] | None = getattr(io, "announce", None)

    def __iter__(self) -> Iterator[tuple[Index, tuple[Any, ...]]]:
        """Read one piece after another; the next one is announced, for its files to be fetched meanwhile."""
        announce = self._announce
        following = next(self._pieces, None)
        while (piece := following) is not None:
            inputs, read = self._load(piece)
            following = next(self._pieces, None)
            if announce is not None and following is not None:
                announce(following)
            self.read_bytes += read
            yield piece, inputs
            del inputs  # which the kernel has let go of, too


def in_pieces(kernel: Any, io: TaskIO) -> Callable[[Index], tuple[Any, int]]:
    """Return a function that computes a task piece by piece, and returns what it puts out and the bytes read."""

    def compute(index: Index) -> tuple[Any, int]:
        pieces = LoadedPieces(kernel, io, index)
        return kernel(index, pieces), pieces.read_bytes

    return compute
