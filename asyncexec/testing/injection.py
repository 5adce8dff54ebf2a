"""Puts faults around the tasks of a plan: their functions, or what reads and writes their chunks."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from asyncexec.plan.box import Index
from asyncexec.plan.plan import Plan
from asyncexec.plan.stage import Stage, TaskIO
from asyncexec.plan.workspace import Opening, OpenWorkspace, Workspace
from asyncexec.testing.faults import Fault, Faults, Moment


def inject(plan: Plan, faults: Faults) -> Plan:
    """Return ``plan`` with ``faults`` around every task.

    Where a stage reads and writes chunks, faults strike at its input and output, and its kernel (and with it the
    plan's fingerprint) stays what it is. Elsewhere they strike before and after the function.

    >>> from asyncexec.testing.faults import Fail, Faults
    >>> from asyncexec.testing.injection import inject
    >>> faults = Faults(folder=".", rates=[(0.3, Fail())], seed=1)
    >>> plan = inject(ax.Plan.map(abs, range(20)), faults)
    >>> result = ax.sync.execute(plan, retry=ax.Retry(base_seconds=0))
    >>> result.value == list(range(20)), result.retries > 0
    (True, True)
    """
    stages = [
        dataclasses.replace(stage, kernel=faults.wrap(stage.kernel, stage=stage.name))
        if stage.holds_values
        else stage
        for stage in plan.stages
    ]
    workspace = plan.workspace
    if workspace is not None:
        workspace = _FaultyWorkspace(workspace, faults)
    return Plan(tuple(stages), plan.name, plan.returns, keeps=plan.keeps, workspace=workspace)


class _FaultyWorkspace:
    def __init__(self, inner: Workspace, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults

    def open(self, stages: Sequence[Stage], opening: Opening) -> OpenWorkspace:
        return _FaultyOpenWorkspace(self._inner.open(stages, opening), self._faults)


class _FaultyOpenWorkspace:
    """Passes everything on but the tasks' input and output."""

    def __init__(self, inner: OpenWorkspace, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults

    def size(self, stage: Stage) -> None:
        self._inner.size(stage)

    def io(self, stage: Stage) -> TaskIO | None:
        io = self._inner.io(stage)
        if io is None or stage.holds_values:  # whose function is wrapped already
            return io
        return FaultyIO(io, self._faults, stage.name)

    def done(self, stage: Stage) -> Sequence[range]:
        return self._inner.done(stage)

    def damaged(self, stage: str) -> Sequence[int]:
        return self._inner.damaged(stage)

    def passes_on(self, stage: Stage) -> bool:
        return self._inner.passes_on(stage)

    def writers(self, array: str, chunks: Sequence[Index]) -> Sequence[tuple[str, int]]:
        return self._inner.writers(array, chunks)

    def holds(self, stage: str, task: int) -> bool:
        return self._inner.holds(stage, task)

    def releases(self, stage: Stage) -> bool:
        return self._inner.releases(stage)

    def release(self, stage: str, tasks: Sequence[int]) -> None:
        self._inner.release(stage, tasks)

    def collect(self, values: Mapping[str, list[Any]]) -> Any:
        return self._inner.collect(values)

    def close(self, *, succeeded: bool) -> None:
        self._inner.close(succeeded=succeeded)


class FaultyIO:
    """A stage's input and output with faults; an attempt begins with its load and ends with its save."""

    def __init__(self, inner: TaskIO, faults: Faults, stage: str) -> None:
        self._inner = inner
        self._faults = faults
        self._stage = stage
        # Threads of one worker share this object: what each of them is at, by thread.
        self._current: dict[int, tuple[Fault | None, float]] = {}

    def load(self, index: Index) -> tuple[tuple[Any, ...], int]:
        """Begin an attempt, and load."""
        fault = self._faults.begin(self._stage, index)
        self._current[threading.get_ident()] = (fault, time.perf_counter())
        self._strike(Moment.LOAD)
        loaded = self._inner.load(index)
        self._strike(Moment.CALL)
        return loaded

    def save(self, index: Index, result: Any) -> int | tuple[int, Any]:
        """Save, and end the attempt."""
        self._strike(Moment.SAVE)
        written = self._inner.save(index, result)
        self._strike(Moment.TOLD)
        return written

    def _strike(self, moment: Moment) -> None:
        fault, began = self._current[threading.get_ident()]
        if fault is not None and fault.moment is moment:
            fault.strike(self._faults, time.perf_counter() - began)

    def __reduce__(self) -> tuple[type[FaultyIO], tuple[TaskIO, Faults, str]]:
        return FaultyIO, (self._inner, self._faults, self._stage)
