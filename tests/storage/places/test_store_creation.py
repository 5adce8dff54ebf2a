"""What is created where nothing was goes through the store's own way to write."""

import pytest
import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import FsspecStore, LocalStore, MemoryStore, WrapperStore

from asyncexec.storage.places.store_creation import created


class Upper:
    """Writes in capitals, by `set` alone."""

    async def set(self, key, value, *rest):
        changed = value.to_bytes().upper()
        await super().set(key, default_buffer_prototype().buffer.from_bytes(changed), *rest)


class UpperLocal(Upper, LocalStore):
    pass


class UpperMemory(Upper, MemoryStore):
    pass


class UpperWrapper(Upper, WrapperStore):
    pass


class UpperFsspec(Upper, FsspecStore):
    pass


def fsspec_store(folder):
    from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
    from fsspec.implementations.local import LocalFileSystem

    files = AsyncFileSystemWrapper(LocalFileSystem(auto_mkdir=True), asynchronous=True)
    return UpperFsspec(files, path=str(folder))


STORES = {
    "local": UpperLocal,
    "memory": lambda folder: UpperMemory(),
    "wrapper": lambda folder: UpperWrapper(MemoryStore()),
    "fsspec": fsspec_store,
}


@pytest.mark.parametrize("kind", STORES)
async def test_a_store_that_changes_how_it_writes_is_not_passed_by(kind, tmp_path):
    store = STORES[kind](tmp_path)
    buffer = default_buffer_prototype().buffer
    await created(store, "a/c/0", buffer.from_bytes(b"first"))
    await created(store, "a/c/0", buffer.from_bytes(b"second"))
    found = await store.get("a/c/0", default_buffer_prototype())
    assert found.to_bytes() == b"FIRST"


@pytest.mark.parametrize("kind", ["local", "memory"])
async def test_a_store_as_zarr_has_it_creates_in_one_step(kind, tmp_path, monkeypatch):
    store = LocalStore(tmp_path) if kind == "local" else MemoryStore()
    buffer = default_buffer_prototype().buffer

    async def refused(*args):
        raise AssertionError

    monkeypatch.setattr(zarr.abc.store.Store, "set_if_not_exists", refused)
    assert await created(store, "a/c/0", buffer.from_bytes(b"first"))
    assert not await created(store, "a/c/0", buffer.from_bytes(b"second"))
