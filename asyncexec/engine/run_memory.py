"""The cluster memories of an engine's runs: where the backend has its own, on this machine, or in ``work_dir``."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from asyncexec.artifacts.settings import ENTRY, ArtifactStorage
from asyncexec.backends.value_folder import ValueFolder
from asyncexec.cluster_memory.entries import memory_closed
from asyncexec.cluster_memory.handle import DEFAULT_NAMESPACE, ClusterMemory
from asyncexec.cluster_memory.host_memory import (
    HereAddress,
    HostClient,
    HostMemory,
)
from asyncexec.cluster_memory.hosting import MemoryHostingBackend
from asyncexec.cluster_memory.server import MemoryServer
from asyncexec.errors import UsageError
from asyncexec.plan.locality import Locality

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asyncexec.backends.contract import Backend
    from asyncexec.cluster_memory.client import MemoryAddress, MemoryClient
    from asyncexec.cluster_memory.hosting import MemoryHost
    from asyncexec.cluster_memory.settings import MemorySettings
    from asyncexec.plan.plan import Plan
    from asyncexec.worker.value_files import ValueFiles

_OF_ENGINE = "engine"


class EngineMemory:
    """The cluster memories of one engine.

    Parameters
    ----------
    settings : MemorySettings
    backend : Backend
    """

    def __init__(self, settings: MemorySettings, backend: Backend) -> None:
        self._settings = settings
        self._backend = backend
        self._lock = threading.Lock()
        self._host: MemoryHost | None = None

    @property
    def of_engine(self) -> ClusterMemory:
        """The memory that all runs share.

        Raises
        ------
        UsageError
            If each run has its own.
        """
        if self._settings.lifetime != _OF_ENGINE:
            raise UsageError(
                "each run of this engine has a cluster memory of its own (execution.cluster_memory): give "
                "Engine(cluster_memory={'lifetime': 'engine'}) for one that all of them share"
            )
        return ClusterMemory(self.host.client(_OF_ENGINE))

    def of_run(self, run_id: str) -> RunMemory:
        """Return the memory of a run; nothing is opened yet."""
        shared = self._settings.lifetime == _OF_ENGINE
        return RunMemory(self, _OF_ENGINE if shared else run_id, shared=shared)

    @property
    def host(self) -> MemoryHost:
        """The place of the memories, found when the first run begins: the backend is open then."""
        with self._lock:
            if self._host is None:
                self._host = self._found()
            return self._host

    def _found(self) -> MemoryHost:
        backend = self._backend
        if isinstance(backend, MemoryHostingBackend):
            own = backend.memory_host(self._settings)
            if own is not None:
                return own
        return LocalHost(self._settings, backend.capabilities.locality)

    async def close(self) -> None:
        """Delete everything."""
        host, self._host = self._host, None
        if host is not None:
            await host.close()


def storage_entries(
    storage: ArtifactStorage | Mapping[str, Any] | None,
) -> dict[str, Callable[[Plan], Any]]:
    """Return the entry of the place of artifacts in the scopes of runs, if there is one."""
    if storage is None:
        return {}
    settings = ArtifactStorage.of(storage)
    return {ENTRY: lambda _plan: settings}


class RunMemory:
    """The cluster memory of one run.

    Parameters
    ----------
    engine : EngineMemory
    space : str
    shared : bool
        Whether it stays after the run.
    """

    def __init__(self, engine: EngineMemory, space: str, *, shared: bool) -> None:
        self._engine = engine
        self._space = space
        self._shared = shared
        self._opened = self._closed = False

    def address(self, _plan: Plan) -> MemoryAddress:
        """Return its address, for the scope of the run."""
        self._opened = True
        return self._engine.host.address(self._space)

    def handle(self, namespace: str = "") -> ClusterMemory:
        """Return the memory as the driver calls it.

        Raises
        ------
        ClusterMemoryError
            If the run has ended, and its memory with it.
        """
        if self._closed:
            raise memory_closed()
        self._opened = True
        return ClusterMemory(self._engine.host.client(self._space), namespace or DEFAULT_NAMESPACE)

    async def close(self) -> None:
        """Delete it, unless it is shared."""
        self._closed = not self._shared
        if self._opened and self._closed:
            await self._engine.host.close_space(self._space)


class LocalHost:
    """Memories in this process, served on loopback to workers in other processes.

    Parameters
    ----------
    settings : MemorySettings
    locality : Locality
        Where the workers are.
    """

    def __init__(self, settings: MemorySettings, locality: Locality) -> None:
        self._memory = HostMemory(self._make_files, quota=settings.quota_bytes)
        self._folder: ValueFolder | None = None
        self._server = None if locality is Locality.SAME_PROCESS else MemoryServer(self._memory)

    def address(self, space: str) -> MemoryAddress:
        """Open a space, and return its address."""
        self._memory.open_space(space)
        if self._server is None:
            return HereAddress(self._memory, space)
        return self._server.address(space)

    def client(self, space: str) -> MemoryClient:
        """Open a space, and return a client of this process."""
        self._memory.open_space(space)
        return HostClient(self._memory, space)

    async def close_space(self, space: str) -> None:
        """Delete a space; in a thread if there is something in it."""
        if self._folder is None:
            self._memory.close_space(space)
        else:
            await asyncio.to_thread(self._memory.close_space, space)

    async def close(self) -> None:
        """End the server, and delete the files."""
        if self._server is not None:
            await asyncio.to_thread(self._server.close)
        if self._folder is not None:
            await self._folder.close()

    def _make_files(self) -> ValueFiles:
        self._folder = ValueFolder.make()
        return self._folder.files
