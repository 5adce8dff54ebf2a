"""The threads that linear algebra takes within tasks that run side by side in threads of one process.

NumPy's BLAS divides each product among as many threads as there are cores, which those of tasks have in use: they wait
for one another, mostly by spinning. While several tasks run, each gets its share of the cores. Worker processes are
started with such limits in their environment; here they go as the tasks end, as other code of the process has BLAS too.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

from asyncexec.backends.cores import usable_cores


class BlasShare:
    """The share of a pool of threads: one for the process holds as long as any pool has it."""

    def __init__(self) -> None:
        self._cores = usable_cores()
        self._threads: int | None = None

    def of(self, busy: int) -> None:
        """Give each of so many tasks that run now an equal share of the cores; up to one of them may have all."""
        threads = max(1, self._cores // busy) if busy > 1 else None
        if threads != self._threads:
            self._threads = threads
            _PROCESS.set(self, threads)


class _ProcessLimit:
    """The limit of this process: the least that any pool asks for, and as it was before where none does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted: dict[BlasShare, int] = {}
        self._loaded: list[Any] = []
        self._modules = 0
        self._before: list[tuple[Any, int, int]] = []

    def set(self, pool: BlasShare, threads: int | None) -> None:
        """Set what ``pool`` asks for; None is nothing."""
        with self._lock:
            if threads is None:
                self._wanted.pop(pool, None)
            else:
                self._wanted[pool] = threads
            self._restore()
            if self._wanted:
                self._limit(min(self._wanted.values()))

    def _limit(self, threads: int) -> None:
        for library in self._libraries():
            before = library.num_threads
            # Never more than somebody has allowed.
            if before is not None and before > threads:
                library.set_num_threads(threads)
                self._before.append((library, before, threads))

    def _restore(self) -> None:
        for library, before, threads in self._before:
            # What somebody has set meanwhile stays.
            if library.num_threads == threads:
                library.set_num_threads(before)
        self._before.clear()

    def _libraries(self) -> list[Any]:
        """Return the libraries of linear algebra that are loaded; looked for again as modules are imported."""
        if "numpy" not in sys.modules:
            return []
        if len(sys.modules) != self._modules:
            from threadpoolctl import ThreadpoolController  # costs 2 ms

            found = ThreadpoolController().select(user_api="blas")
            self._loaded = found.lib_controllers
            self._modules = len(sys.modules)
        return self._loaded


_PROCESS = _ProcessLimit()
