"""Reading from Zarr and storing there, and what goes wrong with it."""

import numpy as np
import pytest
import zarr

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import (
    ArrayNotFoundError,
    CorruptArrayError,
    OptionError,
    StorageError,
    TargetExistsError,
    WorkDirError,
)
from tests.array.direct import run


@pytest.fixture
def stored(tmp_path, rng):
    data = rng.random((7, 5))
    array = zarr.create_array(tmp_path / "in.zarr", shape=data.shape, chunks=(3, 2), dtype="f8")
    array[:] = data
    return tmp_path / "in.zarr", data


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("dtype", [">f4", "<i2", "bool", "complex64", "uint8"])
def test_arrays_of_either_format_and_any_byte_order(tmp_path, zarr_format, dtype, rng):
    data = (rng.random((5, 4)) * 100).astype(dtype)
    array = zarr.create_array(
        tmp_path / "a", shape=data.shape, chunks=(2, 3), dtype=dtype, zarr_format=zarr_format
    )
    array[:] = data
    x = xp.from_zarr(tmp_path / "a")
    assert x.dtype == np.dtype(dtype).newbyteorder("=")
    assert x.chunks == (2, 3)
    np.testing.assert_array_equal(run(xp.flip(x)), np.flip(data))


def test_shards_are_the_chunks(tmp_path, rng):
    data = rng.random((8, 8))
    array = zarr.create_array(
        tmp_path / "a", shape=(8, 8), chunks=(2, 2), shards=(4, 8), dtype="f8"
    )
    array[:] = data
    x = xp.from_zarr(tmp_path / "a")
    assert x.chunks == (4, 8)
    np.testing.assert_array_equal(run(x + 1), data + 1)


def test_an_array_in_a_group(tmp_path):
    group = zarr.create_group(tmp_path / "g")
    group.create_array("inner", data=np.arange(6), chunks=(4,))
    assert run(xp.from_zarr(tmp_path / "g", path="inner")).tolist() == list(range(6))
    with pytest.raises(ArrayNotFoundError, match="inner"):
        xp.from_zarr(tmp_path / "g")


def test_what_is_missing_or_corrupt(tmp_path):
    with pytest.raises(ArrayNotFoundError, match=r"nothing\.zarr"):
        xp.from_zarr(tmp_path / "nothing.zarr")
    (tmp_path / "bad.zarr").mkdir()
    (tmp_path / "bad.zarr" / "zarr.json").write_text("{}")
    with pytest.raises(CorruptArrayError, match=r"bad\.zarr"):
        xp.from_zarr(tmp_path / "bad.zarr")


def test_unsupported_elements(tmp_path):
    kind = zarr.dtype.VariableLengthBytes()
    zarr.create_array(tmp_path / "a", shape=(3,), dtype=kind, chunks=(3,), zarr_format=2)
    with pytest.raises(StorageError, match="object, which cannot be computed with"):
        xp.from_zarr(tmp_path / "a")


def test_targets_that_exist_are_kept_unless_said_otherwise(tmp_path, stored):
    place, data = stored
    x = xp.from_zarr(place)
    with pytest.raises(TargetExistsError, match="overwrite=True"):
        run(xp.store([xp.ones(3)], [place]))
    np.testing.assert_array_equal(zarr.open_array(place)[:], data)
    xp.to_zarr(x, tmp_path / "out.zarr")
    xp.to_zarr(x + 1, tmp_path / "out.zarr", overwrite=True)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "out.zarr")[:], data + 1)


def test_what_is_read_cannot_be_replaced(stored):
    place, data = stored
    with pytest.raises(OptionError, match="still reads"):
        run(xp.store([xp.from_zarr(place) + 1], [place], overwrite=True), checked=False)
    np.testing.assert_array_equal(zarr.open_array(place)[:], data)


def test_lists_that_do_not_match(tmp_path):
    x = xp.ones(3)
    with pytest.raises(OptionError, match="2 arrays cannot be stored at 1"):
        xp.store([x, x], [tmp_path / "a"])
    with pytest.raises(OptionError, match="place of its own"):
        xp.store([x, x], [tmp_path / "a", tmp_path / "a"])
    with pytest.raises(OptionError, match="takes lists"):
        xp.store(x, tmp_path / "a")


def test_one_array_in_several_places_is_computed_once(tmp_path, stored):
    place, data = stored
    y = xp.sqrt(xp.from_zarr(place))
    plan = xp.store([y, y, y[1:]], [tmp_path / n for n in "abc"]).to_plan()
    assert sum("sqrt" in stage.operation for stage in plan.stages) == 1
    run(plan)
    for name, expected in (("a", data), ("b", data), ("c", data[1:])):
        np.testing.assert_array_equal(zarr.open_array(tmp_path / name)[:], np.sqrt(expected))


def test_a_source_itself_can_be_computed_and_stored(tmp_path, stored):
    place, data = stored
    x = xp.from_zarr(place)
    np.testing.assert_array_equal(run(x), data)
    run(xp.store([x, xp.ones(2), x[:, 1]], [tmp_path / n for n in "abc"]))
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "a")[:], data)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "b")[:], np.ones(2))
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "c")[:], data[:, 1])


def test_stores_and_urls_are_places(tmp_path):
    store = zarr.storage.MemoryStore()
    run(xp.store([xp.arange(4, chunks=2)], [store]))
    np.testing.assert_array_equal(run(xp.from_zarr(store)), np.arange(4))
    run(xp.store([xp.arange(4)], [f"file://{tmp_path}/url.zarr"]))
    np.testing.assert_array_equal(run(xp.from_zarr(tmp_path / "url.zarr")), np.arange(4))


def test_a_failed_run_leaves_nothing_at_the_target(tmp_path):
    def fail(block):
        raise RuntimeError("no")

    y = xp.map_blocks(fail, xp.ones(4, chunks=2), dtype=float)
    with pytest.raises(RuntimeError, match="no"):
        run(xp.store([y], [tmp_path / "out.zarr"]))
    assert list(tmp_path.iterdir()) == []


def test_a_work_dir_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    spec = ax.Spec(work_dir=tmp_path / "file" / "inside")
    with pytest.raises(WorkDirError):
        run(xp.sum(xp.ones(10, chunks=2, spec=spec)))


def test_a_source_that_was_made_anew_is_another_one(stored, tmp_path):
    place, data = stored
    before = (xp.from_zarr(place) + 1).to_plan().fingerprint
    assert (xp.from_zarr(place) + 1).to_plan().fingerprint == before
    array = zarr.create_array(place, shape=data.shape, chunks=(3, 2), dtype="f8", overwrite=True)
    array[:] = data + 1
    assert (xp.from_zarr(place) + 1).to_plan().fingerprint != before


@pytest.mark.parametrize("kind", ["path", "obstore", "fsspec"])
def test_a_source_that_was_written_to_is_another_one(tmp_path, kind):
    from zarr.storage import FsspecStore, ObjectStore

    path = str(tmp_path / "x.zarr")
    array = zarr.create_array(path, data=np.arange(6.0), chunks=2)

    def place():
        if kind == "obstore":
            return ObjectStore(pytest.importorskip("obstore.store").LocalStore(path))
        return path if kind == "path" else FsspecStore.from_url(f"file://{path}")

    def fingerprint():
        return (xp.from_zarr(place()) + 1).to_plan().fingerprint

    before = fingerprint()
    assert fingerprint() == before
    array[4] = 1e6
    written = fingerprint()
    assert written != before
    (tmp_path / "x.zarr" / "c" / "0").unlink()
    assert fingerprint() not in (before, written)


async def test_a_finished_run_is_not_the_result_for_an_input_that_was_written_to(tmp_path):
    array = zarr.create_array(str(tmp_path / "x"), data=np.arange(6.0), chunks=2)
    spec = ax.Spec(work_dir=tmp_path / "work")

    def doubled():
        x = xp.from_zarr(tmp_path / "x", spec=spec)
        return xp.store([x * 2], [tmp_path / "y"], overwrite=True)

    async with ax.Engine("threads") as engine:
        await engine.execute(doubled(), resume=True)
        assert (await engine.execute(doubled(), resume=True)).attempts == 0
        array[0] = 50.0
        assert (await engine.execute(doubled(), resume=True)).attempts == 3
    assert zarr.open_array(str(tmp_path / "y"), mode="r")[0] == 100.0


def test_a_plan_has_one_fingerprint_however_its_places_are_spelt(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    zarr.create_array("x y", data=np.arange(6.0), chunks=2)
    (tmp_path / "link").symlink_to(tmp_path)
    spellings = ["", "./", f"{tmp_path}/", f"file://{tmp_path}/", "link/", f"{tmp_path}/link/../"]
    plans = [
        xp.store([xp.from_zarr(f"{s}x y") + 1], [f"{t}y"]).to_plan()
        for s, t in zip(spellings, reversed(spellings), strict=True)
    ]
    assert len({plan.fingerprint for plan in plans}) == 1


async def test_an_interrupted_store_resumes(tmp_path):
    done = tmp_path / "done"
    done.mkdir()
    x = xp.from_array(np.arange(20.0), chunks=2, spec=ax.Spec(work_dir=tmp_path / "work"))

    def once(block, *, stop):
        if stop.exists() and block[0] >= 10:
            raise RuntimeError("stopped")
        (done / f"{block[0]}-{len(list(done.iterdir()))}").touch()
        return block + 1

    stop = tmp_path / "stop"
    y = xp.map_blocks(once, x, dtype=float, stop=stop)
    plan = xp.store([y], [tmp_path / "out.zarr"]).to_plan()
    async with ax.Engine(executor="threads", executor_options={"max_workers": 1}) as engine:
        stop.touch()
        with pytest.raises(ax.TaskError):
            await engine.execute(plan, resume=True, retry=1)
        before = len(list(done.iterdir()))
        stop.unlink()
        await engine.execute(plan, resume=True)
    assert before >= 1
    assert len(list(done.iterdir())) == 10
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "out.zarr")[:], np.arange(20.0) + 1)
