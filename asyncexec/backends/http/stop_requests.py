"""Requests to stop attempts of a running call: those that wait do not start, the one that runs does not save.

On a platform with many instances such a request may reach another instance, which does not know the call: then the
attempts run on for nothing.
"""

from __future__ import annotations

import anyio

from asyncexec.backends.adapters.call_context import CallContext
from asyncexec.backends.http.messages import CallHeader, StopRequest
from asyncexec.worker.control import NOTHING_STOPPED, StopResult


class StopRequests:
    """Stops attempts of a running call; they are settled when the worker has answered.

    The worker may be ahead of its reports. If it does not answer, the attempts are settled all the same.
    """

    def __init__(self, context: CallContext, worker: str) -> None:
        self.header = CallHeader(worker)
        self._context = context
        self._to_send: set[int] = set()
        self._sent = False
        self._changed = anyio.Event()

    async def next(self) -> StopRequest:
        """Wait until attempts are cancelled, and return the request for it."""
        while not self._to_send:
            await self._change()
        attempts, self._to_send = frozenset(self._to_send), set()
        self._sent = True
        return StopRequest(self.header.call, attempts)

    async def settled(self) -> None:
        """Wait until every request has been answered, or has timed out."""
        while self._to_send or self._sent:
            await self._change()

    def answered(self, request: StopRequest, stopped: StopResult | None) -> None:
        """Handle the worker's answer to a request; None if there was none."""
        self._sent = False
        self._changed.set()
        if stopped is None:
            self._context.drop_or_interrupt(request.attempts & self._context.pending)
        else:
            self._context.stopped(stopped, self.header.worker)

    def stop(self, attempts: frozenset[int]) -> StopResult:
        """Request to stop attempts; :meth:`answered` gets the answer. A call without a header has started nothing."""
        if self.header.call:
            self._to_send |= attempts
            self._changed.set()
        else:
            self._context.drop_or_interrupt(attempts)
        return NOTHING_STOPPED

    def stop_running(self, attempts: frozenset[int]) -> StopResult:
        """Request to stop attempts among others, of which the outcomes follow."""
        return self.stop(attempts)

    async def _change(self) -> None:
        if self._changed.is_set():
            self._changed = anyio.Event()
        await self._changed.wait()
