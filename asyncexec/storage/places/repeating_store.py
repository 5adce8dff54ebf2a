"""A Zarr store around another one, that repeats requests which may succeed the next time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Self

from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.core.common import concurrent_map
from zarr.core.config import config
from zarr.storage import FsspecStore, ObjectStore, WrapperStore

from asyncexec.storage.places.held_stores import innermost, is_of_icechunk, protocols
from asyncexec.storage.places.requests import arequest, try_seconds
from asyncexec.storage.places.store_clients import endpoint_of, repeats_itself, timed
from asyncexec.storage.places.store_creation import created

_DOCUMENTS = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
_UNKNOWN_BYTES = 8 * 1024 * 1024
"""How large a chunk may be of which nothing is known."""


def repeating(store: Store, nbytes: int = 0) -> Store:
    """Return ``store`` with its requests repeated where that helps: itself where it is on this machine."""
    inner: Any = innermost(store)
    if isinstance(store, RepeatingStore) or not _is_remote(inner):
        return store
    own = repeats_itself(getattr(inner, "store", None))
    return RepeatingStore(store, endpoint_of(inner), nbytes, once=own)


def _is_remote(inner: Any) -> bool:
    """Return whether a store, which is the innermost one, asks a service."""
    if isinstance(inner, ObjectStore):
        return type(inner.store).__name__ not in _HERE
    if isinstance(inner, FsspecStore):
        return not protocols(inner.fs) & _LOCAL_PROTOCOLS
    # Where its repository is, a session does not say.
    return is_of_icechunk(inner)


_HERE = frozenset({"LocalStore", "MemoryStore"})
_LOCAL_PROTOCOLS = frozenset({"memory", "file", "local"})


class RepeatingStore(WrapperStore[Store]):
    """The store inside, with every request repeated as long as that makes sense.

    Parameters
    ----------
    store : Store
    endpoint : str
        Names the service for the clock of an outage (see :func:`.requests.arequest`).
    nbytes : int
        How large the objects are at most; 0 if that is not known.
    once : bool
        Whether the store inside has retries of its user, so that nothing is repeated here.
    """

    def __init__(
        self, store: Store, endpoint: str = "", nbytes: int = 0, *, once: bool = False
    ) -> None:
        super().__init__(store)
        self.endpoint = endpoint
        self._nbytes = nbytes or _UNKNOWN_BYTES
        self._once = once

    def _with_store(self, store: Store) -> Self:
        return type(self)(store, self.endpoint, self._nbytes, once=self._once)

    def __str__(self) -> str:
        return str(self._store)

    def __repr__(self) -> str:
        return repr(self._store)

    async def _request[T](self, call: Callable[[], Awaitable[T]], nbytes: int = 0) -> T:
        return await arequest(lambda _: call(), self.endpoint, nbytes=nbytes, once=self._once)

    def _size(self, key: str) -> int:
        return 0 if key.rpartition("/")[2] in _DOCUMENTS else self._nbytes

    # -- reading

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        return await self._request(
            lambda: self._store.get(key, prototype, byte_range), self._size(key)
        )

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        wanted = list(key_ranges)
        return await self._request(
            lambda: self._store.get_partial_values(prototype, wanted), len(wanted) * self._nbytes
        )

    async def get_ranges(
        self,
        key: str,
        byte_ranges: Sequence[ByteRequest | None],
        *,
        prototype: BufferPrototype,
        **limits: Any,
    ) -> AsyncIterator[Sequence[tuple[int, Buffer | None]]]:
        # Zarr's own way, which asks this store for each of the joined ranges.
        given = {name: value for name, value in limits.items() if value is not None}
        async for group in Store.get_ranges(self, key, byte_ranges, prototype=prototype, **given):
            yield group

    async def _get_many(
        self, requests: Iterable[tuple[str, BufferPrototype, ByteRequest | None]]
    ) -> AsyncGenerator[tuple[str, Buffer | None], None]:
        async for found in Store._get_many(self, requests):  # noqa: SLF001 - as the class above has it
            yield found

    async def exists(self, key: str) -> bool:
        return await self._request(lambda: self._store.exists(key))

    async def getsize(self, key: str) -> int:
        return await self._request(lambda: self._store.getsize(key))

    async def is_empty(self, prefix: str) -> bool:
        return await Store.is_empty(self, prefix)

    async def created(self, key: str, value: Buffer) -> bool:
        """Write ``value`` where there is nothing; return whether ``key`` has it now."""
        return await self._request(lambda: created(self._store, key, value), len(value))

    # -- listing

    def list(self) -> AsyncIterator[str]:
        return self._listed(self._store.list)

    def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        return self._listed(lambda: self._store.list_prefix(prefix))

    def list_dir(self, prefix: str) -> AsyncIterator[str]:
        return self._listed(lambda: self._store.list_dir(prefix))

    async def _listed(self, listing: Callable[[], AsyncIterator[str]]) -> AsyncIterator[str]:
        """Yield what a listing has; one that breaks off begins again, and what was yielded is left out."""
        # A listing has no place at which it could go on: it is made again, without what was given.
        given: set[str] = set()
        left: list[AsyncIterator[str]] = []

        async def page() -> list[str]:
            """Return the next keys of a listing, of which one that failed is of no use any more."""
            keys = left.pop() if left else aiter(listing())
            found: list[str] = []
            async for key in keys:
                if key not in given:
                    found.append(key)
                if len(found) == _PAGE:
                    left.append(keys)
                    break
            return found

        while True:
            found = await self._request(page, _PAGE_BYTES)
            for key in found:
                yield key
            if not left:
                return
            given.update(found)

    # -- writing

    async def set(self, key: str, value: Buffer) -> None:
        store = self._writing(len(value))
        await self._request(lambda: store.set(key, value), len(value))

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        store = self._writing(len(value))
        await self._request(lambda: store.set_if_not_exists(key, value), len(value))

    def _writing(self, nbytes: int) -> Store:
        """Return the store inside as it has the time to write so many bytes."""
        if type(self._store) is not ObjectStore or self._store.read_only:
            return self._store
        client = timed(self._store.store, try_seconds(nbytes))
        return self._store if client is self._store.store else ObjectStore(client)

    async def _set_many(self, values: Iterable[tuple[str, Buffer]]) -> None:
        await Store._set_many(self, values)  # noqa: SLF001 - as the class above has it

    async def delete(self, key: str) -> None:
        await self._request(lambda: self._store.delete(key))

    async def delete_dir(self, prefix: str) -> None:
        """Delete what is under ``prefix``: one request after another, so that none that failed is lost in many."""
        if is_of_icechunk(innermost(self._store)):
            # It forgets an array as a whole.
            await self._request(lambda: self._store.delete_dir(prefix))
            return
        within = f"{prefix.rstrip('/')}/" if prefix else ""
        keys = [(key,) async for key in self.list_prefix(within)]
        await concurrent_map(keys, self.delete, limit=config.get("async.concurrency"))
        if not isinstance(self._store, ObjectStore):
            # Folders of file systems, which no listing has.
            with suppress(FileNotFoundError):
                await self._request(lambda: self._store.delete_dir(prefix))

    async def clear(self) -> None:
        await self.delete_dir("")


_PAGE = 1000
_PAGE_BYTES = 1024 * 1024
