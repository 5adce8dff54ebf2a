"""Large values in the memory of Dask workers: kept there as Dask keeps results, and fetched from worker to worker.

Each is a key of the cluster that the engine's client wants, as if it had been scattered: Dask spills it to disk when
values take much of the worker's memory, moves it when the worker is retired, and deletes it when the client releases
the key or is gone. This module is what runs on workers, and what the driver shares with them.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from asyncexec.errors import ValueLostError
from asyncexec.events.outcome import ValueHandle

if TYPE_CHECKING:
    from asyncexec.worker.values import PickledValue

BUSY_SECONDS = 0.02
"""How long a worker that has too many requests is left alone before the next."""


class KeptValue:
    """A pickled value on a Dask worker; Dask moves and spills its buffers without copying them.

    Parameters
    ----------
    data : bytes
        The pickle.
    buffers : sequence of bytes-like
        The buffers that it refers to.
    fixed : sequence of bool
        For each of them, whether it must not be written to.
    """

    def __init__(self, data: Any, buffers: Sequence[Any], fixed: Sequence[bool]) -> None:
        self._data = data
        self._buffers = buffers
        self._fixed = fixed

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        buffers = [pickle.PickleBuffer(buffer) for buffer in self._buffers]
        return KeptValue, (pickle.PickleBuffer(self._data), buffers, self._fixed)

    def __sizeof__(self) -> int:
        """Return what Dask's management of memory reckons with."""
        return memoryview(self._data).nbytes + sum(memoryview(b).nbytes for b in self._buffers)

    @classmethod
    def of(cls, value: PickledValue) -> KeptValue:
        """Return a value as it is kept; what its maker may still change is copied."""
        fixed = [buffer.readonly for buffer in value.buffers]
        buffers = [b if b.readonly else bytearray(b) for b in value.buffers]
        return cls(value.data, buffers, fixed)

    def load(self) -> Any:
        """Return the value; what its reader may change is copied."""
        pairs = zip(self._buffers, self._fixed, strict=True)
        buffers = [memoryview(b).toreadonly() if fixed else bytearray(b) for b, fixed in pairs]
        return pickle.loads(self._data, buffers=buffers)  # noqa: S301 - the value of a value stage


class DaskWorkerValues:
    """The values as a worker uses them (see :class:`~asyncexec.worker.values.ValueStore`).

    Parameters
    ----------
    client : str
        The identity of the engine's client, to whom the values belong.
    prefix : str
        Begins the keys of this engine.
    """

    def __init__(self, client: str, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    def put(self, attempt: int, value: PickledValue, /) -> ValueHandle:
        """Keep the value that ``attempt`` has returned."""
        worker = _worker()
        key, kept = f"{self._prefix}-{attempt}", KeptValue.of(value)
        _in_loop(worker, _keep(worker, key, kept, value.nbytes, self._client))
        return ValueHandle(worker.address, key, value.nbytes)

    def get(self, handle: ValueHandle, /) -> Any:
        """Return the value, from this worker or another."""
        worker = _worker()
        kept: KeptValue = _in_loop(worker, _find(worker, handle))
        return kept.load()

    def delete(self, handles: Collection[ValueHandle], /) -> None:
        """Do nothing: the driver deletes."""


async def fetch_kept(handle: ValueHandle, pool: Any, scheduler: Any | None) -> KeptValue:
    """Return a value from a worker that has it, by connections of ``pool``, in any event loop.

    The scheduler is asked first: Dask would try for half a minute to connect to a worker that has died. Without
    ``scheduler``, the value is where its handle says, or lost.

    Raises
    ------
    ValueLostError
        If no worker has it.
    """
    places = (handle.place,)
    if scheduler is not None:
        found = await scheduler.who_has(keys=[handle.key])
        places = found.get(handle.key, ())
    for place in places:
        kept = await _from_worker(handle, place, pool)
        if kept is not None:
            return kept
    raise ValueLostError(
        f"a value of {handle.nbytes:,} bytes is gone from the memory of Dask worker {handle.place}, where it was "
        f"kept for the tasks that read it: the worker died or left",
        handle,
    )


async def _from_worker(handle: ValueHandle, address: str, pool: Any) -> KeptValue | None:
    from distributed.worker import get_data_from_worker

    try:
        while True:
            answer: Any = await get_data_from_worker(pool, [handle.key], address)
            if answer["status"] != "busy":
                kept: KeptValue | None = answer["data"].get(handle.key)
                return kept
            await asyncio.sleep(BUSY_SECONDS)
    except OSError:  # The worker is gone.
        return None


async def _find(worker: Any, handle: ValueHandle) -> KeptValue:
    kept: KeptValue | None = worker.data.get(handle.key)
    return await fetch_kept(handle, worker.rpc, worker.scheduler) if kept is None else kept


async def _keep(worker: Any, key: str, kept: KeptValue, nbytes: int, client: str) -> None:
    worker.update_data({key: kept})
    await worker.scheduler.update_data(
        who_has={key: [worker.address]}, nbytes={key: nbytes}, client=client
    )


def _worker() -> Any:
    """Return the Dask worker of this process; batches run in threads of ours, which Dask does not know."""
    from distributed import Worker

    return next(w for w in Worker._instances if w.status.name in _WORKING)  # noqa: SLF001 - as get_worker does elsewhere


_WORKING = frozenset({"running", "paused", "closing_gracefully"})


def _in_loop(worker: Any, coroutine: Any) -> Any:
    return asyncio.run_coroutine_threadsafe(coroutine, worker.loop.asyncio_loop).result()
