"""The interfaces of what the blocks of tasks are read from and written to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

    from asyncexec.plan.access import Region
    from asyncexec.plan.box import Index, Shape
    from asyncexec.storage.chunks.arrays import StoredArray
    from asyncexec.storage.chunks.opened_chunks import Chunks


class Selection(Protocol):
    """The part of an array that each task reads, as a function of its index; small and picklable."""

    def __call__(self, index: Index) -> Region:
        """Return the region that the task at ``index`` reads: a slice or positions for each axis of the array."""
        ...


class SharedReader(Protocol):
    """A reader of regions of a stored array for tasks that share chunks of it."""

    def read(self, region: Region) -> np.ndarray:
        """Return what ``region`` takes, read-only."""
        ...

    async def aread(self, region: Region, chunks: Chunks) -> np.ndarray:
        """Do what :meth:`read` does, without blocking the event loop; ``chunks`` is the opened array."""
        ...


class Readable(Protocol):
    """An array in memory, or in a tier, that blocks are read from."""

    @property
    def shape(self) -> Shape:
        """The array's shape."""
        ...

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The element type."""
        ...

    def read(self, region: Region) -> np.ndarray:
        """Return what ``region`` takes, read-only."""
        ...


class Writable(Readable, Protocol):
    """An array in a tier that blocks are written to."""

    @property
    def ref(self) -> StoredArray:
        """The array it stands for."""
        ...

    def write(self, region: tuple[slice, ...], block: np.ndarray) -> None:
        """Write ``block`` to ``region``."""
        ...
