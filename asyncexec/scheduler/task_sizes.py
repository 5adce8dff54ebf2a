"""How much a task has to do beside the others of its stage, where chunks differ: those at the edge are smaller.

Durations are compared as if every task were a whole one, so that an edge does not pass for fast, nor a whole chunk
among many edges for slow. A task's bytes are known in closed form before it runs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from asyncexec.plan.box import unravel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncexec.backends.contract import Program
    from asyncexec.plan.box import Index, Shape

LEAST, MOST = 0.5, 2.0
"""Beyond these, sizes are not believed: what a task costs whatever it reads is then most of its time."""

_MOST_KNOWN = 100_000


@runtime_checkable
class SizedIO(Protocol):
    """What a :class:`~asyncexec.plan.stage.TaskIO` may say besides."""

    def nbytes(self, index: Index) -> int:
        """Return how many bytes (not encoded) the task reads and writes."""
        ...


class TaskSizes:
    """The sizes of one stage's tasks, as shares of a whole one's.

    Parameters
    ----------
    io : SizedIO
    shape : tuple of int
        The stage's index space.
    whole_bytes : int
        What a whole task reads and writes.
    """

    def __init__(self, io: SizedIO, shape: Shape, whole_bytes: int) -> None:
        self._io = io
        self._shape = shape
        self._whole_bytes = whole_bytes
        self._known: dict[int, float] = {}

    def of(self, task: int) -> float:
        """Return the share of a task, from ``LEAST`` to ``MOST``."""
        share = self._known.get(task)
        if share is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            nbytes = self._io.nbytes(unravel(task, self._shape))
            share = self._known[task] = self.of_bytes(nbytes)
        return share

    def of_bytes(self, nbytes: int) -> float:
        """Return the share of a task that has read and written so much."""
        return min(max(nbytes / self._whole_bytes, LEAST), MOST)


def sizes_of(program: Program) -> TaskSizes | None:
    """Return the sizes of a stage's tasks; None where all are the same, or nothing is known."""
    io, shape = program.io, program.shape
    if not isinstance(io, SizedIO) or not math.prod(shape):
        return None
    probed = {io.nbytes(index) for index in _probes(shape)}
    whole = max(probed)
    return TaskSizes(io, shape, whole) if whole > min(probed) else None


def _probes(shape: Shape) -> Iterator[Index]:
    """Iterate over tasks among which some differ, if any do: both ends, the middle, and the far end of each axis."""
    yield (0,) * len(shape)
    yield tuple(n // 2 for n in shape)
    yield tuple(n - 1 for n in shape)
    for axis, n in enumerate(shape):
        yield tuple(n - 1 if a == axis else 0 for a in range(len(shape)))
