"""Places that arrays are read from, in every form that Zarr takes, and grids of irregular chunks."""

import os

import fsspec
import numpy as np
import pytest
import zarr
from hypothesis import given, settings, strategies as st
from zarr.storage import FsspecStore, LocalStore, MemoryStore

import asyncexec.array as xp
from asyncexec.errors import CorruptChunkError, OptionError, TargetExistsError
from tests.array.direct import run
from tests.profiles import examples

DATA = np.arange(24.0).reshape(6, 4)


def in_obstore(path):
    return pytest.importorskip("obstore.store").LocalStore(path)


PLACES = [
    lambda path: {"place": zarr.open_group(path)["a/b"]},
    lambda path: {"place": zarr.open_group(path), "path": "a/b"},
    lambda path: {"place": LocalStore(path), "path": "a/b"},
    lambda path: {"place": in_obstore(path), "path": "a/b"},
    lambda path: {"place": fsspec.get_mapper(f"file://{path}"), "path": "a/b"},
    lambda path: {"place": fsspec.get_mapper(f"file://{path}/a/b")},
    lambda path: {"place": fsspec.get_mapper(f"dir://a/b::file://{path}")},
    lambda path: {"place": FsspecStore.from_url(f"file://{path}"), "path": "a/b"},
    lambda path: {"place": f"file://{path}/a/b"},
    lambda path: {"place": os.path.join(path, "a", "b")},  # noqa: PTH118 - as text
]


@pytest.mark.parametrize("number", range(len(PLACES)))
def test_every_form_of_a_place(tmp_path, number):
    path = str(tmp_path / "g")
    array = zarr.create_group(path).create_array("a/b", shape=(6, 4), chunks=(2, 3), dtype="f8")
    array[:] = DATA
    given = PLACES[number](path)
    x = xp.from_zarr(given.pop("place"), **given)
    assert x.chunks == (2, 3)
    np.testing.assert_array_equal(x[1:].compute(executor="threads"), DATA[1:])


def test_a_dictionary_and_a_store_in_memory_are_targets_too():
    held = {}
    run(xp.store([xp.asarray(DATA, chunks=(2, 3))], [held]))
    np.testing.assert_array_equal(zarr.open_array(MemoryStore(held))[:], DATA)
    np.testing.assert_array_equal(run(xp.from_zarr(held) + 1), DATA + 1)
    memory = pytest.importorskip("obstore.store").MemoryStore()
    run(xp.store([xp.asarray(DATA)], [memory]))
    np.testing.assert_array_equal(run(xp.from_zarr(memory)), DATA)
    with pytest.raises(OptionError, match="set is no place for an array"):
        xp.from_zarr({1})


@st.composite
def lengths(draw):
    return draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))


def irregular(place, data, edges):
    with zarr.config.set({"array.rectilinear_chunks": True}):
        array = zarr.create_array(place, shape=data.shape, chunks=edges, dtype=data.dtype)
        array[...] = data
    return place


@given(st.lists(lengths(), min_size=1, max_size=3), st.data())
@settings(max_examples=examples(25))
def test_grids_of_irregular_chunks_are_read(edges, data):
    shape = tuple(map(sum, edges))
    values = np.random.default_rng(0).random(shape)
    x = xp.from_zarr(irregular(MemoryStore(), values, edges))
    assert x.chunksizes == tuple(map(tuple, edges))
    key = tuple(data.draw(st.slices(n)) for n in shape)
    np.testing.assert_array_equal(run(x[key] + 1), values[key] + 1)
    np.testing.assert_array_equal(
        run(xp.sum(x)), np.float64(run(xp.sum(xp.asarray(values, chunks=x.chunks))))
    )
    order = data.draw(st.permutations(range(shape[0])))
    np.testing.assert_array_equal(run(xp.take(x, order, axis=0)), values[order])


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_irregular_chunks_on_a_disk(tmp_path, executor):
    before = zarr.config.get("array.rectilinear_chunks")
    x = xp.from_zarr(irregular(tmp_path / "a", DATA, [[1, 3, 2], [3, 1]]))
    np.testing.assert_array_equal((x * 2).compute(executor=executor), DATA * 2)
    xp.to_zarr(x, tmp_path / "b")
    with zarr.config.set({"array.rectilinear_chunks": True}):
        stored = zarr.open_array(tmp_path / "b")
        np.testing.assert_array_equal(stored[:], DATA)
        assert stored.write_chunk_sizes == ((1, 3, 2), (3, 1))
    # Zarr is as it was (Cubed allows such chunks as it is imported).
    assert zarr.config.get("array.rectilinear_chunks") == before


def test_an_irregular_array_is_replaced_only_where_that_is_asked_for(tmp_path):
    place = irregular(tmp_path / "a", DATA, [[1, 3, 2], [3, 1]])
    with pytest.raises(TargetExistsError, match="overwrite=True"):
        run(xp.store([xp.ones((6, 4))], [place]))
    run(xp.store([xp.ones((6, 4))], [place], overwrite=True))
    assert zarr.open_array(place)[:].sum() == 24


def test_a_damaged_irregular_chunk_is_an_error(tmp_path):
    x = xp.from_zarr(irregular(tmp_path / "a", DATA, [[1, 3, 2], [3, 1]]))
    (tmp_path / "a" / "c" / "1" / "0").write_bytes(b"damaged")
    with pytest.raises(CorruptChunkError, match=r"a"):
        run(x + 1)
