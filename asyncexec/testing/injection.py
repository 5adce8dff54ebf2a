"""Puts faults around the tasks of a plan: their functions, or what reads and writes their chunks."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from asyncexec.plan.box import Index
from asyncexec.plan.plan import Plan
from asyncexec.plan.stage import InThread, Stage, TaskIO
from asyncexec.plan.workspace import Opening, OpenWorkspace, Workspace
from asyncexec.testing.faults import Fault, Faults, Moment
from asyncexec.worker.task_context import CURRENT


def inject(plan: Plan, faults: Faults, *, requests: int = 1) -> Plan:
    """Return ``plan`` with ``faults`` around every task.

    Where a stage reads and writes chunks, faults strike at its input and output, and its kernel (and with it the
    plan's fingerprint) stays what it is. Elsewhere they strike before and after the function. With more ``requests``
    than one, chunks count as being in a store elsewhere, of which one process loads and saves so many tasks at once.

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
        workspace = _FaultyWorkspace(workspace, faults, requests)
    return Plan(tuple(stages), plan.name, plan.returns, keeps=plan.keeps, workspace=workspace)


class _FaultyWorkspace:
    def __init__(self, inner: Workspace, faults: Faults, requests: int) -> None:
        self._inner = inner
        self._faults = faults
        self._requests = requests

    def open(self, stages: Sequence[Stage], opening: Opening) -> OpenWorkspace:
        opened = self._inner.open(stages, opening)
        return _FaultyOpenWorkspace(opened, self._faults, self._requests)


class _FaultyOpenWorkspace:
    """Passes everything on but the tasks' input and output."""

    def __init__(self, inner: OpenWorkspace, faults: Faults, requests: int) -> None:
        self._inner = inner
        self._faults = faults
        self._requests = requests

    @property
    def notes(self) -> Sequence[str]:
        return self._inner.notes

    def size(self, stage: Stage) -> None:
        self._inner.size(stage)

    def io(self, stage: Stage) -> TaskIO | None:
        io = self._inner.io(stage)
        if io is None or stage.holds_values:  # whose function is wrapped already
            return io
        return FaultyIO(io, self._faults, stage.name, self._requests)

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

    def __init__(self, inner: TaskIO, faults: Faults, stage: str, requests: int = 1) -> None:
        self.requests = requests
        self._inner = inner
        self._faults = faults
        self._stage = stage
        # The attempts of one worker share this object: what each of them is at, by its id.
        self._current: dict[int, tuple[Fault | None, float]] = {}

    def load(self, index: Index) -> tuple[tuple[Any, ...], int]:
        """Begin an attempt, and load; of one that takes piece after piece, the first begins it."""
        if CURRENT.get() is not None and _attempt() in self._current:
            return self._inner.load(index)
        fault = self._faults.begin(self._stage, index)
        self._current[_attempt()] = (fault, time.perf_counter())
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

    async def aload(self, index: Index, in_thread: InThread) -> tuple[tuple[Any, ...], int]:
        """Begin an attempt, and load, in a thread."""
        loaded: tuple[tuple[Any, ...], int] = await in_thread(self.load, index)
        return loaded

    async def asave(self, index: Index, result: Any, in_thread: InThread) -> int | tuple[int, Any]:
        """Save, and end the attempt, in a thread."""
        saved: int | tuple[int, Any] = await in_thread(self.save, index, result)
        return saved

    def _strike(self, moment: Moment) -> None:
        fault, began = self._current[_attempt()]
        if fault is not None and fault.moment is moment:
            fault.strike(self._faults, time.perf_counter() - began)

    def __reduce__(self) -> tuple[type[FaultyIO], tuple[TaskIO, Faults, str, int]]:
        return FaultyIO, (self._inner, self._faults, self._stage, self.requests)


def _attempt() -> int:
    """Return the id of the attempt that runs, or of the thread, where none does."""
    spec = CURRENT.get()
    return threading.get_ident() if spec is None else spec.attempt
