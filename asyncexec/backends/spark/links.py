"""The driver's side of the connections that workers make to it."""

from __future__ import annotations

import asyncio
import pickle
import secrets

from asyncexec.backends.adapters.remote import RemoteCaller
from asyncexec.backends.spark.worker_side import TOKEN_BYTES, notice_silence
from asyncexec.worker.framing import PREFIX_BYTES, frame_length, frame_prefix
from asyncexec.worker.remote_batch import RemoteBatch

GREETING_SECONDS = 30.0
KILL_SECONDS = 2.0
_CHUNK = 1 << 20


class Link:
    """A worker that runs one call at a time.

    Attributes
    ----------
    worker : str
        Its name.
    caller : RemoteCaller
        Remembers which programs this worker has.
    """

    def __init__(
        self, worker: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.worker = worker
        self.caller = RemoteCaller()
        self._reader = reader
        self._writer = writer

    @property
    def alive(self) -> bool:
        """Whether the worker has not hung up, as far as is known."""
        return not (self._reader.at_eof() or self._writer.is_closing())

    async def send(self, call: RemoteBatch) -> bytes:
        """Have ``call`` made, and return what it returned.

        Raises
        ------
        ConnectionError
            If the worker dies under it.
        """
        # Not to be awaited before it is read: neither side reads while it writes.
        frame = pickle.dumps(call, protocol=5)
        self._writer.write(frame_prefix(len(frame)))
        self._writer.write(frame)
        try:
            await self._writer.drain()
            return await read_frame(self._reader)
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError(f"worker {self.worker} died") from error

    def hang_up(self) -> None:
        """Let an idle worker go."""
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


class Listener:
    """Takes the connections of workers that were invited, and no others."""

    def __init__(self) -> None:
        self._awaited: dict[bytes, asyncio.Future[Link]] = {}
        self._server: asyncio.Server | None = None

    async def open(self, host: str, port: int) -> int:
        """Listen, and return on which port."""
        self._server = await asyncio.start_server(self._greet, host, port)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    def expect(self) -> tuple[bytes, asyncio.Future[Link]]:
        """Return a token for one worker, and its link to come."""
        token = secrets.token_bytes(TOKEN_BYTES)
        future: asyncio.Future[Link] = asyncio.get_running_loop().create_future()
        self._awaited[token] = future
        future.add_done_callback(lambda _: self._awaited.pop(token, None))
        return token, future

    async def close(self) -> None:
        """Listen no more."""
        for future in list(self._awaited.values()):
            future.cancel()
        if self._server is not None:
            self._server.close()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        notice_silence(writer.get_extra_info("socket"))
        try:
            async with asyncio.timeout(GREETING_SECONDS):
                token = await reader.readexactly(TOKEN_BYTES)
                awaited = self._awaited.pop(token, None)
                if awaited is not None:
                    name = (await read_frame(reader)).decode(errors="replace")
                    if not awaited.done():
                        awaited.set_result(Link(name, reader, writer))
                        return
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            pass  # A stranger, or one that died while it said its name: its Spark job tells.
        writer.transport.abort()


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """Return the next frame."""
    size = frame_length(await reader.readexactly(PREFIX_BYTES))
    return await reader.readexactly(size)
