"""The adapter for systems whose calls block: it owns their thread, the queue and the bookkeeping.

A :class:`BlockingSystem` opens a system, submits calls to it and closes it, and nothing else. It is given no more calls
than it runs at once, so that a call it has accepted starts soon and all others can still be cancelled here.

A call to another process reports nothing while it runs: of a batch of several attempts, only the start of the first is
reported, and all outcomes come when the call ends. A system for which that is not good enough has ``batch_limit=1``.
"""

from __future__ import annotations

from asyncexec.backends.adapters.blocking_dispatch import Dispatcher
from asyncexec.backends.adapters.blocking_system import BlockingSystem
from asyncexec.backends.adapters.system_thread import SystemThread
from asyncexec.backends.contract import Capabilities
from asyncexec.backends.pool_backend import AbandoningBackend
from asyncexec.backends.report_stream import ReportStream
from asyncexec.worker.event_loop import EVENT_LOOP, ended


class BlockingBackend(AbandoningBackend[Dispatcher]):
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
