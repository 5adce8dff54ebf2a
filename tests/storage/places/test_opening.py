"""Opening what is there, and making what is not."""

import json
import os

import numpy as np
import pytest
import zarr
from zarr.storage import MemoryStore

from asyncexec.errors import (
    ArrayNotFoundError,
    CorruptArrayError,
    OptionError,
    StorageError,
    TargetExistsError,
)
from asyncexec.storage import create_array, exists, locate, open_array, planned_array, read
from asyncexec.storage.places.removal import remove
from asyncexec.storage.places.stores import open_place

PLACES = ["local", "file-url", "memory", "store"]


@pytest.fixture(params=PLACES)
def place(request, tmp_path):
    name = request.node.name
    return {
        "local": locate(tmp_path / "x"),
        "file-url": locate(f"file://{tmp_path}/x"),
        "memory": locate(f"memory://{name}/x"),
        "store": locate(MemoryStore(), path="x"),
    }[request.param]


def planned(place, **changes):
    options = {"shape": (10, 7), "dtype": "f8", "chunks": (4, 3)} | changes
    return planned_array(place, **options)


def test_what_is_created_can_be_opened(place):
    ref = planned(place, fill_value=3)
    assert not exists(place)
    create_array(ref)
    assert exists(place)
    found = open_array(place)
    assert (found.shape, found.dtype, found.chunks, found.shards) == (
        (10, 7),
        "float64",
        (4, 3),
        None,
    )
    assert (found.fill_value, found.compressor, found.encoding) == (3, ref.compressor, ref.encoding)


@pytest.mark.parametrize(
    "changes",
    [
        {"shards": (8, 6)},
        {"compressor": None},
        {
            "compressor": {
                "name": "blosc",
                "configuration": {"cname": "lz4", "clevel": 1, "shuffle": "shuffle"},
            }
        },
        {"dtype": "?"},
        {"dtype": "c8"},
        {"dtype": "M8[s]"},
        {"dtype": "U5"},
        {"shape": (), "chunks": ()},
        {"shape": (0, 7)},
        {"fill_value": float("nan")},
        {"fill_value": float("-inf")},
    ],
    ids=str,
)
def test_create_takes_every_kind_of_array(tmp_path, changes):
    ref = planned(tmp_path / "x", **changes)
    create_array(ref)
    found = open_array(tmp_path / "x")
    assert (found.shape, found.dtype, found.chunks, found.shards) == (
        ref.shape,
        ref.dtype,
        ref.chunks,
        ref.shards,
    )
    array = zarr.open_array(tmp_path / "x")
    assert array.dtype == ref.numpy_dtype
    np.testing.assert_equal(found.fill_element[()], array.fill_value)


def test_an_existing_target_is_refused_and_left_alone(place):
    create_array(planned(place, fill_value=1))
    with pytest.raises(TargetExistsError, match="overwrite=True"):
        create_array(planned(place, fill_value=2))
    assert open_array(place).fill_value == 1


def test_overwrite_removes_the_old_chunks(place):
    create_array(planned(place))
    array = zarr.open_array(open_place(place), mode="r+")
    array[:] = 5
    create_array(planned(place), overwrite=True)
    assert (read(open_array(place), (slice(0, 10), slice(0, 7))) == 0).all()


def test_remove_takes_away_everything_and_nothing_is_fine(place):
    create_array(planned(place))
    remove(place)
    assert not exists(place)
    remove(place)


def test_unknown_codecs_are_refused(tmp_path):
    with pytest.raises(OptionError, match="cannot be made as asked"):
        create_array(planned(tmp_path / "x", compressor={"name": "no-such-codec"}))


def test_opening_nothing_says_what_is_there_instead(tmp_path):
    (tmp_path / "other.zarr").mkdir()
    with pytest.raises(ArrayNotFoundError, match=r"no Zarr array at .*other\.zarr"):
        open_array(tmp_path)
    with pytest.raises(ArrayNotFoundError, match="no Zarr array"):
        open_array(tmp_path / "missing")
    with pytest.raises(ArrayNotFoundError, match="no Zarr array"):
        open_array("memory://nothing/there")


def test_opening_a_file_says_so(tmp_path):
    (tmp_path / "x").write_text("not a folder")
    with pytest.raises(ArrayNotFoundError, match="no Zarr array"):
        open_array(tmp_path / "x")


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_opening_a_group_lists_its_arrays(tmp_path, zarr_format):
    group = zarr.open_group(tmp_path / "g", mode="w", zarr_format=zarr_format)
    for name in ("temperature", "pressure"):
        group.create_array(name, shape=(3,), dtype="f4")
    with pytest.raises(ArrayNotFoundError, match="its arrays are pressure, temperature"):
        open_array(tmp_path / "g")
    assert open_array(tmp_path / "g", path="pressure").shape == (3,)


def test_opening_an_empty_group_says_so(tmp_path):
    zarr.open_group(tmp_path / "g", mode="w")
    with pytest.raises(ArrayNotFoundError, match="holds no arrays"):
        open_array(tmp_path / "g")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"zarr_format": 3}',
        '{"zarr_format": 9, "node_type": "array"}',
        "\0\1\2",
    ],
)
def test_opening_corrupt_metadata_says_what_was_found(tmp_path, text):
    (tmp_path / "x").mkdir()
    (tmp_path / "x/zarr.json").write_text(text)
    with pytest.raises(CorruptArrayError, match=r"zarr\.json.*Restore the file"):
        open_array(tmp_path / "x")


@pytest.mark.parametrize(
    "field", ["shape", "data_type", "chunk_grid", "codecs", "chunk_key_encoding", "fill_value"]
)
@pytest.mark.parametrize("value", [None, "nonsense", {"name": "nonsense"}], ids=str)
def test_opening_damaged_metadata_is_a_corrupt_array(tmp_path, field, value):
    create_array(planned(tmp_path / "x"))
    document = json.loads((tmp_path / "x/zarr.json").read_text())
    document[field] = value
    (tmp_path / "x/zarr.json").write_text(json.dumps(document))
    with pytest.raises(CorruptArrayError):
        open_array(tmp_path / "x")


def test_opening_damaged_metadata_of_format_2(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x/.zarray").write_text('{"zarr_format": 2, "shape": [3]}')
    with pytest.raises(CorruptArrayError, match="zarray"):
        open_array(tmp_path / "x")


def test_elements_that_cannot_be_computed_with_are_refused(tmp_path):
    kind = zarr.dtype.VariableLengthBytes()
    zarr.create_array(tmp_path / "x", shape=(3,), dtype=kind, zarr_format=2)
    with pytest.raises(StorageError, match="cannot be computed with"):
        open_array(tmp_path / "x")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_a_folder_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="cannot be made"):
        create_array(planned(tmp_path / "x"))
    tmp_path.chmod(0o700)


def test_a_place_below_a_file_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file/x cannot be made"):
        create_array(planned(tmp_path / "file/x"))
