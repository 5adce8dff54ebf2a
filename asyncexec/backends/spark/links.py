"""The driver's side of the connections that workers make to it."""

from __future__ import annotations

import asyncio
import pickle
import secrets
from collections.abc import AsyncIterator

from asyncexec.backends.adapters.remote import RemoteCaller
from asyncexec.backends.spark.worker_side import MISSING, TOKEN_BYTES, enable_keepalive
from asyncexec.worker.framing import PREFIX_BYTES, frame_length, frame_prefix
from asyncexec.worker.remote_batch import NEEDS_PROGRAM, RemoteBatch

HANDSHAKE_SECONDS = 30.0
KILL_SECONDS = 2.0
_CHUNK = 1 << 20


class WorkerLink:
    """The connection of a worker, which runs one call at a time."""

    def __init__(
        self, worker: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.worker = worker
        """The name of the worker."""
        self.caller = RemoteCaller()
        """Remembers the programs that this worker has."""
        self._reader = reader
        self._writer = writer

    @property
    def alive(self) -> bool:
        """True unless the worker is known to have disconnected."""
        return not (self._reader.at_eof() or self._writer.is_closing())

    async def send(self, call: RemoteBatch) -> bytes:
        """Send ``call`` to the worker, and return its answer; raises ConnectionError if the worker dies meanwhile."""
        await self._write(call)
        return await self._read()

    async def stream(self, call: RemoteBatch) -> AsyncIterator[bytes]:
        """Send ``call``, of which many attempts run at once, and yield its frames as they come; raises the same."""
        await self._write(call)
        while frame := await self._read():
            yield NEEDS_PROGRAM if frame == MISSING else frame

    async def _write(self, call: RemoteBatch) -> None:
        # Draining may be awaited before reading, because neither side reads while it writes.
        frame = pickle.dumps(call, protocol=5)
        self._writer.write(frame_prefix(len(frame)))
        self._writer.write(frame)
        await self._writer.drain()

    async def _read(self) -> bytes:
        try:
            return await read_frame(self._reader)
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError(f"worker {self.worker} died") from error

    def disconnect(self) -> None:
        """Close the connection, which ends an idle worker."""
        self._writer.transport.abort()

    async def kill(self) -> None:
        """End the worker, by force if it runs something; return when it has ended, or does not seem to."""
        try:
            self._writer.write_eof()
            async with asyncio.timeout(KILL_SECONDS):
                while await self._reader.read(_CHUNK):
                    pass
        except (TimeoutError, OSError):
            pass
        finally:
            self._writer.transport.abort()


class WorkerListener:
    """Accepts the connections of workers that have a token, and no others."""

    def __init__(self) -> None:
        self._expected: dict[bytes, asyncio.Future[WorkerLink]] = {}
        self._server: asyncio.Server | None = None

    async def open(self, host: str, port: int) -> int:
        """Listen, and return the port."""
        self._server = await asyncio.start_server(self._accept, host, port)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    def issue_token(self) -> tuple[bytes, asyncio.Future[WorkerLink]]:
        """Return a token for one worker, and the future of its connection."""
        token = secrets.token_bytes(TOKEN_BYTES)
        future: asyncio.Future[WorkerLink] = asyncio.get_running_loop().create_future()
        self._expected[token] = future
        future.add_done_callback(lambda _: self._expected.pop(token, None))
        return token, future

    async def close(self) -> None:
        """Stop listening."""
        for future in list(self._expected.values()):
            future.cancel()
        if self._server is not None:
            self._server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        enable_keepalive(writer.get_extra_info("socket"))
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                token = await reader.readexactly(TOKEN_BYTES)
                expected = self._expected.pop(token, None)
                if expected is not None:
                    name = (await read_frame(reader)).decode(errors="replace")
                    if not expected.done():
                        expected.set_result(WorkerLink(name, reader, writer))
                        return
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            pass  # Not a worker, or one that died in the handshake: its Spark job reports that.
        writer.transport.abort()


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """Return the next frame."""
    size = frame_length(await reader.readexactly(PREFIX_BYTES))
    return await reader.readexactly(size)
