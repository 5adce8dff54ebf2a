"""The adapter for systems whose calls block: it owns their thread, the queue and the bookkeeping.

A :class:`BlockingSystem` opens a system, submits calls to it and closes it, and nothing else. It is given no more calls
than it runs at once, so that a call it has accepted starts soon and all others can still be cancelled here.

A call to another process reports nothing while it runs: of a batch of several attempts, only the start of the first is
reported, and all outcomes come when the call ends. A system for which that is not good enough has ``batch_limit=1``.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence

from asyncexec.backends.adapters.blocking_dispatch import Dispatcher
from asyncexec.backends.adapters.blocking_system import BlockingSystem
from asyncexec.backends.adapters.system_thread import SystemThread
from asyncexec.backends.contract import Capabilities
from asyncexec.backends.pool_backend import PoolBackend
from asyncexec.backends.report_stream import ReportStream
from asyncexec.worker.event_loop import EVENT_LOOP, ended


class BlockingBackend(PoolBackend[Dispatcher]):
    """A backend made of a :class:`BlockingSystem`.

    Parameters
    ----------
    system : BlockingSystem
    patience : float
        Seconds that work waits while abandoned calls hold every worker, before the system counts as broken.
    """

    def __init__(self, system: BlockingSystem, *, patience: float = 30.0) -> None:
        self._system = system
        self._patience = patience

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of the system."""
        return self._system.capabilities

    @property
    def abandoned(self) -> int:
        """The number of running calls abandoned since the context was entered."""
        return 0 if self._pool is None else self._pool.abandoned

    def leave_saves(self, attempts: Collection[int]) -> Sequence[threading.Event]:
        """Give up those of ``attempts`` that save, in threads of this process; see ``SaveLeavingBackend``."""
        return () if self._pool is None else self._pool.leave_saves(attempts)

    def _closed_slots(self) -> int:
        return 1

    async def _open(self, stream: ReportStream) -> Dispatcher:
        system = self._system
        thread, size = await SystemThread.opened(
            self.capabilities.name, system.open, undo=lambda _: system.close(idle=True)
        )
        EVENT_LOOP.keep()  # for tasks in this process
        return Dispatcher(
            self._system, thread=thread, size=size, patience=self._patience, stream=stream
        )

    async def _close(self, pool: Dispatcher, *, failed: bool) -> None:
        try:
            await pool.close()
        finally:
            await ended(EVENT_LOOP.let_go())
