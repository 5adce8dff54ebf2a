"""The one adapter for systems that block: it owns the thread, the waiting and the bookkeeping.

A :class:`BlockingSystem` says how to open a system, submit to it and close it, and nothing else. It is handed no more
calls than it runs at once, so that what it has accepted starts soon.

What a system cannot tell while a call runs, it does not tell: of a batch of several jobs, the start of the first is
reported, and all the outcomes come when the call ends. Where that is not good enough, ``batch_limit`` is 1.
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
from asyncexec.backends.exchange import Exchange
from asyncexec.errors import UsageError


class BlockingBackend:
    """A backend out of a :class:`BlockingSystem`.

    Parameters
    ----------
    system : BlockingSystem
    patience : float
        Seconds that work waits while calls that were given up hold every worker, before the system counts as broken.
    """

    def __init__(self, system: BlockingSystem, *, patience: float = 30.0) -> None:
        self._system = system
        self._patience = patience
        self._inside: tuple[Exchange, Dispatcher, SystemThread] | None = None

    @property
    def capabilities(self) -> Capabilities:
        """What the system can do."""
        return self._system.capabilities

    @property
    def slots(self) -> int:
        """How many batches can run at once, now."""
        return 1 if self._inside is None else self._inside[1].slots

    @property
    def abandoned(self) -> int:
        """How many running calls have been given up since the context was entered."""
        return 0 if self._inside is None else self._inside[1].abandoned

    def map(self, batches: AsyncIterable[Batch]) -> AsyncIterator[Sequence[Report]]:
        """Run ``batches`` as they come, and yield reports as they come."""
        if self._inside is None:
            name = self.capabilities.name
            raise UsageError(f"executor {name!r} is used outside its `async with` block")
        return self._inside[0].map(batches)

    def cancel(self, attempts: Collection[int]) -> None:
        """Drop what waits; stop what runs where the system can, and give it up where it cannot."""
        if self._inside is not None:
            self._inside[1].cancel(attempts)

    async def __aenter__(self) -> Self:
        before = None if self._inside is None else self._inside[0]
        exchange = Exchange.after(before, executor=self.capabilities.name)
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
            report=exchange.report,
            fail=exchange.fail,
        )
        await exchange.start(dispatcher.submit)
        self._inside = (exchange, dispatcher, thread)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._inside is None:
            return
        exchange, dispatcher, thread = self._inside
        try:
            await exchange.stop_feeding()
        finally:
            with anyio.CancelScope(shield=True):
                try:
                    await dispatcher.close()
                finally:
                    thread.end()
            exchange.end()
