"""The large values of one engine on a Dask cluster, as its driver sees them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from asyncexec.backends.dask.value_exchange import DaskWorkerValues, KeptValue, fetch_kept
from asyncexec.errors import ValueLostError
from asyncexec.events.outcome import ValueHandle

if TYPE_CHECKING:
    from asyncexec.worker.values import PickledValue


class DaskValues:
    """Values in the memory of Dask workers (see :class:`~asyncexec.worker.values.ValueStore`).

    Parameters
    ----------
    client : distributed.Client
        Asynchronous, of the running event loop.
    prefix : str
        Begins the keys of this engine's values.
    own : bool
        Whether the scheduler runs in this event loop, so that it does not answer while the loop waits.
    """

    def __init__(self, client: Any, prefix: str, *, own: bool) -> None:
        self._client = client
        self._prefix = prefix
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._own = own
        self._closed = False

    def __reduce__(self) -> tuple[type[DaskWorkerValues], tuple[str, str]]:
        return DaskWorkerValues, (self._client.id, self._prefix)  # The workers' side.

    def put(self, attempt: int, value: PickledValue, /) -> None:
        """Keep nothing on the driver."""

    def get(self, handle: ValueHandle, /) -> Any:
        """Return a value; for the thread of the engine's event loop, which waits, another loop fetches it."""
        if self._closed:
            raise self._gone(handle)
        if threading.get_ident() == self._thread:
            return self._fetched_apart(handle).load()
        client = self._client
        try:
            fetching = asyncio.run_coroutine_threadsafe(
                fetch_kept(handle, client.rpc, client.scheduler), self._loop
            )
        except RuntimeError as error:  # The loop is closed.
            raise self._gone(handle) from error
        return fetching.result().load()

    def delete(self, handles: Collection[ValueHandle], /) -> None:
        """Release the values on the cluster."""
        if self._closed or not handles:
            return
        message = {
            "op": "client-releases-keys",
            "keys": [handle.key for handle in handles],
            "client": self._client.id,
        }
        with contextlib.suppress(RuntimeError):  # The loop is closed, and the client with it.
            self._loop.call_soon_threadsafe(self._send, message)

    def discard(self, attempts: Collection[int], /) -> None:
        """Release what attempts have left that ended without reporting it."""
        self.delete([ValueHandle("", f"{self._prefix}-{attempt}", 0) for attempt in attempts])

    def close(self) -> None:
        """Forget all values: the scheduler releases them when the client disconnects."""
        self._closed = True

    def _send(self, message: dict[str, Any]) -> None:
        if not self._closed and self._client.status == "running":
            self._client._send_to_scheduler(message)  # noqa: SLF001 - futures would be made for all keys just to do this

    def _fetched_apart(self, handle: ValueHandle) -> KeptValue:
        """Fetch a value by an event loop of Dask's own, in another thread."""
        from distributed.utils import LoopRunner

        runner: Any = LoopRunner(asynchronous=False)
        runner.start()
        try:
            kept: KeptValue = runner.run_sync(self._fetched_by_own_pool, handle)
        finally:
            runner.stop()
        return kept

    async def _fetched_by_own_pool(self, handle: ValueHandle) -> KeptValue:
        from distributed.core import ConnectionPool

        pool = ConnectionPool(connection_args=self._client.connection_args)
        await pool.start()
        try:
            scheduler = None if self._own else pool(self._client.scheduler.address)
            return await fetch_kept(handle, pool, scheduler)
        finally:
            await pool.close()

    @staticmethod
    def _gone(handle: ValueHandle) -> ValueLostError:
        return ValueLostError(
            f"a value of {handle.nbytes:,} bytes is gone with the connection to the Dask cluster that kept it",
            handle,
        )
