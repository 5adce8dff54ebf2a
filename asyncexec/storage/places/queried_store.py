"""A Zarr store of a web server whose URL has a query, which every request has then."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from typing import Any, Self

from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import WrapperStore


class QueriedStore(WrapperStore[Store]):
    """The store inside, for reading, with a query behind every key.

    Parameters
    ----------
    store : Store
    query : str
        With its mark; it may have a signature, and is never shown.
    """

    def __init__(self, store: Store, query: str) -> None:
        super().__init__(store)
        self._query = query

    def _with_store(self, store: Store) -> Self:
        return type(self)(store, self._query)

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other) and self._query == getattr(other, "_query", None)

    __hash__ = None  # type: ignore[assignment]  # as that of all stores of Zarr

    def __str__(self) -> str:
        return str(self._store)

    def __repr__(self) -> str:
        return repr(self._store)

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        return await self._store.get(f"{key}{self._query}", prototype, byte_range)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        wanted = [(f"{key}{self._query}", part) for key, part in key_ranges]
        return await self._store.get_partial_values(prototype, wanted)

    async def get_ranges(
        self,
        key: str,
        byte_ranges: Sequence[ByteRequest | None],
        *,
        prototype: BufferPrototype,
        **limits: Any,
    ) -> AsyncIterator[Sequence[tuple[int, Buffer | None]]]:
        given = {name: value for name, value in limits.items() if value is not None}
        async for group in Store.get_ranges(self, key, byte_ranges, prototype=prototype, **given):
            yield group

    async def _get_many(
        self, requests: Iterable[tuple[str, BufferPrototype, ByteRequest | None]]
    ) -> AsyncGenerator[tuple[str, Buffer | None], None]:
        async for found in Store._get_many(self, requests):  # noqa: SLF001 - as the class above has it
            yield found

    async def exists(self, key: str) -> bool:
        return await self._store.exists(f"{key}{self._query}")

    async def getsize(self, key: str) -> int:
        return await self._store.getsize(f"{key}{self._query}")
