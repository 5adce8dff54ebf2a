"""Counts of the inputs that each task still waits for, in memory that grows with the frontier only.

Counts are kept in blocks of consecutive tasks. A block is made when one of its tasks gets its first input, and dropped
when all of its tasks have all their inputs: tasks that have all or none of their inputs cost nothing.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator

BLOCK = 4096
_UNTOUCHED = -1


class _CountBlock:
    __slots__ = ("counts", "left")

    def __init__(self, tasks: int) -> None:
        self.counts = array("i", [_UNTOUCHED]) * tasks
        self.left = tasks


class DependencyCounts:
    """Counts each task's missing inputs down to zero.

    Parameters
    ----------
    tasks : int
        The number of tasks.
    needs : callable
        Returns the number of inputs of a task; called once for each, when its first input is complete.
    """

    __slots__ = ("_blocks", "_needs", "_tasks", "released")

    def __init__(self, tasks: int, needs: Callable[[int], int]) -> None:
        self._tasks = tasks
        self._needs = needs
        # None: every task of the block has all its inputs.
        self._blocks: dict[int, _CountBlock | None] = {}
        self.released = 0

    def arrive(self, task: int) -> bool:
        """Record that one input of ``task`` is complete; return whether it was the last."""
        number = task // BLOCK
        block = self._blocks.get(number)
        if block is None:
            block = self._blocks[number] = _CountBlock(min(BLOCK, self._tasks - number * BLOCK))
        at = task - number * BLOCK
        left = block.counts[at]
        if left == _UNTOUCHED:
            left = self._needs(task)
        block.counts[at] = left - 1
        if left != 1:
            return False
        self._release(number, block)
        return True

    def untouched(self) -> Iterator[int]:
        """Yield the tasks of which no input was ever recorded, and count them as released."""
        for number in range(-(-self._tasks // BLOCK)):
            block = self._blocks.get(number, ...)
            if block is None:
                continue
            tasks = range(number * BLOCK, min((number + 1) * BLOCK, self._tasks))
            for at, task in enumerate(tasks):
                if block is ... or block.counts[at] == _UNTOUCHED:
                    self.released += 1
                    yield task

    @property
    def blocks(self) -> int:
        """The number of blocks that are held."""
        return sum(block is not None for block in self._blocks.values())

    def _release(self, number: int, block: _CountBlock) -> None:
        self.released += 1
        block.left -= 1
        if not block.left:
            self._blocks[number] = None
