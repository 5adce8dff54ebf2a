"""The interface of arrays that a process has opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np

    from asyncexec.plan.access import Region


class Chunks(Protocol):
    """An opened array."""

    def read(self, region: Region) -> np.ndarray:
        """Return the elements in ``region``, read-only."""
        ...

    def write(self, region: Region, block: np.ndarray) -> None:
        """Write ``block`` to ``region``, which covers whole chunks or shards (or reaches the array's edge)."""
        ...

    async def aread(self, region: Region) -> np.ndarray:
        """Do what :meth:`read` does, without blocking the event loop."""
        ...

    async def awrite(self, region: Region, block: np.ndarray) -> None:
        """Do what :meth:`write` does, without blocking the event loop."""
        ...
