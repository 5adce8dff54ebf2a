"""The context of a backend, entered and left in a task of its own, so that neither can hold the caller.

A system that does not answer holds the task that waits for it: a server behind a wrong port, a library that retries for
a minute by itself. So entering has a bound, which the backend states, and a caller that is cancelled is let go within a
second, whatever the backend does: its task is then *abandoned*. Should the backend be entered later after all, it is
left again at once. Leaving is bounded in the same way.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from asyncexec.engine.own_task import outlast
from asyncexec.errors import AsyncexecError, BackendError
from asyncexec.exception_data.pickling import keep_own_pickling

if TYPE_CHECKING:
    from types import TracebackType

    from asyncexec.backends.contract import Backend

CANCEL_SECONDS = 0.8
"""The time that entering has to undo what it has made, once the caller is cancelled or the bound is reached."""

LEAVE_SECONDS = 60.0
"""The time that leaving may take. Most systems need a fraction of a second, a cluster of jobs some seconds."""

CANCELLED_LEAVE_SECONDS = 5.0
"""The time that leaving has from the moment that its caller is cancelled; if nothing hangs, it needs less."""

_log = logging.getLogger(__name__)

_abandoned: set[asyncio.Task[None]] = set()
"""The tasks that nobody waits for, which the event loop itself does not keep alive."""


type _Failure = tuple[type[BaseException], BaseException, TracebackType | None]


class BackendLife:
    """An async context manager around a backend.

    Parameters
    ----------
    backend : Backend
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._failure: _Failure | None = None
        self._over = False
        self._hurried = False
        self._settled = asyncio.Event()
        self._timer: asyncio.TimerHandle
        self._closing: asyncio.Event
        self._task: asyncio.Task[None]

    async def __aenter__(self) -> None:
        """Enter the backend.

        Raises
        ------
        BackendError
            If that takes longer than the backend's ``opening_seconds``.
        """
        capabilities = self._backend.capabilities
        seconds = capabilities.opening_seconds
        self._closing = asyncio.Event()
        opened = asyncio.get_running_loop().create_future()
        owner = asyncio.current_task()
        self._task = asyncio.create_task(
            self._live(opened, owner), name=f"asyncexec executor {capabilities.name}"
        )
        try:
            await asyncio.wait([opened], timeout=seconds)
        except BaseException:
            await self._give_up(opened, CANCEL_SECONDS)
            raise
        if not opened.done():
            await self._give_up(opened, CANCEL_SECONDS)
            raise BackendError(
                f"executor {capabilities.name!r}: it could not be entered within {seconds:g} s, and was given up. "
                f"{capabilities.opening_advice or 'Check that its system runs and can be reached from here'}"
            )
        opened.result()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._failure = None if kind is None or error is None else (kind, error, traceback)
        self._over = True
        self._closing.set()
        self._arm(CANCELLED_LEAVE_SECONDS if self._hurried else LEAVE_SECONDS)
        self._task.add_done_callback(lambda _: self._settled.set())
        try:
            await self._settled.wait()
        finally:
            self._failure = None  # A traceback would keep the callers' data.
            self._timer.cancel()
            if not self._task.done():
                self._abandon()
        if self._task.done() and not self._task.cancelled():
            self._task.result()

    def hurry(self) -> None:
        """Give leaving, now or later, no more than a few seconds, as its caller has been cancelled."""
        if not self._hurried:
            self._hurried = True
            if self._over:
                self._timer.cancel()
                self._arm(CANCELLED_LEAVE_SECONDS)

    def _arm(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._settled.set)

    async def _live(self, opened: asyncio.Future[None], owner: asyncio.Task[object] | None) -> None:
        """Enter the backend, and leave it when it is to be closed, or if nobody waits for it any longer."""
        try:
            await self._backend.__aenter__()
        except BaseException as error:
            if opened.done():
                raise
            opened.set_exception(error)
            return
        keep_own_pickling(AsyncexecError)  # Entering has imported the libraries of the executor.
        cancellation: asyncio.CancelledError | None = None
        failure = self._failure
        try:
            if not opened.done():
                opened.set_result(None)
                cancellation = await outlast(self._closing, lambda _: self._end(owner))
                failure = self._failure
            if cancellation is not None:
                failure = type(cancellation), cancellation, None
        finally:
            await self._backend.__aexit__(*(failure or (None, None, None)))
        if cancellation is not None:
            raise cancellation

    def _end(self, owner: asyncio.Task[object] | None) -> None:
        """End the engine, which leaves the backend last: something the backend runs has failed, or the loop ends."""
        if not self._over and owner is not None and not owner.cancelling():
            owner.cancel()

    async def _give_up(self, opened: asyncio.Future[None], seconds: float) -> None:
        """End the task that enters; if it does not end soon, it leaves the backend when it has entered it."""
        opened.cancel()
        self._over = True
        self._closing.set()  # Where it had just been entered, and the caller not heard of it yet.
        self._task.cancel()
        try:
            await asyncio.wait([self._task], timeout=seconds)
        finally:
            self._abandon()

    def _abandon(self) -> None:
        """Wait no more for the task."""
        task = self._task
        if not task.done():
            _log.warning(
                "executor %r does not answer, and is left to itself: what it holds is let go when it does",
                self._backend.capabilities.name,
            )
            _abandoned.add(task)
        task.add_done_callback(_note_end)


def _note_end(task: asyncio.Task[None]) -> None:
    """Forget an abandoned task; its error is nobody's any more."""
    _abandoned.discard(task)
    if not task.cancelled():
        task.exception()
