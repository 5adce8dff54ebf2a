"""The cluster memories of an engine's runs: where the backend has its own, on this machine, or in ``work_dir``."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from asyncexec.artifacts.settings import ENTRY, ArtifactStorage
from asyncexec.cluster_memory.entries import memory_closed
from asyncexec.cluster_memory.handle import DEFAULT_NAMESPACE, ClusterMemory
from asyncexec.cluster_memory.hosting import MemoryHostingBackend
from asyncexec.errors import UsageError
from asyncexec.plan.locality import Locality
from asyncexec.storage.places.locations import locate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asyncexec.backends.contract import Backend
    from asyncexec.cluster_memory.client import MemoryAddress, MemoryClient
    from asyncexec.cluster_memory.hosting import MemoryHost
    from asyncexec.cluster_memory.settings import MemorySettings
    from asyncexec.engine.memory_hosts import PlaceHost
    from asyncexec.plan.plan import Plan
    from asyncexec.scheduler.run_policies import RunPolicies
    from asyncexec.storage.places.locations import Location

_OF_ENGINE = "engine"


class EngineMemory:
    """The cluster memories of one engine.

    Parameters
    ----------
    settings : MemorySettings
    backend : Backend
    policies : RunPolicies
        Those of the engine.

    Attributes
    ----------
    in_this_process : bool
        Whether the workers are in this process, and so the memory is.
    """

    def __init__(self, settings: MemorySettings, backend: Backend, policies: RunPolicies) -> None:
        self._settings = settings
        self._policies = policies
        self._id = uuid4().hex
        self._backend = backend
        self._lock = threading.Lock()
        self._near: MemoryHost | None = None
        self._far: dict[Location | None, PlaceHost] = {}
        near = backend.capabilities.locality is Locality.SAME_PROCESS
        self.in_this_process = near and not isinstance(backend, MemoryHostingBackend)

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
        return self.of_run("", self._policies).handle()

    def of_run(self, run_id: str, policies: RunPolicies) -> RunMemory:
        """Return the memory of a run; nothing is opened yet."""
        shared = self._settings.lifetime == _OF_ENGINE
        place, options = self._settings.work_dir, self._settings.storage_options
        if place is None:
            said = self._policies if shared else policies
            place, options = said.work_dir, said.storage_options
        work_dir = None if place is None else locate(place, options)
        space = f"{_OF_ENGINE}-{self._id}" if shared else run_id
        return RunMemory(self, space, work_dir, shared=shared)

    def host(self, work_dir: Location | None) -> MemoryHost:
        """Return the place of a run's memory, found when the run begins: the backend is open then."""
        with self._lock:
            if self._near is None and not self._far:
                self._near = self._found()
            if self._near is not None:
                return self._near
            if work_dir not in self._far:
                from asyncexec.engine.memory_hosts import PlaceHost  # noqa: PLC0415 - as for the local one

                self._far[work_dir] = PlaceHost(work_dir, self._backend.capabilities.name)
            return self._far[work_dir]

    def _found(self) -> MemoryHost | None:
        """Return a place near the workers; None where they are on other machines, and their backend has none."""
        backend = self._backend
        own = None
        if isinstance(backend, MemoryHostingBackend):
            own = backend.memory_host(self._settings)
        if own is None and backend.capabilities.locality.on_this_host:
            # An engine is made without what serves memories.
            from asyncexec.engine.memory_hosts import LocalHost  # noqa: PLC0415 - see above

            own = LocalHost(self._settings, backend.capabilities.locality)
        return own

    async def close(self) -> None:
        """Delete everything."""
        hosts = [*self._far.values(), *([self._near] if self._near is not None else [])]
        self._near, self._far = None, {}
        for host in hosts:
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
    work_dir : Location or None
    shared : bool
        Whether it stays after the run.
    """

    def __init__(
        self, engine: EngineMemory, space: str, work_dir: Location | None, *, shared: bool
    ) -> None:
        self._engine = engine
        self._work_dir = work_dir
        self._space = space
        self._shared = shared
        self._opened = self._closed = False

    def address(self, _plan: Plan) -> MemoryAddress:
        """Return its address, for the scope of the run."""
        if self._engine.in_this_process:
            return _AddressHere(self)
        return self.open_address()

    def open_address(self) -> MemoryAddress:
        """Open the memory, and return its address."""
        if self._closed:
            raise memory_closed()
        address = self._engine.host(self._work_dir).address(self._space)
        self._opened = True
        return address

    def handle(self, namespace: str = "") -> ClusterMemory:
        """Return the memory as the driver calls it.

        Raises
        ------
        ClusterMemoryError
            If the run has ended, and its memory with it.
        """
        if self._closed:
            raise memory_closed()
        client = self._engine.host(self._work_dir).client(self._space)
        self._opened = True
        return ClusterMemory(client, namespace or DEFAULT_NAMESPACE)

    async def close(self) -> None:
        """Delete it, unless it is shared."""
        self._closed = not self._shared
        if self._opened and self._closed:
            await self._engine.host(self._work_dir).close_space(self._space)


class _AddressHere:
    """The address of a run's memory in this process, which is made when a task first opens it."""

    __slots__ = ("_address", "_memory")

    def __init__(self, memory: RunMemory) -> None:
        self._memory = memory
        self._address: MemoryAddress | None = None

    def open(self) -> MemoryClient:
        """Return the client."""
        return self._opened().open()

    def __reduce__(self) -> str | tuple[Any, ...]:
        return self._opened().__reduce__()

    def _opened(self) -> MemoryAddress:
        if self._address is None:
            self._address = self._memory.open_address()
        return self._address
