"""The late stages of a run: those whose sizes are known only when the stages they wait for are complete."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asyncexec.events.records import ReadFigures
from asyncexec.plan.outline import outline

if TYPE_CHECKING:
    from asyncexec.plan.stage import Stage
    from asyncexec.scheduler.graph import Graph
    from asyncexec.scheduler.readiness import Readiness
    from asyncexec.scheduler.stage import StageState


@dataclass(frozen=True, slots=True, kw_only=True)
class SizedStages:
    """Late stages with their sizes, and all that a run needs to continue with them; made off the event loop.

    Attributes
    ----------
    stages : mapping of int to StageState
        By position.
    reads : mapping of int to tuple of ReadFigures
        The same for observers.
    graph : Graph
    readiness : Readiness
    complete : list of int
        The positions of those that have nothing left to do.
    done : mapping of int to sequence of range
        The tasks that an earlier run has completed, by position.
    """

    stages: Mapping[int, StageState]
    reads: Mapping[int, tuple[ReadFigures, ...]]
    graph: Graph
    readiness: Readiness
    complete: Sequence[int]
    done: Mapping[int, Sequence[range]]


class LateStages:
    """The stages of a run whose sizes are not known, and the stages that each of them waits for.

    The size of a stage can be known when the stages that it waits for are complete, and the sizes of all that it reads
    are known or become known with it. One group is sized at a time.

    Attributes
    ----------
    unresolved : int
        Their number.
    due : bool
        Whether some can be sized now.
    sizing : bool
        Whether some are being sized.
    lacks_value : bool
        Whether a value that gives a size was lost, and is not there again.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        positions = {stage.name: i for i, stage in enumerate(stages)}
        late = {i: stage for i, stage in enumerate(stages) if stage.is_late and not stage.grows}
        # In the plan's order, so that what is read comes before what reads it.
        self._waits_for = {i: {positions[n] for n in s.waits_for} for i, s in late.items()}
        self._reads = {i: {positions[r.stage] for r in s.reads} for i, s in late.items()}
        self._waiters: dict[int, list[int]] = {}
        for position, missing in self._waits_for.items():
            for waited_for in missing:
                self._waiters.setdefault(waited_for, []).append(position)
        # Those that wait for no stage any more; only they are looked at, however many late stages there are.
        self._free = {at: None for at, missing in self._waits_for.items() if not missing}
        self.unresolved = len(late)
        self.due = False
        self.sizing = False
        self.lacks_value = False

    def completed(self, position: int) -> None:
        """Record that all tasks of a stage are complete."""
        waiters = self._waiters.pop(position, ())
        for late in waiters:
            missing = self._waits_for[late]
            missing.discard(position)
            if not missing:
                self._free[late] = None
        if waiters:
            self._update()

    def take(self) -> tuple[int, ...]:
        """Return the positions of the stages that can be sized now; no others are due until :meth:`sized`."""
        self.due, self.sizing = False, True
        return tuple(self._group())

    def sized(self, positions: Sequence[int] = ()) -> None:
        """Record that the sizes of ``positions`` are known, and that no stage is being sized."""
        self.sizing = False
        for position in positions:
            del self._waits_for[position], self._reads[position]
            self._free.pop(position, None)
        self.unresolved = len(self._waits_for)
        self._update()

    def postpone(self, *, lacks_value: bool) -> None:
        """Record that no stage could be sized, and whether a value that was lost is not there again yet."""
        self.sizing, self.lacks_value = False, lacks_value
        self._update()

    def _update(self) -> None:
        # One group at a time: the next is found with the sizes of this one, and a lost value would fail again.
        self.due = not (self.sizing or self.lacks_value) and next(self._group(), None) is not None

    def _group(self) -> Iterator[int]:
        # In the plan's order, so that a stage whose reads become known in this group joins it.
        unknown, known = self._waits_for, set[int]()
        for position in sorted(self._free):
            if all(read not in unknown or read in known for read in self._reads[position]):
                known.add(position)
                yield position


def read_figures(stage: Stage) -> tuple[ReadFigures, ...]:
    """Return the reads of ``stage`` for observers; for a relation of many irregular blocks that may take long."""
    return tuple(ReadFigures(stage=r.stage, relation=outline(r.relation)) for r in stage.reads)
