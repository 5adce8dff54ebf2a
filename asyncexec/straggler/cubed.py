"""The rule of Cubed's executors, for comparison: three times the median, on a clock that runs from submission."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncexec.straggler.rule import StageView

_LEAST_TASKS = 10
_SHARE = 0.5
_FACTOR = 3.0


class Cubed:
    """Gives every task a backup that is not complete when three times the median has passed since the stage began.

    Cubed submits all tasks of an array at once and counts durations and ages from there (Cubed 0.28,
    ``cubed.runtime.backup``), so that the age at which a task is slow depends on the length of the queue. It needs ten
    tasks, half of them complete, and gives a task one backup.

    >>> from asyncexec.straggler.cubed import Cubed
    >>> ax.sync.execute(ax.Plan.map(abs, [-1, 2]), straggler=Cubed()).value
    [1, 2]
    """

    __slots__ = ()

    @property
    def name(self) -> str:
        return "cubed"

    @property
    def floor_seconds(self) -> float:
        return 0.0

    def threshold(self, view: StageView) -> float | None:
        if view.tasks < _LEAST_TASKS or view.completed < _SHARE * view.tasks:
            return None
        due = _FACTOR * view.completions.quantile(0.5)
        # Every task was submitted as the stage began: all are that old, or none.
        return 0.0 if view.elapsed_seconds > due else None

    def copies(self, view: StageView) -> int:
        return 2

    def backups(self, view: StageView) -> int:
        return view.tasks

    def __repr__(self) -> str:
        return "Cubed()"
