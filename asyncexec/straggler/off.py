"""The rule without backups."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from asyncexec.straggler.rule import StageView


class Off:
    """Never starts a backup.

    >>> from asyncexec.straggler import Off
    >>> ax.sync.execute(ax.Plan.map(abs, [-1, 2]), straggler=Off()).backups
    0
    """

    __slots__ = ()

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

    def __repr__(self) -> str:
        return "Off()"
