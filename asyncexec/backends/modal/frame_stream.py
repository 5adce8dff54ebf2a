"""The frames of one call, from the task that reads them from Modal to the task that handles them."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncIterator

import anyio

from asyncexec.backends.adapters.call_context import CallContext


class FrameStream:
    """The frames and the state of one call."""

    def __init__(self, context: CallContext) -> None:
        self.context = context
        self.call_id = ""
        self.container = ""
        """``call_id`` and ``container``: known as soon as a container has started the call."""
        self.dropped: set[int] = set()
        """Attempts that the container was requested not to start."""
        self.cancelled = False
        """True if the call was cancelled."""
        self.error: Exception | None = None
        """The error that ended the call."""
        self.closed = anyio.Event()
        """Set when the call has ended."""
        self._frames: deque[bytes] = deque()
        self._changed = anyio.Event()

    @property
    def ended(self) -> bool:
        """True if no more frames come."""
        return self.closed.is_set()

    def feed(self, frame: bytes) -> bool:
        """Add a frame; return False if no more are wanted."""
        if self.call_id:
            self._frames.append(frame)
        else:
            self.call_id, self.container = json.loads(frame)
        self._changed.set()
        return not self.cancelled

    def end(self) -> None:
        """End the stream."""
        self.closed.set()
        self._changed.set()

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield the frames as they come, and raise the error of the call, if it failed."""
        while True:
            while self._frames:
                yield self._frames.popleft()
                self._interrupt_dropped()
            if self.ended:
                break
            self._changed = anyio.Event()
            await self._changed.wait()
        if self.error is not None:
            raise self.error

    def _interrupt_dropped(self) -> None:
        running = self.context.running
        if running is not None and running.attempt in self.dropped & self.context.pending:
            self.context.interrupt([running.attempt])
