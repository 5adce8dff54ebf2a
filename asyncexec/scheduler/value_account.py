"""The account of the values that the runs of an engine keep near the workers, and its budget.

Each value is in it from its task's completion until nothing needs it any more. When those in memory exceed the budget,
further ones go to disk, if the store has a place there; otherwise tasks that only add to them wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from asyncexec.worker.values import SpillingStore

if TYPE_CHECKING:
    from asyncexec.events.outcome import ValueHandle


class ValueAccount:
    """The values that are kept, whatever runs they belong to; any thread may call it.

    Parameters
    ----------
    budget_bytes : int or None
        What they may take in memory; None for no limit.
    room : callable, optional
        ``room()`` returns what all else leaves them of the memory that they share with it now; None for no limit.

    Attributes
    ----------
    memory_bytes, disk_bytes : int
        What they take now.
    peak_bytes : int
        The most that they have taken in memory.
    must_wait : bool
        Whether tasks that only add values are not to start now; asked before every batch.
    """

    def __init__(
        self, budget_bytes: int | None = None, room: Callable[[], int | None] | None = None
    ) -> None:
        self.budget_bytes = budget_bytes
        self._room = room
        self.memory_bytes = self.disk_bytes = self.peak_bytes = 0
        self._held: dict[ValueHandle, None] = {}
        self._lock = threading.Lock()
        self._spills: SpillingStore | None = None
        self._spilling = False
        self.must_wait = False

    def open(self, store: object) -> None:
        """Note the store of the backend, which is open now."""
        # Whether it spills is dear to ask, and every run comes here.
        self._spills = store if store is not None and isinstance(store, SpillingStore) else None
        self.must_wait = self._spills is None and self.memory_bytes > 0 and self.is_full

    @property
    def is_full(self) -> bool:
        """True while the values in memory take more than the budget."""
        if self.budget_bytes is not None and self.memory_bytes > self.budget_bytes:
            return True
        room = None if self._room is None else self._room()
        return room is not None and self.memory_bytes > room

    def add(self, handle: ValueHandle) -> None:
        """Enter a value."""
        with self._lock:
            # A task that runs again may bring the same value: it is there once.
            if handle not in self._held:
                self._held[handle] = None
                self._change(handle, handle.nbytes)
        self._follow_budget()

    def remove(self, handles: Collection[ValueHandle]) -> None:
        """Take values out; those that are not in it are left out."""
        with self._lock:
            for handle in handles:
                if handle in self._held:
                    del self._held[handle]
                    self._change(handle, -handle.nbytes)
        self._follow_budget()

    def _change(self, handle: ValueHandle, nbytes: int) -> None:
        if handle.on_disk:
            self.disk_bytes += nbytes
        else:
            self.memory_bytes += nbytes
            self.peak_bytes = max(self.peak_bytes, self.memory_bytes)

    def _follow_budget(self) -> None:
        self.must_wait = self._spills is None and self.is_full
        # Said only as it changes: the store writes a file for its workers, and this is called for every value.
        if self._spills is not None and self._spilling is not self.is_full:
            self._spilling = not self._spilling
            self._spills.spill(self._spilling)
