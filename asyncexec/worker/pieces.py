"""The pieces of a task whose kernel takes them one after another: each is read when the one before has been taken."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

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

    def __iter__(self) -> Iterator[tuple[Index, tuple[Any, ...]]]:
        """Read one piece after another."""
        for piece in self._pieces:
            inputs, read = self._load(piece)
            self.read_bytes += read
            yield piece, inputs
            del inputs  # which the kernel has let go of, too


def in_pieces(kernel: Any, io: TaskIO) -> Callable[[Index], tuple[Any, int]]:
    """Return a function that computes a task piece by piece, and returns what it puts out and the bytes read."""

    def compute(index: Index) -> tuple[Any, int]:
        pieces = LoadedPieces(kernel, io, index)
        return kernel(index, pieces), pieces.read_bytes

    return compute


async def taken_in_turn(
    kernel: Any,
    index: Index,
    load: Callable[[Index], Awaitable[tuple[tuple[Any, ...], int]]],
    call: Callable[[Callable[[], Any]], Awaitable[Any]],
) -> tuple[Any, int, float]:
    """Return what a task puts out, the bytes that it has read, and the seconds in which it has computed.

    ``kernel`` is a :class:`~asyncexec.plan.stage.PiecewiseKernel`; ``call`` computes, while others load.
    """
    held: Any = None
    total, computing = 0, 0.0
    for piece in kernel.pieces(index):
        inputs, read = await load(piece)
        total += read
        taking = partial(kernel.take, held, piece, *inputs)
        del inputs
        held = None
        began = time.perf_counter()
        held = await call(taking)
        computing += time.perf_counter() - began
        del taking
    return await call(partial(kernel.finish, index, held)), total, computing
