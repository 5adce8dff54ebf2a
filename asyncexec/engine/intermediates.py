"""The memory for intermediate chunks of an engine's runs: part of the budget of its tasks."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncexec.plan.plan import Plan
    from asyncexec.scheduler.admission import AdmissionBudget
    from asyncexec.storage.tiers.chunk_memory import ChunkMemory, RunChunks


class Intermediates:
    """The memory for intermediate chunks, made with the first run that has any.

    Parameters
    ----------
    budget : AdmissionBudget
        Of the engine; it counts what intermediates take from then on.
    """

    def __init__(self, budget: AdmissionBudget) -> None:
        self._budget = budget
        self._memory: ChunkMemory | None = None
        self._making = threading.Lock()

    def open(self, plan: Plan, slots: int) -> RunChunks:
        """Return the memory for the intermediates of a run, of which ``slots`` tasks run at once."""
        needs = max([stage.memory.projected_bytes for stage in plan.stages], default=0)
        with self._making:
            if self._memory is None:
                # Brings NumPy, which plans of functions need not have.
                from asyncexec.storage.tiers.chunk_memory import ChunkMemory  # noqa: PLC0415 - as above

                self._memory = ChunkMemory(self._budget.memory_bytes)
                self._budget.intermediates = self._memory
        return self._memory.open(needs, max(1, slots))
