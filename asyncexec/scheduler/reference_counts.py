"""Reference counts of the tasks' outputs: an output is freed when every task that reads it is complete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncexec.scheduler.graph import Edge


class ReferenceCounts:
    """Counts the readers of each task's output that are not complete.

    Readers behind a barrier are counted by the stage, others by the task; only tasks read in part are remembered.
    """

    __slots__ = ("_barriers", "_edges", "_left", "_tasks")

    def __init__(self, tasks: int, edges: Sequence[Edge]) -> None:
        self._tasks = tasks
        barriers = any(e.barrier for e in edges)
        self._edges = [e for e in edges if not e.barrier] if barriers else edges
        self._barriers = len(edges) - len(self._edges)
        self._left: dict[int, int] = {}

    def read(self, task: int) -> bool:
        """Record that one reader of ``task`` is complete; return whether it was the last."""
        # Counted when the first reader is complete: of an output with one reader nothing is ever kept.
        left = self._left.pop(task, 0) or self._needs(task)
        if left > 1:
            self._left[task] = left - 1
            return False
        return True

    def stage_read(self) -> bool:
        """Record that a stage that reads behind a barrier is complete; return whether all outputs may be freed."""
        self._barriers -= 1
        return not self._barriers and not self._edges

    def _needs(self, task: int) -> int:
        # A barrier among the readers keeps everything until its stage is complete; the run's end frees it.
        return self._barriers + sum([edge.readers(task) for edge in self._edges])
