"""The creation of an object in a Zarr store of any kind, only where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zarr.abc.store import Store
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import FsspecStore

from asyncexec.storage.places.held_names import passed_on
from asyncexec.storage.places.urls import join

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from zarr.core.buffer import Buffer


async def created(store: Store, key: str, value: Buffer) -> bool:
    """Write ``value`` where there is nothing; return whether ``key`` has it now.

    Of object stores, memory and local files, one of several callers succeeds, in whatever process. Other stores look
    first and write then.
    """
    repeats: Callable[[str, Buffer], Awaitable[bool]] | None = getattr(store, "created", None)
    if repeats is not None:
        return await repeats(key, value)
    inner: Any = passed_on(store)
    # Zarr looks first and writes then; file systems of fsspec can do better.
    done = None
    if isinstance(inner, FsspecStore) and type(inner).set is FsspecStore.set:
        done = await _created_by(inner, key, value.to_bytes())
    if done:
        return True
    if done is None:
        await _conditional_write(store)(store, key, value)
    # An answer may have been lost, after which it was asked again.
    found = await store.get(key, default_buffer_prototype())
    return found is not None and found.to_bytes() == value.to_bytes()


def _conditional_write(store: Store) -> Callable[[Store, str, Buffer], Awaitable[None]]:
    """Return the way to write where there is nothing, by ``store``'s own ``set`` where a subclass has changed that.

    A class that changes what is written, or when, need not know of other ways to write: those that it inherits would
    pass it by.
    """
    kinds = type(store).__mro__
    writes, creates = (
        next(place for place, kind in enumerate(kinds) if name in vars(kind))
        for name in ("set", "set_if_not_exists")
    )
    if writes < creates:
        return Store.set_if_not_exists
    return type(store).set_if_not_exists


async def _created_by(store: Any, key: str, data: bytes) -> bool | None:
    """Write ``data`` where a file system has nothing; return whether it did, None where it does not know how to."""
    try:
        await store.fs._pipe_file(join(store.path, key), data, mode="create")  # noqa: SLF001 - there is no other
    except FileExistsError:
        return False
    except (TypeError, NotImplementedError, FileNotFoundError):
        return None
    return True
