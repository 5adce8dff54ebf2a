"""LATE: backups for the tasks expected to end last, a few at a time, once nothing is queued."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from asyncexec.errors import OptionError
from asyncexec.straggler.rule import check_floor

if TYPE_CHECKING:
    from asyncexec.straggler.rule import StageView

_EVIDENCE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """The rule LATE: Longest Approximate Time to End.

    After M. Zaharia et al., "Improving MapReduce performance in heterogeneous environments", OSDI 2008. LATE ranks
    tasks by progress rate. Tasks here do not report progress, but the rate of one that still runs is at most one over
    its age. So a task is slow when that bound is below the given quantile of the rates of complete tasks, and of the
    slow tasks the oldest is the one expected to end last.

    >>> from asyncexec.straggler import DurationStatistics, StageView
    >>> from asyncexec.straggler.late import Late
    >>> view = StageView(
    ...     tasks=100, completed=90, draining=True, slots=40, running_backups=0, cancels=True,
    ...     metered=False, statistics=DurationStatistics([10.0] * 90),
    ... )
    >>> Late().copies(view), Late().backups(view)
    (2, 4)

    Attributes
    ----------
    cap : float
        The share of the slots that backups may take (SpeculativeCap).
    slow_task : float
        Quantile of progress rates below which a task is slow (SlowTaskThreshold).
    floor_seconds : float
        No backup before this age.

    Raises
    ------
    OptionError
        If a setting is out of range.
    """

    cap: float = 0.1
    slow_task: float = 0.25
    floor_seconds: float = 1.0

    def __post_init__(self) -> None:
        for name in ("cap", "slow_task"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise OptionError(f"straggler: {name} must be between 0 and 1, not {value!r}")
        check_floor(self.floor_seconds)

    steady: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return "late"

    def threshold(self, view: StageView) -> float | None:
        if not view.draining or view.statistics.count < _EVIDENCE:
            return None
        return max(view.statistics.quantile(1.0 - self.slow_task), self.floor_seconds)

    def copies(self, view: StageView) -> int:
        return 2

    def backups(self, view: StageView) -> int:
        return max(1, int(self.cap * view.slots))
