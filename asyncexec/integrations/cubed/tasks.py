"""Kernels that call Cubed's own task functions, which read and write Zarr themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cubed.primitive.blockwise import BlockwiseSpec
from cubed.primitive.types import CubedArrayProxy
from cubed.storage.zarr import LazyZarrArray

if TYPE_CHECKING:
    from asyncexec.plan.box import Index


@dataclass(frozen=True, slots=True)
class BlockTask:
    """A kernel that calls an operation's function with block coordinates."""

    function: Callable[..., Any]
    config: Any
    first: Index

    def __call__(self, index: Index, *_: Any) -> Any:
        # A list, as Cubed's functions expect.
        coordinates = [i + o for i, o in zip(index, self.first, strict=True)]
        return self.function(coordinates, config=self.config)


@dataclass(frozen=True, slots=True)
class ItemTask:
    """A kernel that calls an operation's function with the task's item."""

    function: Callable[..., Any]
    config: Any

    def __call__(self, index: Index, item: Any, *_: Any) -> Any:
        return self.function(item, config=self.config)


class OpenedOnce(CubedArrayProxy):  # type: ignore[misc, unused-ignore]  # Any where Cubed is not installed
    """An array that each worker opens once, and not once for every task.

    Its metadata do not change once the plan's first operation has created it. Threads that open it at the same time may
    do so twice, which does no harm: so there is no lock.
    """

    def __init__(self, array: Any, chunks: Any) -> None:
        super().__init__(array, chunks)
        self._opened: Any = None

    def open(self) -> Any:
        """Return the Zarr array."""
        if self._opened is None:
            self._opened = super().open()
        return self._opened

    def __reduce__(self) -> tuple[Any, ...]:
        return OpenedOnce, (self.array, self.chunks)


def opening_once(config: Any) -> Any:
    """Return ``config`` with arrays that are opened once on each worker, if it is that of a blockwise operation."""
    if not isinstance(config, BlockwiseSpec):
        return config
    return replace(config, reads_map=_once(config.reads_map), writes_map=_once(config.writes_map))


def _once(proxies: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: OpenedOnce(proxy.array, proxy.chunks)
        if type(proxy) is CubedArrayProxy and isinstance(proxy.array, LazyZarrArray)
        else proxy
        for name, proxy in proxies.items()
    }
