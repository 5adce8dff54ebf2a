"""A target is where those who open a group find it: in the group's format, in its consolidated metadata."""

import threading

import numpy as np
import pytest
import zarr
from zarr.storage import LocalStore, MemoryStore, StorePath

import asyncexec.array as xp
from asyncexec.errors import OptionError, StorageError, TargetExistsError
from asyncexec.plan.locality import Locality
from asyncexec.storage import locate, open_array
from asyncexec.storage.workspace import preparation, targets
from tests.storage.pipelines import (
    DATA,
    SHAPE,
    everything_below,
    opened_by,
    opening,
    pipeline,
    planned,
    run_of,
    stored,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*Consolidated metadata is currently not part")


def group_at(place, zarr_format, *, consolidated):
    """Make a group with one array, as xarray leaves them."""
    group = zarr.create_group(place, zarr_format=zarr_format)
    named = {"dimension_names": ["x", "y"]} if zarr_format == 3 else {}
    before = group.create_array("before", data=np.ones((3, 5)), **named)
    if zarr_format == 2:
        before.attrs["_ARRAY_DIMENSIONS"] = ["x", "y"]
    if consolidated:
        zarr.consolidate_metadata(place)
    return group


def check_visible(root, path, data, *, consolidated):
    """Check that every reader finds the array at ``path`` below ``root``."""
    parent, _, name = path.rpartition("/")
    group = zarr.open_group(root, mode="r")
    inner = group[parent] if parent else group
    assert name in [found for found, _ in inner.arrays()]
    np.testing.assert_array_equal(group[path][:], data)
    if consolidated:
        listed = zarr.open_consolidated(root)
        np.testing.assert_array_equal(listed[path][:], data)
        assert dict(listed[path].attrs).keys() <= {"_ARRAY_DIMENSIONS"}
    # As xarray needs it of every array in a group: axes have names, and one name has one length.
    lengths = {}
    for _, array in inner.arrays():
        names = (
            array.metadata.dimension_names
            if array.metadata.zarr_format == 3
            else array.attrs["_ARRAY_DIMENSIONS"]
        )
        for axis, length in zip(names, array.shape, strict=True):
            assert lengths.setdefault(axis, length) == length
    if array.metadata.zarr_format == 2:
        assert group[path].metadata.fill_value is None


def place_in(way, root, group, path):
    if way == "path":
        return f"{root}/{path}"
    if way == "local store":
        return locate(LocalStore(root), path=path)
    if way == "group":
        return locate(group, path=path)
    return StorePath(root, path)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("consolidated", [False, True])
@pytest.mark.parametrize("path", ["y", "deep/er/y"])
@pytest.mark.parametrize("way", ["path", "local store", "group", "memory"])
def test_a_target_in_a_group_is_seen_by_every_reader(
    tmp_path, zarr_format, consolidated, path, way
):
    resume = consolidated
    root = MemoryStore() if way == "memory" else tmp_path / "g"
    group = group_at(root, zarr_format, consolidated=consolidated)
    target = place_in(way, root, group, path)
    for overwrite in (False, True):
        plan = run_of(tmp_path, target, 1, overwrite=overwrite)
        opened = opened_by(plan, resume=resume)
        plan.run(opened)
        np.testing.assert_array_equal(opened.collect({}), (DATA + 1) * 4)
        opened.close(succeeded=True)
        check_visible(root, path, (DATA + 1) * 4, consolidated=consolidated)
    assert open_array(locate(target)).shape == SHAPE
    found = zarr.open_group(root, mode="r")[path]
    assert found.metadata.zarr_format == zarr_format


@pytest.mark.parametrize("way", ["local", "memory"])
def test_groups_are_made_along_a_path_in_an_empty_store(tmp_path, way):
    root = MemoryStore() if way == "memory" else tmp_path / "new"
    xp.to_zarr(xp.asarray(DATA), root, path="a/b")
    check_visible(root, "a/b", DATA, consolidated=False)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("consolidated", [False, True])
@pytest.mark.parametrize("path", ["y", "deep/er/y"])
def test_xarray_reads_targets_in_groups(tmp_path, zarr_format, consolidated, path):
    xarray = pytest.importorskip("xarray")
    group_at(tmp_path / "g", zarr_format, consolidated=consolidated)
    xp.to_zarr(xp.asarray(DATA), tmp_path / "g", path=path)
    parent, _, name = path.rpartition("/")
    dataset = xarray.open_zarr(
        tmp_path / "g", group=parent or None, consolidated=consolidated, chunks=None
    )
    np.testing.assert_array_equal(dataset[name].values, DATA)


def test_a_target_on_its_own_is_in_no_group(tmp_path):
    xp.to_zarr(xp.asarray(DATA), tmp_path / "some/where/y")
    assert list(tmp_path.glob("**/zarr.json")) == [tmp_path / "some/where/y/zarr.json"]
    assert zarr.open_array(tmp_path / "some/where/y").metadata.dimension_names is None


@pytest.mark.parametrize("dtype", ["i2", ">i4", "f4", "c16", "?", "<U5", "S3", "M8[ns]", "m8[s]"])
def test_elements_of_every_type_go_into_groups_of_format_2(tmp_path, dtype):
    zarr.create_group(tmp_path / "g", zarr_format=2)
    data = np.arange(6).astype(dtype)
    plan = pipeline(open_array(stored(tmp_path / "x", DATA).location), planned(tmp_path / "z"))
    from asyncexec.storage import ArrayWorkspace, BlockIO, TaskOutput, planned_array

    ref = planned_array(tmp_path / "g/y", shape=(6,), dtype=dtype, chunks=(2,))
    workspace = ArrayWorkspace(
        blocks={"s": BlockIO(targets=(TaskOutput(array=ref, block=(2,)),))}, results=(ref,)
    )
    opened = workspace.open([], opening(locality=Locality.SAME_PROCESS))
    for number in range(3):
        opened.blocks["s"].save(
            (number,), data[2 * number : 2 * number + 2].astype(ref.numpy_dtype)
        )
    np.testing.assert_array_equal(opened.collect({}), data)
    opened.close(succeeded=True)
    np.testing.assert_array_equal(zarr.open_group(tmp_path / "g", mode="r")["y"][:], data)
    assert plan.stages


def test_what_format_2_cannot_have_is_refused_by_name_before_anything_is_made(tmp_path):
    zarr.create_group(tmp_path / "g", zarr_format=2)
    before = everything_below(tmp_path / "g")
    for options, said in (
        ({"chunks": (2, 3), "shards": (4, 3)}, "no shards"),
        ({"compressor": {"name": "numcodecs.bz2", "configuration": {"level": 1}}}, "format 2"),
    ):
        with pytest.raises(OptionError, match=said):
            opened_by(
                pipeline(
                    stored(tmp_path / f"x-{said}", DATA),
                    planned(tmp_path / "g/y", **options),
                    work_dir=tmp_path / "work",
                )
            )
        assert everything_below(tmp_path / "g") == before
        assert not (tmp_path / "work").exists() or everything_below(tmp_path / "work") == []


@pytest.mark.parametrize("overwrite", [False, True])
def test_nothing_is_stored_inside_of_an_array(tmp_path, overwrite):
    stored(tmp_path / "a", DATA)
    for inner in ("a/y", "a/c/0", "a/b/y"):
        with pytest.raises(TargetExistsError, match="inside of the Zarr array"):
            opened_by(run_of(tmp_path, tmp_path / inner, 1, overwrite=overwrite))
    assert not (tmp_path / "a/b").exists()


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("when", ["opening", "running"])
@pytest.mark.parametrize("before", [False, True])
def test_a_run_that_fails_leaves_a_group_as_it_was(
    tmp_path, monkeypatch, zarr_format, when, before
):
    group_at(tmp_path / "g", zarr_format, consolidated=True)
    if before:
        xp.to_zarr(xp.asarray(DATA), tmp_path / "g/new/y")
    files = {p: p.read_bytes() for p in (tmp_path / "g").rglob("*") if p.is_file()}
    plan = run_of(tmp_path, tmp_path / "g/new/y", 1, overwrite=True)
    if when == "opening":

        def failing(ref):
            raise StorageError("no")

        monkeypatch.setattr(preparation, "renew_array", failing)
        with pytest.raises(StorageError, match="no"):
            opened_by(plan, locality=Locality.SAME_HOST)
    else:
        opened_by(plan).close(succeeded=False)
    after = {p: p.read_bytes() for p in (tmp_path / "g").rglob("*") if p.is_file()}
    assert after == files
    names = [name for name, _ in zarr.open_group(tmp_path / "g", mode="r").members()]
    listed = [name for name, _ in zarr.open_consolidated(tmp_path / "g").members(max_depth=None)]
    assert sorted(listed) == (["before", "new", "new/y"] if before else ["before"])
    assert sorted(names) == ["before", *(["new"] * before)]


@pytest.mark.parametrize(
    "name", ["zarr.json", ".zarray", ".zgroup/y", ".zattrs", ".asyncexec-lease"]
)
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_no_array_is_stored_by_a_name_of_the_files_of_groups(tmp_path, zarr_format, name):
    group_at(tmp_path / "g.zarr", zarr_format, consolidated=False)
    before = everything_below(tmp_path)
    for place in (tmp_path / "g.zarr" / name, LocalStore(tmp_path / "g.zarr")):
        path = name if isinstance(place, LocalStore) else ""
        with pytest.raises(StorageError, match="is a name of files"):
            xp.to_zarr(xp.ones((3, 5)), place, path=path, executor="serial", overwrite=True)
    assert everything_below(tmp_path) == before


def test_runs_that_store_in_one_group_at_once_all_enter_their_arrays(tmp_path):
    group_at(tmp_path / "g", 3, consolidated=True)
    plans = [run_of(tmp_path, tmp_path / f"g/deep/y{name}", name) for name in range(8)]
    barrier = threading.Barrier(8)

    def run(plan):
        barrier.wait()
        opened = opened_by(plan)
        plan.run(opened)
        opened.close(succeeded=True)

    threads = [threading.Thread(target=run, args=(plan,)) for plan in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    listed = zarr.open_consolidated(tmp_path / "g")
    for name in range(8):
        np.testing.assert_array_equal(listed[f"deep/y{name}"][:], (DATA + name) * 4)


def test_a_resumed_run_enters_what_a_killed_one_had_made(tmp_path, monkeypatch):
    group_at(tmp_path / "g", 3, consolidated=True)
    plan = run_of(tmp_path, tmp_path / "g/y", 1)
    with monkeypatch.context() as killed:
        killed.setattr(targets, "announce_all", lambda *_: None)
        opened = opened_by(plan, resume=True)
        plan.run(opened)
        opened.targets.publish()
        opened.place.release()
        del opened
    opened = opened_by(plan, resume=True)
    plan.run(opened)
    opened.close(succeeded=True)
    check_visible(tmp_path / "g", "y", (DATA + 1) * 4, consolidated=True)


def test_a_format_2_target_is_resumed_chunk_by_chunk(tmp_path):
    zarr.create_group(tmp_path / "g", zarr_format=2)
    plan = run_of(tmp_path, tmp_path / "g/y", 1)
    opened = opened_by(plan, resume=True)
    plan.run(opened, name="first", tasks=range(9))
    plan.run(opened, name="second", tasks=range(4))
    opened.close(succeeded=False)
    opened = opened_by(plan, resume=True)
    assert plan.run(opened) == [("second", task) for task in range(4, 9)]
    np.testing.assert_array_equal(opened.collect({}), (DATA + 1) * 4)
    opened.close(succeeded=True)
