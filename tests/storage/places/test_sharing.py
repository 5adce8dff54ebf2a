"""Stores whose copies keep what is written to them for themselves are refused where workers get copies."""

import dataclasses

import numpy as np
import pytest
import zarr
from zarr.abc.store import Store
from zarr.storage import LocalStore, MemoryStore, WrapperStore

import asyncexec.array as xp
from asyncexec.errors import OptionError, WorkDirError
from asyncexec.plan.locality import Locality
from asyncexec.plan.workspace import Opening
from asyncexec.storage.places.locations import locate
from asyncexec.storage.places.sharing import check_shared
from asyncexec.storage.workspace.work_dir import make_work_place


class Buffered(WrapperStore[Store]):
    """Keeps what is written in memory until somebody flushes it; what is there already, it reads."""

    def __init__(self, store):
        super().__init__(store)
        self.held = {}

    async def set(self, key, value):
        self.held[key] = value

    async def set_if_not_exists(self, key, value):
        self.held.setdefault(key, value)

    async def get(self, key, prototype, byte_range=None):
        held = self.held.get(key)
        return await self._store.get(key, prototype, byte_range) if held is None else held

    async def delete(self, key):
        if self.held.pop(key, None) is None:
            await self._store.delete(key)


class WritesThroughHere(WrapperStore[Store]):
    """Writes in this process to the store, and in a copy to another one; both read the same."""

    def __init__(self, store, copied=False):
        super().__init__(store)
        self.copied = copied
        self.lost = MemoryStore()

    def __reduce__(self):
        return WritesThroughHere, (self._store, True)

    async def set(self, key, value):
        await (self.lost if self.copied else self._store).set(key, value)


class FailsElsewhere(WritesThroughHere):
    def __reduce__(self):
        return FailsElsewhere, (self._store, True)

    async def set(self, key, value):
        if self.copied:
            raise PermissionError("read-only there")
        await super().set(key, value)


ELSEWHERE = Opening(plan="p", fingerprint="", execution="p-1", locality=Locality.ELSEWHERE)


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", [Buffered, WritesThroughHere, FailsElsewhere])
@pytest.mark.parametrize("there", [False, True], ids=["new", "overwritten"])
def test_a_target_of_which_copies_lose_what_they_write_is_refused_before_anything_is_made(
    tmp_path, kind, there
):
    if there:
        zarr.create_array(tmp_path / "s" / "x", data=np.arange(3))
    before = files(tmp_path)
    plan = xp.store(
        [xp.ones(4, chunks=2)],
        [zarr.storage.StorePath(kind(LocalStore(tmp_path / "s")), "x")],
        overwrite=True,
    ).to_plan()
    with pytest.raises(OptionError, match=rf"{kind.__name__}.*would be lost"):
        plan.workspace.open(plan.stages, ELSEWHERE)
    assert files(tmp_path) == before


def test_a_work_directory_is_tried_too(tmp_path):
    with pytest.raises(WorkDirError, match="would be lost"):
        make_work_place(Buffered(LocalStore(tmp_path)), None, ELSEWHERE)


SETS = []


class Counting(WrapperStore[Store]):
    """Notes what is written, by itself and by copies."""

    async def set(self, key, value):
        SETS.append(key)
        await super().set(key, value)


def test_a_store_is_tried_once_for_all_its_targets(tmp_path):
    SETS.clear()
    store = Counting(LocalStore(tmp_path))
    check_shared([locate(store, path="x"), locate(store, path="y"), locate(tmp_path / "z")])
    assert len(SETS) == 1
    assert files(tmp_path) == []


def test_sessions_of_icechunk_are_no_work_directories_and_are_not_wrapped(tmp_path):
    icechunk = pytest.importorskip("icechunk")
    repo = icechunk.Repository.create(icechunk.in_memory_storage())
    store = repo.writable_session("main").store
    with pytest.raises(OptionError, match=r"LoggingStore.*session\.store itself"):
        xp.to_zarr(xp.ones(4, chunks=2), zarr.storage.LoggingStore(store), path="x")
    with pytest.raises(WorkDirError, match="Icechunk session"):
        make_work_place(store, None, dataclasses.replace(ELSEWHERE, locality=Locality.SAME_PROCESS))
