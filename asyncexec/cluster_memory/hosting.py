"""The driver's side of cluster memories: where they are, by executor, and how they are opened and closed."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from asyncexec.cluster_memory.client import MemoryAddress, MemoryClient
from asyncexec.cluster_memory.settings import MemorySettings


class MemoryHost(Protocol):
    """The place of the memories of one engine, each of them a space.

    Nothing need be started before a task or the driver uses one.
    """

    def address(self, space: str, /) -> MemoryAddress:
        """Open a space, and return its address for workers; called in any thread, and may be repeated."""
        ...

    def client(self, space: str, /) -> MemoryClient:
        """Open a space, and return a client for the driver."""
        ...

    async def close_space(self, space: str, /) -> None:
        """Delete a space with all that is in it."""
        ...

    async def close(self) -> None:
        """Delete everything, and end what was started."""
        ...


@runtime_checkable
class MemoryHostingBackend(Protocol):
    """The further member of a backend that has a place of its own for cluster memories: an actor, say."""

    def memory_host(self, settings: MemorySettings, /) -> MemoryHost | None:
        """Return the place, while the context is open; None where this machine's is as good."""
        ...
