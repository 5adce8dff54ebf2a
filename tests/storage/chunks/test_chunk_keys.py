"""The names of chunks, in every way that arrays spell them."""

import json

import pytest
import zarr
from zarr.storage import MemoryStore

from asyncexec.storage.chunks.chunk_keys import ChunkKeys, chunk_keys_of

KINDS = [ChunkKeys(kind, separator) for kind in ("default", "v2") for separator in "/."]


@pytest.mark.parametrize("keys", KINDS, ids=repr)
@pytest.mark.parametrize("shape", [(), (3,), (3, 12)], ids=["no-axes", "one-axis", "two-axes"])
def test_keys_are_those_of_zarr_and_are_read_back(keys, shape):
    files = {}
    array = zarr.create_array(
        MemoryStore(files),
        shape=shape,
        chunks=tuple(1 for _ in shape),
        dtype="u1",
        chunk_key_encoding={"name": keys.kind, "separator": keys.separator},
    )
    array[...] = 1
    stored = set(files) - {"zarr.json"}
    found = {keys.index(key, shape) for key in stored}
    assert None not in found
    assert {keys.key(index) for index in found} == stored
    assert all(key.startswith(keys.prefix) for key in stored) or not shape
    assert chunk_keys_of(json.loads(files["zarr.json"].to_bytes())) == keys


@pytest.mark.parametrize(
    "key", ["zarr.json", "c/0", "c/0/0/0", "c/0/00", "c/0/3", "c/0/x", "0/0", "c.0.0", "d/0/0", "c"]
)
def test_what_is_no_chunk_of_the_grid_has_no_index(key):
    assert ChunkKeys().index(key, (3, 3)) is None


@pytest.mark.parametrize("separator", [".", "/"])
def test_format_2_says_its_separator(separator):
    document = {"zarr_format": 2, "dimension_separator": separator}
    assert chunk_keys_of(document) == ChunkKeys("v2", separator)


def test_format_2_has_points_where_it_says_nothing():
    assert chunk_keys_of({"zarr_format": 2}) == ChunkKeys("v2", ".")
