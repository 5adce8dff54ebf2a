"""Every kind of store works, end to end and on every executor of this machine, or is refused by its name."""

import json
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import zarr
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from zarr.experimental.cache_store import CacheStore
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
from asyncexec.errors import AsyncexecError, OptionError, StorageError, TargetExistsError

obstore = pytest.importorskip("obstore.store")

DATA = np.arange(6.0)
EXECUTORS = {
    "serial": {},
    "threads": {"max_workers": 2},
    "processes": {"max_workers": 1},
}
MOST = ["serial", "threads", pytest.param("processes", marks=pytest.mark.slow)]
MEMORY = "in this process's memory"
CACHE = "through a cache"
READING = "for reading only"
ZIP = "ZipStore cannot delete"


class Prefixed(WrapperStore):
    """A wrapper of somebody's, that puts something before every key."""

    def __init__(self, store, prefix="p"):
        super().__init__(store)
        self.prefix = prefix

    def _with_store(self, store):
        return type(self)(store, self.prefix)

    def _key(self, key):
        return f"{self.prefix}/{key}" if key else self.prefix

    async def get(self, key, prototype, byte_range=None):
        return await self._store.get(self._key(key), prototype, byte_range)

    async def set(self, key, value):
        await self._store.set(self._key(key), value)

    async def set_if_not_exists(self, key, value):
        await self._store.set_if_not_exists(self._key(key), value)

    async def exists(self, key):
        return await self._store.exists(self._key(key))

    async def delete(self, key):
        await self._store.delete(self._key(key))

    async def delete_dir(self, key):
        await self._store.delete_dir(self._key(key))

    async def list_prefix(self, prefix):
        async for key in self._store.list_prefix(self._key(prefix)):
            yield key.removeprefix(f"{self.prefix}/")


def _folder(path):
    filesystem = DirFileSystem(str(path), LocalFileSystem())
    return FsspecStore(AsyncFileSystemWrapper(filesystem, asynchronous=True), path="")


WRITTEN = {
    "path": (lambda path: path / "x", ""),
    "file url": (lambda path: f"file://{path}/run%231/x?y", ""),
    "local store": (LocalStore, ""),
    "memory store": (lambda _: MemoryStore(), MEMORY),
    "memory url": (lambda path: f"memory://{path.name}-{path.parent.name}/x", MEMORY),
    "logging": (lambda path: LoggingStore(LocalStore(path)), ""),
    "logging memory": (lambda _: LoggingStore(MemoryStore()), MEMORY),
    "prefixed": (lambda path: Prefixed(LocalStore(path)), ""),
    "store path": (lambda path: StorePath(Prefixed(LocalStore(path)), "a/b"), ""),
    "obstore local": (lambda path: ObjectStore(obstore.LocalStore(path)), ""),
    "obstore memory": (lambda _: ObjectStore(obstore.MemoryStore()), MEMORY),
    "fsspec local": (lambda path: FsspecStore.from_url(f"file://{path}/x"), ""),
    "fsspec memory": (lambda path: FsspecStore.from_url(f"memory://{path}"), MEMORY),
    "fsspec folder": (_folder, ""),
    "folder url": (lambda path: f"dir::file://{path}/x", ""),
    "cache store": (lambda path: CacheStore(LocalStore(path), cache_store=MemoryStore()), CACHE),
    "cache url": (lambda path: f"simplecache::file://{path}/x", CACHE),
    "cached memory": (lambda path: f"filecache::memory://{path}", CACHE),
    "fsspec cache": (lambda path: FsspecStore.from_url(f"simplecache::file://{path}/x"), CACHE),
    "zip store": (lambda path: StorePath(ZipStore(path / "x.zip", mode="w"), "a/x"), ZIP),
    "zip url": (lambda path: f"zip://x::file://{path}/x.zip", READING),
    "references": (lambda path: f"reference://x::file://{path}/x.json", READING),
    "web server": (lambda _: "http://127.0.0.1:9/x", READING),
}
"""Places by kind, each with what a refusal says: of all that are in memory on processes, of others everywhere."""


def _reopened(place):
    """Return a place in a zip file as other processes can read it; others as they are."""
    if not isinstance(place, StorePath) or not isinstance(place.store, ZipStore):
        return place
    place.store.close()
    return StorePath(ZipStore(place.store.path, mode="r"), place.path)


async def outcome(run):
    try:
        return await run
    except AsyncexecError as error:
        return error


def is_as_said(found, refusal, executor, *, target=True):
    refused = refusal and (refusal != MEMORY or executor == "processes")
    refused = refused and not (refusal == ZIP and target)
    return refusal in str(found) if refused else isinstance(found, ax.Result)


@pytest.mark.parametrize("executor", EXECUTORS)
async def test_results_are_stored_in_every_kind_of_store_or_refused_by_name(executor, tmp_path):
    async with ax.Engine(executor=executor, executor_options=EXECUTORS[executor]) as engine:
        for number, (kind, (make, refusal)) in enumerate(WRITTEN.items()):
            (tmp_path / str(number)).mkdir()
            place = make(tmp_path / str(number))
            found = await outcome(
                engine.execute(xp.store([xp.asarray(DATA, chunks=3) + 1], [place]))
            )
            assert is_as_said(found, refusal, executor), (kind, found)
            if isinstance(found, ax.Result):
                place = _reopened(place)
                again = await engine.execute(xp.from_zarr(place) * 2)
                np.testing.assert_array_equal(again.value, (DATA + 1) * 2, err_msg=kind)
                if not isinstance(place, str):
                    read = zarr.open_array(place, mode="r")
                    np.testing.assert_array_equal(read[:], DATA + 1, err_msg=kind)


@pytest.mark.parametrize("executor", MOST)
async def test_every_kind_of_store_is_a_work_directory_or_refused_by_name(executor, tmp_path):
    async with ax.Engine(executor=executor, executor_options=EXECUTORS[executor]) as engine:
        for number, (kind, (make, refusal)) in enumerate(WRITTEN.items()):
            (tmp_path / str(number)).mkdir()
            spec = xp.Spec(work_dir=make(tmp_path / str(number)))
            x = xp.asarray(DATA, chunks=3, spec=spec) + 1
            found = await outcome(engine.execute(xp.sum(x)))
            assert is_as_said(found, refusal, executor, target=False), (kind, found)
            if isinstance(found, ax.Result):
                assert found.value == (DATA + 1).sum(), kind


def _zipped(path):
    with ZipStore(path / "x.zip", mode="w") as store:
        zarr.create_array(store, name="a/x", data=DATA, chunks=3)
    return path / "x.zip"


def _references(path):
    zarr.create_array(path / "real", data=DATA, chunks=3, zarr_format=2, compressors=None)
    files = {
        f"a/x/{file.name}": [str(file)] if file.name[0] != "." else file.read_text()
        for file in (path / "real").iterdir()
    }
    (path / "refs.json").write_text(json.dumps({"version": 1, "refs": files}))
    return path / "refs.json"


def _group(path):
    group = zarr.create_group(path / "group")
    group.create_array("a/x", data=DATA, chunks=3)
    return group


READ = {
    "zip store": lambda path: (ZipStore(_zipped(path), mode="r"), {"path": "a/x"}),
    "zip url": lambda path: (f"zip://a/x::file://{_zipped(path)}", {}),
    "zip url and path": lambda path: (f"zip://::file://{_zipped(path)}", {"path": "a/x"}),
    "references": lambda path: (
        "reference://a/x",
        {"storage_options": {"fo": str(_references(path))}},
    ),
    "references and path": lambda path: (
        "reference://",
        {"storage_options": {"fo": str(_references(path))}, "path": "a/x"},
    ),
    "references chain": lambda path: (f"reference://a/x::file://{_references(path)}", {}),
    "cache url": lambda path: (f"simplecache::file://{_group(path).store.root}/a/x", {}),
    "cache store": lambda path: (
        CacheStore(_group(path).store, cache_store=MemoryStore()),
        {"path": "a/x"},
    ),
    "zarr array": lambda path: (_group(path)["a/x"], {}),
    "zarr group": lambda path: (_group(path), {"path": "a/x"}),
    "inner group": lambda path: (_group(path)["a"], {"path": "x"}),
    "logging": lambda path: (LoggingStore(_group(path).store), {"path": "a/x"}),
    "read-only": lambda path: (_group(path).store.with_read_only(True), {"path": "a/x"}),
}


@pytest.mark.parametrize("executor", MOST)
async def test_arrays_are_read_from_every_kind_of_store(executor, tmp_path):
    async with ax.Engine(executor=executor, executor_options=EXECUTORS[executor]) as engine:
        for number, (kind, make) in enumerate(READ.items()):
            (tmp_path / str(number)).mkdir()
            place, options = make(tmp_path / str(number))
            result = await engine.execute(xp.from_zarr(place, **options) + 1)
            np.testing.assert_array_equal(result.value, DATA + 1, err_msg=kind)


def test_a_result_is_not_stored_in_what_it_is_computed_of_through_a_wrapper_of_others(tmp_path):
    xp.to_zarr(xp.asarray(DATA, chunks=3), tmp_path / "p/x")
    wrapped = StorePath(Prefixed(LocalStore(tmp_path)), "x")
    for source, target in [(tmp_path / "p/x", wrapped), (wrapped, tmp_path / "p/x")]:
        with pytest.raises(OptionError, match="is the same place as"):
            xp.to_zarr(xp.from_zarr(source) + 1, target, overwrite=True)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "p/x")[:], DATA)
    assert not list(tmp_path.rglob("*probe*"))


def test_equal_arrays_in_two_wrappers_of_others_are_two_places(tmp_path):
    for name in ("one", "two"):
        xp.to_zarr(
            xp.asarray(DATA, chunks=3),
            StorePath(Prefixed(MemoryStore() if 0 else LocalStore(tmp_path / name)), "x"),
        )
    one, two = (StorePath(Prefixed(LocalStore(tmp_path / name)), "x") for name in ("one", "two"))
    xp.to_zarr(xp.from_zarr(one) + 1, two, overwrite=True)
    np.testing.assert_array_equal(zarr.open_array(two)[:], DATA + 1)


def test_a_copy_between_stores_that_look_the_same_is_no_copy_of_its_own_target(tmp_path):
    one, two = (StorePath(Prefixed(LocalStore(tmp_path), name), "x") for name in ("one", "two"))
    xp.to_zarr(xp.asarray(DATA, chunks=3), one)
    assert str(one.store) == str(two.store)
    xp.to_zarr(xp.from_zarr(one) + 1, two)
    np.testing.assert_array_equal(zarr.open_array(two)[:], DATA + 1)
    np.testing.assert_array_equal(zarr.open_array(one)[:], DATA)


@pytest.fixture
def web_server(tmp_path):
    """The URL of a server of files that asks for a token in every request."""

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=tmp_path)

        def log_message(self, *args):
            pass

        def send_head(self):
            if not self.path.endswith("?token=canary"):
                self.send_error(403)
                return None
            return super().send_head()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_the_query_of_a_web_server_is_sent_with_every_request_and_never_shown(tmp_path, web_server):
    group = zarr.create_group(tmp_path / "group")
    group.create_array("a/x", data=DATA, chunks=3)
    x = xp.from_zarr(f"{web_server}/group?token=canary", path="a/x")
    np.testing.assert_array_equal((x + 1).compute(), DATA + 1)
    assert "canary" not in repr(xp.plan_of(x + 1))
    with pytest.raises(AsyncexecError) as caught:
        xp.from_zarr(f"{web_server}/group/a/y?token=canary")
    assert "canary" not in str(caught.value)


def test_a_zip_file_takes_arrays_that_are_complete_and_replaces_none(tmp_path):
    x = xp.asarray(DATA, chunks=3)
    with ZipStore(tmp_path / "x.zip", mode="w") as store:
        xp.store([x, x + 1], [StorePath(store, "a/x"), StorePath(store, "a/y")]).compute()
        with pytest.raises(OptionError, match="is open for writing"):
            (xp.from_zarr(store, path="a/x") + 1).compute(executor="processes")
        with pytest.raises(TargetExistsError, match="nothing in a zip file is replaced"):
            xp.to_zarr(x + 2, store, path="a/x", overwrite=True)
        with pytest.raises(AsyncexecError, match="by zero"):
            xp.to_zarr(
                xp.map_blocks(lambda block: block / (1 // 0), x, dtype="f8"), store, path="b"
            )
    group = zarr.open_group(ZipStore(tmp_path / "x.zip", mode="r"), path="a", mode="r")
    assert {name: array[:].tolist() for name, array in group.arrays()} == {
        "x": DATA.tolist(),
        "y": (DATA + 1).tolist(),
    }
    names = zipfile.ZipFile(tmp_path / "x.zip").namelist()
    assert len(names) == len(set(names)) == 8


def test_a_fragment_that_a_web_server_would_not_be_told_of_is_refused():
    with pytest.raises(StorageError, match="has a '#'"):
        xp.from_zarr("http://127.0.0.1:9/a#b")
