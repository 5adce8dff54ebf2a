"""Stores that the caller made: what they are allowed to do stays so, and what they cannot do is refused first."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import zarr
from zarr.abc.store import Store
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import (
    FsspecStore,
    LocalStore,
    LoggingStore,
    MemoryStore,
    ObjectStore,
    StorePath,
    WrapperStore,
    ZipStore,
)

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import OptionError, StorageError, WorkDirError
from asyncexec.plan.locality import Locality
from asyncexec.storage import create_array, locate, open_array, read, write
from asyncexec.storage.places import locations
from asyncexec.storage.places.removal import remove
from tests.storage.pipelines import (
    CHUNKS,
    DATA,
    WHOLE,
    opened_by,
    opening,
    pipeline,
    planned,
    stored,
)


class Picky(WrapperStore):
    """A wrapper with more to it than a store, which cannot make copies of itself."""

    def __init__(self, store, limit):
        super().__init__(store)
        self.limit = limit


class Unfit(WrapperStore):
    """A wrapper that cannot do one thing."""

    lacks = ""

    @property
    def supports_writes(self):
        return self.lacks != "writes"

    @property
    def supports_deletes(self):
        return self.lacks != "deletes"

    @property
    def supports_listing(self):
        return self.lacks != "listing"


def writable(kind, folder) -> Store:
    """Return a store in ``folder`` of each kind that a caller may have."""
    if kind == "memory":
        return MemoryStore()
    if kind == "fsspec":
        return FsspecStore.from_url(f"local://{folder}", storage_options={"auto_mkdir": True})
    if kind == "obstore":
        obstore = pytest.importorskip("obstore.store")
        return ObjectStore(obstore.LocalStore(folder))
    local = LocalStore(folder)
    return {
        "local": lambda: local,
        "logging": lambda: LoggingStore(local, log_level="ERROR"),
        "wrapper": lambda: WrapperStore(local),
        "nested wrappers": lambda: WrapperStore(WrapperStore(local)),
    }[kind]()


KINDS = ["memory", "fsspec", "obstore", "local", "logging", "wrapper", "nested wrappers"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("way", ["store", "path", "array", "group"])
def test_nothing_is_replaced_in_a_store_that_was_opened_read_only(tmp_path, kind, overwrite, way):
    store = writable(kind, tmp_path)
    group = zarr.create_group(store)
    group.create_array("x", data=DATA, chunks=CHUNKS)
    shut = store.with_read_only(True)
    target = {
        "store": lambda: StorePath(shut, "x"),
        "path": lambda: locate(shut, path="x"),
        "array": lambda: zarr.open_array(shut, path="x", mode="r"),
        "group": lambda: locate(zarr.open_group(shut, mode="r"), path="x"),
    }[way]()
    with pytest.raises(StorageError, match="opened read-only"):
        xp.store([xp.zeros((4, 4))], [target], overwrite=overwrite).compute(executor="threads")
    for change in (
        lambda: remove(locate(target)),
        lambda: create_array(planned(locate(target)), overwrite=overwrite),
        lambda: write(open_array(target), WHOLE, DATA * 2),
    ):
        with pytest.raises(StorageError, match="opened read-only"):
            change()
    np.testing.assert_array_equal(zarr.open_array(store, path="x", mode="r")[:], DATA)


@pytest.mark.parametrize("kind", [*KINDS, "picky"])
@pytest.mark.parametrize("read_only", [False, True])
def test_every_store_that_is_handed_in_is_read_and_written(tmp_path, kind, read_only):
    store = Picky(MemoryStore(), 3) if kind == "picky" else writable(kind, tmp_path)
    zarr.create_array(store, name="x", data=DATA, chunks=CHUNKS)
    source = store
    if read_only and kind != "picky":
        source = store.with_read_only(True)
    x = xp.from_zarr(StorePath(source, "x"))
    xp.store([x + 1], [StorePath(store, "y")]).compute(executor="threads")
    np.testing.assert_array_equal(xp.from_zarr(store, path="y").compute(), DATA + 1)


def test_arrays_and_groups_of_zarr_are_places(tmp_path):
    group = zarr.create_group(tmp_path / "g")
    array = group.create_array("x", data=DATA, chunks=CHUNKS)
    assert locate(array).local_path == tmp_path / "g/x"
    assert locate(group, path="x") == locate(array)
    np.testing.assert_array_equal(xp.from_zarr(array).compute(), DATA)
    np.testing.assert_array_equal(xp.from_zarr(group, path="x").compute(), DATA)


def test_zip_archives_are_read_and_hold_no_work_of_runs(tmp_path):
    with ZipStore(tmp_path / "x.zip", mode="w") as store:
        zarr.create_array(store, data=DATA, chunks=CHUNKS)
    with ZipStore(tmp_path / "x.zip", mode="r") as store:
        np.testing.assert_array_equal((xp.from_zarr(store) * 2).compute(), DATA * 2)
    with ZipStore(tmp_path / "y.zip", mode="w") as store:
        with pytest.raises(WorkDirError, match="a ZipStore cannot delete"):
            xp.sum(xp.zeros(3, spec=xp.Spec(work_dir=store)) + 1).compute()
        store._zipfile() if hasattr(store, "_zipfile") else None
    assert (
        not Path(tmp_path / "y.zip").exists() or not zipfile.ZipFile(tmp_path / "y.zip").namelist()
    )


@pytest.mark.parametrize(
    "lacks,said", [("writes", "write"), ("deletes", "delete"), ("listing", "list")]
)
def test_a_target_that_cannot_do_what_is_needed_is_refused_by_name_before_anything_is_made(
    tmp_path, lacks, said
):
    inner = MemoryStore()
    store = Unfit(inner)
    store.lacks = lacks
    plan = pipeline(
        stored(tmp_path / "source", DATA),
        planned(store),
        work_dir=tmp_path / "work",
        overwrite=True,
    )
    with pytest.raises(StorageError, match=f"an? Unfit cannot {said}"):
        opened_by(plan)
    assert not inner._store_dict
    assert not (tmp_path / "work").exists()


class Refusing(WrapperStore):
    """A store that objects can be removed from, and not written to."""

    async def set(self, key, value):
        raise PermissionError("no right to write")

    async def set_if_not_exists(self, key, value):
        raise PermissionError("no right to write")


def test_an_array_is_kept_where_no_new_one_can_be_written(tmp_path):
    (tmp_path / "x").mkdir()
    for inner, place in (
        (FsspecStore.from_url(f"file://{tmp_path}/x", read_only=False), str(tmp_path / "x")),
        (held := MemoryStore(), held),
    ):
        zarr.create_array(place, data=DATA, chunks=CHUNKS)
        with pytest.raises(StorageError, match=r"(is kept|cannot be made).*no right to write"):
            xp.store([xp.zeros(3)], [Refusing(inner)], overwrite=True).compute()
        np.testing.assert_array_equal(zarr.open_array(place, mode="r")[:], DATA)


def test_an_array_is_kept_where_a_file_system_makes_no_folders(tmp_path):
    pytest.importorskip("fsspec")
    zarr.create_array(str(tmp_path / "x"), data=DATA, chunks=CHUNKS)
    with pytest.raises(StorageError, match="is kept"):
        xp.store([xp.zeros(3)], [f"simplecache::file://{tmp_path}/x"], overwrite=True).compute()
    np.testing.assert_array_equal(zarr.open_array(str(tmp_path / "x"), mode="r")[:], DATA)


class Unpicklable(WrapperStore):
    """A wrapper with a connection, say."""

    def __reduce__(self):
        raise TypeError("cannot pickle a connection")


@pytest.mark.parametrize("role", ["source", "target", "work_dir"])
@pytest.mark.parametrize(
    "kind", ["unpicklable", "wrapped memory", "obstore memory", "fsspec memory"]
)
def test_what_workers_elsewhere_cannot_reach_is_refused_before_anything_is_made(
    tmp_path, role, kind
):
    store = {
        "unpicklable": lambda: Unpicklable(LocalStore(tmp_path / "held")),
        "wrapped memory": lambda: LoggingStore(MemoryStore(), log_level="ERROR"),
        "obstore memory": lambda: ObjectStore(pytest.importorskip("obstore.store").MemoryStore()),
        "fsspec memory": lambda: FsspecStore.from_url(f"memory://{tmp_path.name}-{kind}-{role}"),
    }[kind]()
    if role == "source":
        zarr.create_array(store, name="x", data=DATA, chunks=CHUNKS)
    place = {"source": tmp_path / "source", "target": tmp_path / "y", "work_dir": tmp_path / "work"}
    place |= {role: locate(store, path="x")}
    source = open_array(place["source"]) if role == "source" else stored(place["source"], DATA)
    plan = pipeline(source, planned(place["target"]), work_dir=place["work_dir"])
    with pytest.raises((OptionError, WorkDirError), match="workers of this executor"):
        plan.workspace.open(plan.stages, opening(locality=Locality.SAME_HOST))
    assert not (tmp_path / "y").exists()
    assert not (tmp_path / "work").exists()


class ByValue(WrapperStore):
    """A store in memory that nobody knows as one: it is pickled with all it holds."""

    def __init__(self, store=None):
        super().__init__(store or MemoryStore())

    def __reduce__(self):
        held = {key: value.to_bytes() for key, value in self._store._store_dict.items()}
        return _by_value, (held,)


def _by_value(held):
    return ByValue(
        MemoryStore({k: default_buffer_prototype().buffer.from_bytes(v) for k, v in held.items()})
    )


@pytest.mark.parametrize("exists", [False, True])
def test_a_store_that_workers_would_have_a_copy_of_is_refused(tmp_path, monkeypatch, exists):
    monkeypatch.setattr(locations, "_in_memory", lambda _: False)
    store = ByValue()
    if exists:
        zarr.create_array(store, name="y", data=DATA, chunks=CHUNKS)
    plan = pipeline(
        stored(tmp_path / "x", DATA),
        planned(locate(store, path="y")),
        work_dir=tmp_path / "work",
        overwrite=exists,
    )
    with pytest.raises(OptionError, match="a ByValue sent to them is another store"):
        plan.workspace.open(plan.stages, opening(locality=Locality.SAME_HOST))
    # Before anything was made, or replaced.
    chunks = [key for key in store._store._store_dict if key.endswith("/c/0/0")]
    assert chunks == (["y/c/0/0"] if exists else [])
    opened = opened_by(plan)
    plan.run(opened)
    opened.close(succeeded=True)
    np.testing.assert_array_equal(zarr.open_array(store, path="y")[:], DATA * 4)


def test_a_read_only_work_dir_is_refused(tmp_path):
    plan = pipeline(
        stored(tmp_path / "source", DATA),
        planned(tmp_path / "y"),
        work_dir=LocalStore(tmp_path, read_only=True),
    )
    with pytest.raises(WorkDirError, match="opened read-only"):
        plan.workspace.open(plan.stages, opening())
    assert not (tmp_path / "y").exists()


async def test_a_wrapper_of_local_files_serves_other_processes(tmp_path):
    source = WrapperStore(LocalStore(tmp_path / "x", read_only=True))
    zarr.create_array(LocalStore(tmp_path / "x"), data=DATA, chunks=CHUNKS)
    target = WrapperStore(LocalStore(tmp_path / "y"))
    storing = xp.store([xp.from_zarr(source) + 1], [target])
    async with ax.Engine(executor="processes", executor_options={"max_workers": 1}) as engine:
        await engine.execute(storing)
    np.testing.assert_array_equal(read(open_array(tmp_path / "y"), WHOLE), DATA + 1)
