"""The driver's end of the socket to a worker process, on the event loop, never blocking."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Callable

from asyncexec.backends.processes.frames import Bytes, FrameParser, TakeFrame

# Well below what the system takes in one call (IOV_MAX is 1024).
_MOST_BUFFERS = 256


class Channel:
    """A connected socket: receives frames, sends buffers.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
    sock : socket.socket
        The socket, which the channel owns from now on.
    take : callable
        Called with every frame.
    ended : callable
        Called once, when the other side has closed.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        take: TakeFrame,
        ended: Callable[[], None],
    ) -> None:
        sock.settimeout(0.0)
        self._loop = loop
        self._socket = sock
        self._descriptor = sock.fileno()
        self._frames = FrameParser(take)
        self._ended = ended
        self._unsent: deque[memoryview] = deque()
        self._reading = True
        self._writable = True
        loop.add_reader(self._descriptor, self._readable)

    def send(self, *buffers: Bytes) -> None:
        """Send ``buffers``, at once or as soon as the socket has room."""
        if not self._writable:
            return
        waiting = bool(self._unsent)
        self._unsent.extend(memoryview(b).cast("B") for b in buffers if len(b))
        if not waiting:
            self._flush()
            if self._unsent and self._writable:
                self._loop.add_writer(self._descriptor, self._flush)

    def end(self) -> None:
        """Shut down the sending side."""
        if self._writable:
            self._stop_writing()
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)

    def drain(self) -> None:
        """Process the bytes that have arrived, without waiting for more."""
        while self._reading and self._receive():
            pass

    def close(self) -> None:
        """Close the socket."""
        self._stop_reading()
        self._stop_writing()
        self._socket.close()

    def _readable(self) -> None:
        self._receive()

    def _receive(self) -> bool:
        """Receive once; return whether there was anything."""
        try:
            count = self._socket.recv_into(self._frames.free_space())
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            count = 0
        if count:
            self._frames.received(count)
            return True
        self._stop_reading()
        self._ended()
        return False

    def _flush(self) -> None:
        try:
            while self._unsent:
                pieces = [self._unsent[n] for n in range(min(len(self._unsent), _MOST_BUFFERS))]
                self._sent(self._socket.sendmsg(pieces))
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            # The other side is gone; the receiving side notices that.
            self._stop_writing()
            return
        self._loop.remove_writer(self._descriptor)

    def _sent(self, count: int) -> None:
        while count:
            piece = self._unsent[0]
            if count < piece.nbytes:
                self._unsent[0] = piece[count:]
                return
            count -= piece.nbytes
            self._unsent.popleft()

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._descriptor)

    def _stop_writing(self) -> None:
        if self._writable:
            self._writable = False
            self._unsent.clear()
            self._loop.remove_writer(self._descriptor)
