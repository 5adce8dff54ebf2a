"""The adapter for systems whose calls block: it owns their thread, the queue and the bookkeeping.

A :class:`BlockingSystem` opens a system, submits calls to it and closes it, and nothing else. It is given no more calls
than it runs at once, so that a call it has accepted starts soon and all others can still be cancelled here.

A call to another process reports nothing while it runs: of a batch of several attempts, only the start of the first is
reported, and all outcomes come when the call ends. A system for which that is not good enough has ``batch_limit=1``.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Collection, Sequence
from types import TracebackType
from typing import Self

import anyio

from asyncexec.backends.adapters.blocking_dispatch import Dispatcher
from asyncexec.backends.adapters.blocking_system import BlockingSystem
from asyncexec.backends.adapters.system_thread import SystemThread
from asyncexec.backends.contract import Batch, Capabilities, Report
from asyncexec.backends.report_stream import ReportStream
from asyncexec.errors import UsageError


class BlockingBackend:
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
        self._inside: tuple[ReportStream, Dispatcher, SystemThread] | None = None

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of the system."""
        return self._system.capabilities

    @property
    def slots(self) -> int:
        """The number of batches that can run at once, now."""
        return 1 if self._inside is None else self._inside[1].slots

    @property
    def abandoned(self) -> int:
        """The number of running calls abandoned since the context was entered."""
        return 0 if self._inside is None else self._inside[1].abandoned

    def map(self, batches: AsyncIterable[Batch]) -> AsyncIterator[Sequence[Report]]:
        """Run ``batches`` as they come, and yield reports as they come."""
        if self._inside is None:
            name = self.capabilities.name
            raise UsageError(f"executor {name!r} is used outside its `async with` block")
        return self._inside[0].map(batches)

    def cancel(self, attempts: Collection[int]) -> None:
        """Drop attempts that wait; stop those that run where the system can, and abandon them where it cannot."""
        if self._inside is not None:
            self._inside[1].cancel(attempts)

    async def __aenter__(self) -> Self:
        before = None if self._inside is None else self._inside[0]
        stream = ReportStream.after(before, executor=self.capabilities.name)
        thread = SystemThread(self.capabilities.name)
        try:
            size = await thread.run(self._system.open)
        except BaseException:
            thread.end()
            raise
        dispatcher = Dispatcher(
            self._system,
            thread=thread,
            size=size,
            patience=self._patience,
            report=stream.report,
            fail=stream.fail,
        )
        await stream.start(dispatcher.submit)
        self._inside = (stream, dispatcher, thread)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._inside is None:
            return
        stream, dispatcher, thread = self._inside
        try:
            await stream.stop_feeding()
        finally:
            with anyio.CancelScope(shield=True):
                try:
                    await dispatcher.close()
                finally:
                    thread.end()
            stream.end()
