"""The rule without backups."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from asyncexec.straggler.rule import StageView


@dataclass(frozen=True, slots=True, kw_only=True)
class Off:
    """Never starts a backup, and leaves no worker idle unless it is asked to.

    >>> from asyncexec.straggler import Off
    >>> ax.sync.execute(ax.Plan.map(abs, [-1, 2]), straggler=Off()).backups
    0

    Attributes
    ----------
    rests_workers : bool
        Whether slow workers are left idle for a while, on backends that can choose.
    """

    rests_workers: bool = False

    steady: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return "off"

    @property
    def floor_seconds(self) -> float:
        return math.inf

    def threshold(self, view: StageView) -> float | None:
        return None

    def copies(self, view: StageView) -> int:
        return 1

    def backups(self, view: StageView) -> int:
        return 0
