"""Values by key, in the cluster memory of a run or as artifacts: one interface for both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from asyncexec.artifacts.finding import DEFAULT_NAMESPACE, artifact_in, ensure_artifact
from asyncexec.artifacts.hooks import TYPE, object_to_artifact
from asyncexec.artifacts.loading import value_from_artifact
from asyncexec.artifacts.settings import (
    ArtifactStorage,
    Strategy,
    checked_strategy,
    storage_here,
)
from asyncexec.cluster_memory.inside import get_cluster_memory
from asyncexec.errors import (
    AsyncexecError,
    ClusterMemoryError,
    KeyNotFoundError,
    OptionError,
    OutOfSpaceError,
    SerializationError,
    UsageError,
)
from asyncexec.worker.task_context import get_run_context

if TYPE_CHECKING:
    from asyncexec.artifacts.artifact import Artifact
    from asyncexec.artifacts.hooks import LoadHook, SaveHook
    from asyncexec.cluster_memory.handle import BlockingMemory, ClusterMemory

# What a memory may fail with that an artifact need not: it is away, full, or cannot hold such a value.
_FAILURES = (ClusterMemoryError, OutOfSpaceError, SerializationError)


class BlockingObjectStore:
    """Values by key, by calls that block; see :class:`ObjectStore`, which has the same to be awaited.

    Parameters
    ----------
    memory : BlockingMemory or None
    storage : ArtifactStorage or None
    namespace : str
    strategy : str
    """

    def __init__(
        self,
        memory: BlockingMemory | None,
        storage: ArtifactStorage | None,
        namespace: str,
        strategy: str,
    ) -> None:
        self._memory = memory
        self._storage = storage
        self._namespace = namespace
        self._strategy: Strategy = checked_strategy(strategy)

    def put(
        self,
        key: str,
        value: Any,
        *,
        namespace: str = "",
        strategy: str | None = None,
        save_artifact_hook: SaveHook = object_to_artifact,
        ttl: float | None = None,
    ) -> None:
        """Store a value; as :meth:`ObjectStore.put`."""
        chosen, where = self._chosen(strategy), namespace or self._namespace
        if chosen != "artifact":
            try:
                self._needed_memory().put(key, value, namespace=where, ttl=ttl)
            except _FAILURES:
                if chosen == "cluster_memory" or self._storage is None:
                    raise
            else:
                self._forget_artifact(key, where)
                return
        artifact = self._artifact(key, where)
        ensure_artifact(artifact)
        with artifact.transaction():
            artifact.clear()
            save_artifact_hook(artifact, value)
        # Only now: whoever reads meanwhile finds the old value or the new one.
        self._forget_in_memory(key, where)

    def get(
        self,
        key: str,
        *,
        namespace: str = "",
        strategy: str | None = None,
        load_artifact_hook: LoadHook = value_from_artifact,
    ) -> Any:
        """Return a value; as :meth:`ObjectStore.get`."""
        chosen, where = self._chosen(strategy), namespace or self._namespace
        missing: AsyncexecError | None = None
        if chosen != "artifact":
            try:
                return self._needed_memory().get(key, namespace=where)
            except (KeyNotFoundError, ClusterMemoryError) as error:
                if chosen == "cluster_memory" or self._storage is None:
                    raise
                missing = error
        artifact = self._artifact(key, where)
        if not _is_complete(artifact):
            raise KeyNotFoundError(
                f"there is no {key!r} in namespace {where!r} of the object store"
                f"{'' if missing is None else ', in cluster memory or as an artifact'}"
            ) from missing
        return load_artifact_hook(artifact)

    def delete(self, key: str, *, namespace: str = "", strategy: str | None = None) -> bool:
        """Delete a value, and return whether there was one; as :meth:`ObjectStore.delete`."""
        chosen, where = self._chosen(strategy), namespace or self._namespace
        there = False
        if chosen == "cluster_memory":
            there = self._needed_memory().delete(key, namespace=where)
        elif chosen == "fallback":
            there = self._forget_in_memory(key, where)
        if chosen == "artifact" or (chosen == "fallback" and self._storage is not None):
            artifact = self._artifact(key, where)
            there = artifact.exists or there
            artifact.delete()
        return there

    def exists(self, key: str, *, namespace: str = "", strategy: str | None = None) -> bool:
        """Return whether there is a value; as :meth:`ObjectStore.exists`."""
        chosen, where = self._chosen(strategy), namespace or self._namespace
        if chosen != "artifact":
            try:
                if self._needed_memory().exists(key, namespace=where):
                    return True
            except ClusterMemoryError:
                if chosen == "cluster_memory" or self._storage is None:
                    raise
        if chosen == "cluster_memory" or (chosen == "fallback" and self._storage is None):
            return False
        return _is_complete(self._artifact(key, where))

    def _chosen(self, strategy: str | None) -> Strategy:
        return self._strategy if strategy is None else checked_strategy(strategy)

    def _needed_memory(self) -> BlockingMemory:
        if self._memory is None:
            raise ClusterMemoryError(
                "this object store has no cluster memory: give ObjectStore(memory=execution.cluster_memory), or use "
                "strategy='artifact'"
            )
        return self._memory

    def _artifact(self, key: str, namespace: str) -> Artifact:
        if self._storage is None:
            raise OptionError(
                "this object store has no place for artifacts: give Engine(object_store={'base_path': '…'}), or "
                "ObjectStore(storage=ArtifactStorage(base_path='…'))"
            )
        return artifact_in(self._storage, key, namespace)

    def _forget_artifact(self, key: str, namespace: str) -> None:
        """Delete the artifact that a value in memory replaces: it would be found again when the memory is gone."""
        if self._storage is None:
            return
        try:
            artifact = self._artifact(key, namespace)
        except OptionError:
            return  # No artifact can have that name.
        if artifact.exists:
            artifact.delete()

    def _forget_in_memory(self, key: str, namespace: str) -> bool:
        """Delete the value in memory that an artifact replaces; a memory that is away has none."""
        try:
            return self._needed_memory().delete(key, namespace=namespace)
        except ClusterMemoryError:
            return False


class ObjectStore:
    """Values by key, in the cluster memory of a run, as artifacts, or first there and then here.

    =====================  =========================================================================================
    ``"fallback"``         In cluster memory; as an artifact where that fails (full, lost, none on this executor).
                           ``get`` and ``exists`` look at both, ``delete`` deletes in both.
    ``"artifact"``         As an artifact, which stays when the run has ended.
    ``"cluster_memory"``   In cluster memory alone.
    =====================  =========================================================================================

    A key has one value: one that is put in memory replaces the artifact, and the other way round.

    >>> from asyncexec.artifacts import ArtifactStorage
    >>> store = ax.ObjectStore(storage=ArtifactStorage(base_path="runs"), strategy="artifact")
    >>> await store.put("model", {"weights": [0.5]})
    >>> await store.get("model"), await store.exists("model"), await store.delete("model")
    ({'weights': [0.5]}, True, True)
    >>> await store.get("model")
    Traceback (most recent call last):
        ...
    KeyNotFoundError: there is no 'model' in namespace 'default' of the object store

    Parameters
    ----------
    memory : ClusterMemory, optional
        That of an execution or an engine; tasks get a store with it by :func:`get_object_store`.
    storage : ArtifactStorage, optional
        The place of artifacts.
    namespace : str
        The namespace of calls that name none.
    strategy : str
        The strategy of calls that say none.
    """

    def __init__(
        self,
        memory: ClusterMemory | None = None,
        storage: ArtifactStorage | None = None,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        strategy: str = "fallback",
    ) -> None:
        blocking = None if memory is None else memory.sync
        self._blocking = BlockingObjectStore(blocking, storage, namespace, strategy)

    @property
    def sync(self) -> BlockingObjectStore:
        """The same store, by calls that block: for functions that are not coroutine functions."""
        return self._blocking

    async def put(
        self,
        key: str,
        value: Any,
        *,
        namespace: str = "",
        strategy: str | None = None,
        save_artifact_hook: SaveHook = object_to_artifact,
        ttl: float | None = None,
    ) -> None:
        """Store a value under a key, in place of the one that was there.

        Parameters
        ----------
        key : str
            The name of the artifact, where it becomes one: letters, digits, ``_`` and ``-``.
        value
        namespace : str, optional
            By default that of the run.
        strategy : str, optional
            ``"fallback"``, ``"artifact"`` or ``"cluster_memory"``.
        save_artifact_hook : callable
            Saves the value in an artifact (``json_to_artifact()`` and its like); by default it is pickled.
        ttl : float, optional
            Seconds after which a value in memory is gone.

        Raises
        ------
        SerializationError
            If the value cannot be pickled.
        ClusterMemoryError, OutOfSpaceError, StorageError
            If it finds no place.
        """
        await _in_thread(
            self._blocking.put,
            key,
            value,
            namespace=namespace,
            strategy=strategy,
            save_artifact_hook=save_artifact_hook,
            ttl=ttl,
        )

    async def get(
        self,
        key: str,
        *,
        namespace: str = "",
        strategy: str | None = None,
        load_artifact_hook: LoadHook = value_from_artifact,
    ) -> Any:
        """Return the value of a key; an artifact's by ``load_artifact_hook``, or by what its metadata say of it.

        Raises
        ------
        KeyNotFoundError
            If there is none (a ``KeyError``).
        """
        return await _in_thread(
            self._blocking.get,
            key,
            namespace=namespace,
            strategy=strategy,
            load_artifact_hook=load_artifact_hook,
        )

    async def delete(self, key: str, *, namespace: str = "", strategy: str | None = None) -> bool:
        """Delete the value of a key, and return whether there was one."""
        there: bool = await _in_thread(
            self._blocking.delete, key, namespace=namespace, strategy=strategy
        )
        return there

    async def exists(self, key: str, *, namespace: str = "", strategy: str | None = None) -> bool:
        """Return whether there is a value under a key."""
        there: bool = await _in_thread(
            self._blocking.exists, key, namespace=namespace, strategy=strategy
        )
        return there


def get_object_store() -> ObjectStore:
    """Return the object store of this run: its cluster memory, and the storage of the engine; called in a task.

    >>> def train(_):
    ...     store = ax.get_object_store().sync
    ...     store.put("model", [0.5], strategy="artifact")
    ...     return store.get("model")
    >>> async with ax.Engine(object_store={"base_path": "runs"}) as engine:
    ...     (await engine.execute(ax.Plan.map(train, [0]))).value
    [[0.5]]

    Raises
    ------
    UsageError
        If no task runs here.
    """
    context = get_run_context()
    storage = storage_here()
    try:
        memory = get_cluster_memory()
    except (ClusterMemoryError, UsageError):
        memory = None
    return ObjectStore(
        memory,
        None
        if storage is None or not (storage.base_path or storage.protocol == "memory")
        else storage,
        namespace=context.namespace or DEFAULT_NAMESPACE,
        strategy="fallback" if storage is None else storage.strategy,
    )


def _is_complete(artifact: Artifact) -> bool:
    """Return whether an artifact holds a value."""
    return artifact.exists and (artifact.get_meta(TYPE) is not None or not artifact.is_empty)


async def _in_thread(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    return await asyncio.to_thread(function, *arguments, **options)
