"""The cluster memory as tasks and drivers call it: awaited, or blocking."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from asyncexec.cluster_memory.client import MemoryClient
from asyncexec.cluster_memory.keys import checked_name
from asyncexec.config.checks import amount

DEFAULT_NAMESPACE = "default"


class BlockingMemory:
    """The values that the tasks of a run share, by calls that block; see :class:`ClusterMemory` for those to await.

    >>> def count(word):
    ...     memory = ax.get_cluster_memory().sync
    ...     memory.put(word, len(word), namespace="lengths")
    ...     return memory.get(word, namespace="lengths")
    >>> async with ax.Engine() as engine:
    ...     (await engine.execute(ax.Plan.map(count, ["one", "three"]))).value
    [3, 5]

    Parameters
    ----------
    client : MemoryClient
    namespace : str
        The namespace of calls that name none.
    """

    def __init__(self, client: MemoryClient, namespace: str = DEFAULT_NAMESPACE) -> None:
        self._client = client
        self.namespace = checked_name(namespace, "namespace")

    def put(
        self, key: str, value: Any, *, namespace: str | None = None, ttl: float | None = None
    ) -> None:
        """Store a value under a key, in place of the one that was there; as :meth:`ClusterMemory.put`."""
        kept = None if ttl is None else amount(ttl, "ttl", above_zero=True)
        self._client.put(self._in(namespace), checked_name(key, "key"), value, kept)

    def get(self, key: str, *, namespace: str | None = None) -> Any:
        """Return the value of a key; as :meth:`ClusterMemory.get`."""
        return self._client.get(self._in(namespace), checked_name(key, "key"))

    def delete(self, key: str, *, namespace: str | None = None) -> bool:
        """Delete the value of a key, and return whether there was one."""
        return self._client.delete(self._in(namespace), checked_name(key, "key"))

    def exists(self, key: str, *, namespace: str | None = None) -> bool:
        """Return whether there is a value under a key."""
        return self._client.exists(self._in(namespace), checked_name(key, "key"))

    def keys(self, *, namespace: str | None = None) -> Sequence[str]:
        """Return the keys of a namespace."""
        return self._client.keys(self._in(namespace))

    def clear(self, *, namespace: str | None = None) -> None:
        """Delete all values of a namespace, and no others."""
        self._client.clear(self._in(namespace))

    def _in(self, namespace: str | None) -> str:
        return self.namespace if namespace is None else checked_name(namespace, "namespace")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, namespace {self.namespace!r}>"


class ClusterMemory:
    """The values that the tasks of a run share by key: the same for all its workers, and for the driver.

    Tasks get it by ``ax.get_cluster_memory()``, the driver by ``execution.cluster_memory``, or with
    ``lifetime="engine"`` by ``engine.cluster_memory``. A value is stored as it is at the time of the call, and what
    ``get`` returns belongs to the caller; arrays are passed without copies where the executor can, so that on Ray they
    cannot be written to.

    >>> async def remember(number):
    ...     memory = ax.get_cluster_memory()
    ...     await memory.put(f"square of {number}", number**2)
    ...     return number
    >>> async def recall(number):
    ...     return await ax.get_cluster_memory().get(f"square of {number}")
    >>> async with ax.Engine(executor="processes") as engine:
    ...     (await engine.execute(ax.Plan.map(remember, [2, 3]).then(recall))).value
    [4, 9]

    Parameters
    ----------
    client : MemoryClient
    namespace : str
        The namespace of calls that name none.
    """

    def __init__(self, client: MemoryClient, namespace: str = DEFAULT_NAMESPACE) -> None:
        self._blocking = BlockingMemory(client, namespace)

    @property
    def sync(self) -> BlockingMemory:
        """The same memory, by calls that block: for functions that are not coroutine functions."""
        return self._blocking

    async def put(
        self, key: str, value: Any, *, namespace: str | None = None, ttl: float | None = None
    ) -> None:
        """Store a value under a key, in place of the one that was there.

        Parameters
        ----------
        key : str
        value
            Anything that can be pickled, with cloudpickle if need be.
        namespace : str, optional
            By default that of the run.
        ttl : float, optional
            Seconds after which the value is gone.

        Raises
        ------
        SerializationError
            If the value cannot be pickled.
        OutOfSpaceError
            If there is no room for it, in memory or on disk.
        ClusterMemoryError
            If the run has ended, or the memory is lost.
        """
        await asyncio.to_thread(self._blocking.put, key, value, namespace=namespace, ttl=ttl)

    async def get(self, key: str, *, namespace: str | None = None) -> Any:
        """Return the value of a key.

        Raises
        ------
        KeyNotFoundError
            If there is none (a ``KeyError``); it names the nearest keys that are there.
        ClusterMemoryError
            If the run has ended, or the memory is lost.
        """
        return await asyncio.to_thread(self._blocking.get, key, namespace=namespace)

    async def delete(self, key: str, *, namespace: str | None = None) -> bool:
        """Delete the value of a key, and return whether there was one: a task that runs twice deletes twice."""
        return await asyncio.to_thread(self._blocking.delete, key, namespace=namespace)

    async def exists(self, key: str, *, namespace: str | None = None) -> bool:
        """Return whether there is a value under a key."""
        return await asyncio.to_thread(self._blocking.exists, key, namespace=namespace)

    async def keys(self, *, namespace: str | None = None) -> Sequence[str]:
        """Return the keys of a namespace."""
        return await asyncio.to_thread(self._blocking.keys, namespace=namespace)

    async def clear(self, *, namespace: str | None = None) -> None:
        """Delete all values of a namespace, and no others."""
        await asyncio.to_thread(self._blocking.clear, namespace=namespace)

    def __repr__(self) -> str:
        return f"<ClusterMemory, namespace {self._blocking.namespace!r}>"
