"""Writing chunks of a run to a Zarr store of any kind, so that what another run writes too late does no harm.

A chunk is created where there is none. Where there is one, the stamp on the array says whose that is: the run whose
array it is replaces the chunk, which is a late one of another run or one of its own, and any other run gives up. Over a
part of an array that was there before, a run writes as long as it holds the place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

from zarr.abc.store import Store
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import WrapperStore

from asyncexec.storage.chunks.generations import owns, run_of, stamp_by
from asyncexec.storage.places.errors import replaced
from asyncexec.storage.places.holds import HeldPlace
from asyncexec.storage.places.store_creation import created

if TYPE_CHECKING:
    from zarr.core.buffer import Buffer

    from asyncexec.storage.chunks.arrays import StoredArray


class Writes(Protocol):
    """The writing of one array's chunks."""

    async def put(self, key: str, value: Buffer) -> None:
        """Write the chunk with this key, whole or not at all."""
        ...


class OwnWrites(WrapperStore[Store]):
    """The store inside, in which ``writes`` writes the chunks of one run's array."""

    def __init__(self, store: Store, writes: Writes) -> None:
        super().__init__(store)
        self._writes = writes

    def _with_store(self, store: Store) -> Self:
        return type(self)(store, self._writes)

    @property
    def _supports_sync_io(self) -> bool:
        return False  # Zarr would write to the store inside by calls of its own.

    async def set(self, key: str, value: Buffer) -> None:
        await self._writes.put(key, value)


class StoreWrites:
    """The writing of the chunks of ``ref``, which is at ``path`` in ``store``."""

    def __init__(self, ref: StoredArray, store: Store, path: str) -> None:
        self._location = ref.location
        self._generation = ref.generation
        self._held = HeldPlace(ref.location, run_of(ref.generation)) if ref.in_place else None
        self._store = store
        self._prefix = f"{path}/" if path else ""

    async def put(self, key: str, value: Buffer) -> None:
        """Write the chunk with this key.

        Raises
        ------
        TargetReplacedError
            If the array is another run's by now.
        Exception
            As the store has it.
        """
        if self._held is not None:
            await self._held.check(self._document)
            await self._store.set(key, value)
            return
        # The usual case, and one request: nothing was there.
        if await created(self._store, key, value):
            return
        if not owns(await stamp_by(self._document, self._generation), self._generation):
            raise replaced(self._location)
        await self._store.set(key, value)

    async def _document(self, name: str) -> bytes | None:
        found = await self._store.get(f"{self._prefix}{name}", default_buffer_prototype())
        return None if found is None else found.to_bytes()
