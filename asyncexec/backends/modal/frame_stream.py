"""The frames of one call, between the task that reads them from Modal and the one that waits for them."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncIterator

import anyio

from asyncexec.backends.adapters.calls import CallContext


class Flow:
    """One call.

    Attributes
    ----------
    call_id, container : str
        Known as soon as a container has begun with it.
    dropped : set of int
        Attempts that are not wanted, and that the container was told not to start.
    unwanted : bool
        Nobody waits for it any more.
    error : Exception or None
        Why it ended.
    closed : anyio.Event
        Set when it has ended.
    """

    def __init__(self, context: CallContext) -> None:
        self.context = context
        self.call_id = ""
        self.container = ""
        self.dropped: set[int] = set()
        self.unwanted = False
        self.error: Exception | None = None
        self.closed = anyio.Event()
        self._frames: deque[bytes] = deque()
        self._changed = anyio.Event()

    @property
    def ended(self) -> bool:
        """Whether no more frames come."""
        return self.closed.is_set()

    def take(self, frame: bytes) -> bool:
        """Take a frame in; False if no more are wanted."""
        if self.call_id:
            self._frames.append(frame)
        else:
            self.call_id, self.container = json.loads(frame)
        self._changed.set()
        return not self.unwanted

    def end(self) -> None:
        """Take note that no more frames come."""
        self.closed.set()
        self._changed.set()

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield them as they come, and raise why the call ended, if it failed."""
        while True:
            while self._frames:
                yield self._frames.popleft()
                self._stop_what_started_nevertheless()
            if self.ended:
                break
            self._changed = anyio.Event()
            await self._changed.wait()
        if self.error is not None:
            raise self.error

    def _stop_what_started_nevertheless(self) -> None:
        running = self.context.running
        if running is not None and running.attempt in self.dropped & self.context.pending:
            self.context.interrupt([running.attempt])
