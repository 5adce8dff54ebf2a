"""The memory that the intermediates of an engine's runs may take: one budget with that of its tasks."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from asyncexec.errors import AsyncexecError
from asyncexec.storage.tiers.process import MemoryTier
from asyncexec.storage.tiers.shared_memory import MEMORY_FILES, SharedMemory

if TYPE_CHECKING:
    from pathlib import Path

    from asyncexec.storage.tiers.shared_memory import SharedRun

_UNKNOWN_BYTES = 2**30

_log = logging.getLogger(__name__)


class ChunkMemory:
    """The intermediates in memory of all runs of an engine, in this process and in files that others map.

    So much of the budget is left to tasks that the largest task of every run finds room, and as many as there are
    slots while that takes no more than half of it. Where a run begins whose tasks need more than others have left,
    the newest chunks go to the work directories of their runs first.

    Parameters
    ----------
    budget_bytes : int, optional
        What tasks and intermediates may take together; where nobody knows, a gibibyte.
    """

    def __init__(self, budget_bytes: int | None = None) -> None:
        self.budget_bytes = _UNKNOWN_BYTES if budget_bytes is None else budget_bytes
        self.limit_bytes = 0
        self.here = MemoryTier(0)
        self.shared = SharedMemory()
        self._needs: dict[RunChunks, int] = {}
        self._lock = threading.Lock()

    @property
    def used_bytes(self) -> int:
        """The bytes that intermediates take now."""
        here = self.here.used_bytes
        return here + self.shared.used_bytes if self.shared.runs else here

    def open(self, task_bytes: int, slots: int) -> RunChunks:
        """Return the memory of a run whose largest task needs ``task_bytes``, of which ``slots`` run at once."""
        run = RunChunks(self)
        budget = self.budget_bytes
        run_needs = max(task_bytes, min(slots * task_bytes, budget // 2), budget // 4)
        with self._lock:
            # At least a quarter of the budget, so that small tasks still run many at once beside full memory.
            self._needs[run] = run_needs
            self._follow_needs()
            run.limit_bytes = self.limit_bytes
            # Spilled outside of the lock, as writing to disks takes long.
            others = list(self._needs)[:-1]
        for other in reversed(others):
            if (excess := self.used_bytes - self.limit_bytes) > 0:
                other.spill(excess)
        return run

    def close(self, run: RunChunks) -> None:
        """Forget a run."""
        with self._lock:
            self._needs.pop(run, None)
            self._follow_needs()

    def _follow_needs(self) -> None:
        self.limit_bytes = max(0, self.budget_bytes - max(self._needs.values(), default=0))
        self.here.budget_bytes = self.limit_bytes
        if self.shared.runs:
            self.shared.limit(self.limit_bytes)


class RunChunks:
    """The share of one run in its engine's memory for intermediates.

    Attributes
    ----------
    limit_bytes : int
        The bytes that intermediates of all runs may take, as it was when the run began.
    """

    def __init__(self, engine: ChunkMemory) -> None:
        self.limit_bytes = 0
        self._engine = engine
        self._here: MemoryTier | None = None
        self._shared: SharedRun | None = None

    def here(self, most_bytes: int | None = None) -> MemoryTier:
        """Return the tier in this process; ``most_bytes`` bounds what the run has in it besides."""
        self._here = MemoryTier(most_bytes, of=self._engine.here)
        return self._here

    def shared(self, parent: Path | None, most_bytes: int | None = None) -> SharedRun | None:
        """Return a place that workers in other processes share; None where none can be made."""
        self._shared = self._engine.shared.open(
            MEMORY_FILES if parent is None else parent, self._engine.limit_bytes
        )
        if self._shared is not None:
            self._shared.most_bytes = most_bytes
        return self._shared

    def spill(self, wanted_bytes: int) -> None:
        """Write chunks to the work directory until so many bytes are free, the newest first; it blocks.

        What cannot be written there stays.
        """
        for tier in (self._here, self._shared):
            if tier is not None:
                try:
                    wanted_bytes -= tier.spill(wanted_bytes)
                except (OSError, AsyncexecError) as error:
                    _log.warning("intermediates that take memory of others stay there: %s", error)

    def close(self) -> None:
        """Give everything back."""
        if self._here is not None:
            self._here.drop_inputs()
        shared, self._shared = self._shared, None
        if shared is not None:
            shared.close()
        self._engine.close(self)
