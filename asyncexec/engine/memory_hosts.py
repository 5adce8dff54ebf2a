"""The places of cluster memories that no backend has of its own: this process, or a directory or bucket."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from asyncexec.backends.value_folder import ValueFolder
from asyncexec.cluster_memory.host_memory import HereAddress, HostClient, HostMemory
from asyncexec.cluster_memory.placed import NoMemoryAddress, PlacedAddress
from asyncexec.cluster_memory.server import MemoryServer
from asyncexec.errors import AsyncexecError, WorkDirError
from asyncexec.plan.locality import Locality
from asyncexec.storage.places.removal import remove
from asyncexec.storage.workspace.work_dir import PREFIX

if TYPE_CHECKING:
    from asyncexec.cluster_memory.client import MemoryAddress, MemoryClient
    from asyncexec.cluster_memory.settings import MemorySettings
    from asyncexec.storage.places.locations import Location
    from asyncexec.worker.value_files import ValueFiles


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


class PlaceHost:
    """Memories in a directory or bucket that all workers reach, each in a folder of its own.

    Parameters
    ----------
    place : Location or None
        The ``work_dir``; without one there are no memories.
    executor : str
        The executor's name, for the error then.

    Raises
    ------
    WorkDirError
        If the place is in this process's memory.
    """

    def __init__(self, place: Location | None, executor: str) -> None:
        if place is not None and place.process_bound:
            raise WorkDirError(
                f"work_dir {place} is in this process's memory, where workers cannot reach it: use a directory or a "
                f"bucket"
            )
        self._place = place
        self._executor = executor
        self._spaces: set[str] = set()

    def address(self, space: str) -> MemoryAddress:
        """Open a space, and return its address."""
        if self._place is None:
            return NoMemoryAddress(self._executor)
        location = _space_in(self._place, space)
        path = location.local_path
        if path is not None:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._spaces.add(space)
        return PlacedAddress(location)

    def client(self, space: str) -> MemoryClient:
        """Open a space, and return a client for the driver."""
        return self.address(space).open()

    async def close_space(self, space: str) -> None:
        """Delete a space."""
        if self._place is not None and space in self._spaces:
            self._spaces.discard(space)
            # What cannot be removed is in nobody's way: its name is unique.
            with suppress(AsyncexecError):
                await asyncio.to_thread(remove, _space_in(self._place, space))

    async def close(self) -> None:
        """Delete the spaces that are left."""
        for space in tuple(self._spaces):
            await self.close_space(space)


def _space_in(place: Location, space: str) -> Location:
    return place.join(f"{PREFIX}memory-{space}")
