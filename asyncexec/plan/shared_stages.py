"""The stages of plans that were made of each other by appending: one list, of which each plan has a beginning.

So a chain of stages costs what its stages cost, and not the square of that. Nothing in the list ever changes; a plan
that is continued a second time begins a list of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from asyncexec.plan.missing import check_missing

if TYPE_CHECKING:
    from asyncexec.plan.stage import Stage


class SharedStages:
    """A list of stages that only grows; any thread may append.

    Attributes
    ----------
    by_name : dict of str to Stage
        All of them.
    may_be_missing : set of str
        Those whose values may be missing.
    """

    __slots__ = ("_at", "_numbers", "by_name", "may_be_missing")

    def __init__(self, stages: Iterable[Stage]) -> None:
        # By number rather than a list, as `setdefault` is one step for threads that append at the same time.
        self._at = dict(enumerate(stages))
        self._numbers: dict[str, int] = {}
        self.by_name = {stage.name: stage for stage in self._at.values()}
        self.may_be_missing: set[str] = set()
        for stage in self._at.values():
            check_missing(stage.name, stage, self.may_be_missing)

    def __len__(self) -> int:
        return len(self._at)

    def first(self, count: int) -> tuple[Stage, ...]:
        """Return the first ``count`` stages."""
        return tuple([self._at[number] for number in range(count)])

    def append(self, stage: Stage, after: int) -> bool:
        """Append a stage after so many; return False if another follows them already."""
        if self._at.setdefault(after, stage) is not stage:
            return False
        self.by_name[stage.name] = stage
        return True

    def free_name(self, name: str) -> str:
        """Return ``name``, with a number if a stage is called so already (``name-2``)."""
        if name not in self.by_name:
            return name
        number = self._numbers.get(name, 2)
        while f"{name}-{number}" in self.by_name:
            number += 1
        self._numbers[name] = number
        return f"{name}-{number}"
