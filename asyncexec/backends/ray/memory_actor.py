"""The actor that holds a cluster memory on Ray: large values in Ray's object store, small ones in the actor itself.

An object belongs to the process that has put it there, and goes with it. So the actor, which outlives every worker,
puts each large value there itself, and readers on its machine map it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asyncexec.cluster_memory.entries import Entry, EntryTable
from asyncexec.cluster_memory.keys import nearest_keys
from asyncexec.errors import ClusterMemoryError
from asyncexec.storage.places.locked_directory import LockedDirectory
from asyncexec.worker.value_layout import file_contents, value_pieces, write_value

LARGE_BYTES = 64_000
CHECK_SECONDS = 15.0
MISSING, HERE, THERE = "missing", "here", "there"

type Packed = tuple[bytes, Sequence[Any]]
"""The pickle of a value, and the buffers that it is made of."""


class RayMemoryActor:
    """Holds values by space, namespace and key; runs as an actor.

    Parameters
    ----------
    quota : int or None
        The bytes that may be in memory; the oldest values beyond go to the disk of the actor's machine.
    job : str
        The driver's job: the actor ends itself once that has ended, if the driver could not do so.
    """

    def __init__(self, quota: int | None, job: str) -> None:
        self._table = EntryTable(quota)
        self._ended: set[str] = set()
        self._job = job
        self._directory: LockedDirectory | None = None
        self._watch: asyncio.Task[None] | None = None

    async def put(self, names: tuple[str, str, str], packed: Packed, ttl: float | None) -> None:
        """Take over a value."""
        self._open(names[0])
        data, buffers = packed
        nbytes = len(data) + sum(memoryview(buffer).nbytes for buffer in buffers)
        stored: Any = packed
        if nbytes >= LARGE_BYTES:
            import ray

            stored = ray.put(_to_pickle(packed))
        now = time.monotonic()
        expires_at = None if ttl is None else now + ttl
        self._forget(self._table.expire(now))
        self._forget(
            self._table.put(Entry(names, stored, nbytes, in_memory=True, expires_at=expires_at))
        )
        for entry in self._table.exceed():
            await self._move_to_disk(entry)

    async def get(self, names: tuple[str, str, str]) -> tuple[str, Any]:
        """Return whether a value is missing, here or in the object store, and it (or the nearest keys)."""
        space, namespace, key = names
        self._open(space)
        now = time.monotonic()
        entry = self._table.get(space, namespace, key, now)
        if entry is None:
            return MISSING, nearest_keys(key, self._table.keys(space, namespace, now))
        if isinstance(entry.stored, Path):
            return HERE, _to_pickle(_read(entry.stored))
        if isinstance(entry.stored, tuple):
            return HERE, _to_pickle(entry.stored)
        return THERE, [entry.stored]

    async def exists(self, names: tuple[str, str, str]) -> bool:
        """Return whether there is a value."""
        self._open(names[0])
        return self._table.get(*names, time.monotonic()) is not None

    async def delete(self, names: tuple[str, str, str]) -> bool:
        """Delete a value, and return whether there was one."""
        self._open(names[0])
        entry = self._table.get(*names, time.monotonic())
        if entry is not None:
            self._table.remove(entry)
            self._forget([entry])
        return entry is not None

    async def keys(self, space: str, namespace: str) -> list[str]:
        """Return the keys of a namespace."""
        self._open(space)
        return self._table.keys(space, namespace, time.monotonic())

    async def clear(self, space: str, namespace: str) -> None:
        """Delete the values of a namespace."""
        self._open(space)
        self._forget(self._table.clear(space, namespace))

    async def close_space(self, space: str) -> None:
        """Delete a space; nothing is put there any more."""
        self._ended.add(space)
        self._forget(self._table.close(space))

    async def ready(self) -> int:
        """Return the process of the actor, once it runs."""
        if self._watch is None:
            self._watch = asyncio.get_running_loop().create_task(self._end_with_job())
        return os.getpid()

    def _open(self, space: str) -> None:
        if space not in self._ended:
            self._table.open(space)

    def _forget(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if isinstance(entry.stored, Path):
                entry.stored.unlink(missing_ok=True)

    async def _move_to_disk(self, entry: Entry) -> None:
        stored = entry.stored
        packed: Packed = stored if isinstance(stored, tuple) else await stored
        if not self._table.holds(entry):
            return
        if self._directory is None:
            self._directory = LockedDirectory.make()
        path = self._directory.path / str(id(entry))
        data, buffers = packed
        with path.open("wb") as file:
            write_value(file, data, [memoryview(buffer).cast("B") for buffer in buffers])
        entry.stored = path

    async def _end_with_job(self) -> None:
        """End this process when the driver's job has ended: a driver that was killed could not end the actor."""
        while not _has_ended(self._job):  # noqa: ASYNC110 - Ray has no event for it
            await asyncio.sleep(CHECK_SECONDS)
        if self._directory is not None:
            self._directory.remove()
        os._exit(0)


def _to_pickle(packed: Packed) -> Packed:
    """Return a packed value whose buffers Ray passes without copies."""
    data, buffers = packed
    return data, [pickle.PickleBuffer(buffer) for buffer in buffers]


def _read(path: Path) -> Packed:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        data, buffers = value_pieces(memoryview(file_contents(descriptor)))
    finally:
        os.close(descriptor)
    return bytes(data), buffers


def _has_ended(job: str) -> bool:
    """Return whether a job is known to have ended; Ray says so to its own code only."""
    with contextlib.suppress(Exception):
        from ray._private.worker import global_worker

        this: Any = global_worker
        jobs: Any = this.gcs_client.get_all_job_info()
        return any(each.hex() == job and info.is_dead for each, info in jobs.items())
    return False


def actor_gone(name: str, error: BaseException) -> ClusterMemoryError:
    """Return the error for an actor that has died."""
    return ClusterMemoryError(
        f"the cluster memory of this run is lost: its actor {name!r} on Ray has died, or the machine that it was on: "
        f"{(str(error).splitlines() or [type(error).__name__])[0]}. Run the plan again"
    )
