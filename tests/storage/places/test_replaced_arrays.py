"""An array that takes another's place: a reference belongs to the one that it was opened as."""

import asyncio
import json
import pickle

import numpy as np
import pytest
import zarr
from zarr.storage import LocalStore, MemoryStore, WrapperStore

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import ArrayNotFoundError, ArrayReplacedError, UnfinishedArrayError
from asyncexec.storage import open_array, read
from asyncexec.storage.chunks.access import forget_opened
from asyncexec.storage.places.stamps import Stamp, stamped

WHOLE = (slice(0, 6), slice(0, 4))
DATA = np.arange(24, dtype="f8").reshape(6, 4)

# Everything that says how chunks are stored, and leaves shape, type and chunks as they are.
LAYOUTS = {
    "plain": {},
    "points": {"chunk_key_encoding": {"name": "default", "separator": "."}},
    "numbers": {"chunk_key_encoding": {"name": "v2", "separator": "."}},
    "nested-numbers": {"chunk_key_encoding": {"name": "v2", "separator": "/"}},
    "big-endian": {"serializer": zarr.codecs.BytesCodec(endian="big")},
    "transposed": {"filters": [zarr.codecs.TransposeCodec(order=(1, 0))]},
    "raw": {"compressors": None},
    "gzip": {"compressors": zarr.codecs.GzipCodec()},
    "checksum": {"compressors": [zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()]},
    "shards": {"shards": (4, 4)},
    "shards-of-gzip": {"shards": (4, 4), "compressors": zarr.codecs.GzipCodec()},
    "shards-with-points": {
        "shards": (4, 4),
        "chunk_key_encoding": {"name": "default", "separator": "."},
    },
    "format-2": {"zarr_format": 2},
    "format-2-nested": {
        "zarr_format": 2,
        "chunk_key_encoding": {"name": "v2", "separator": "/"},
    },
    "format-2-delta": {"zarr_format": 2, "filters": [{"id": "delta", "dtype": "<f8"}]},
    "format-2-delta-of-integers": {
        "zarr_format": 2,
        "filters": [{"id": "fixedscaleoffset", "scale": 1, "offset": 5, "dtype": "<f8"}],
    },
    "format-2-fortran": {"zarr_format": 2, "order": "F"},
}


def make(place, layout, data=DATA, **attributes):
    options = dict(LAYOUTS[layout])
    if "filters" in options and options.get("zarr_format") == 2:
        import numcodecs

        options["filters"] = [numcodecs.get_codec(dict(f)) for f in options["filters"]]
    array = zarr.create_array(
        place, shape=data.shape, chunks=(2, 2), dtype=data.dtype, overwrite=True, **options
    )
    array[...] = data
    array.attrs.update(attributes)


@pytest.fixture(params=["local", "store"])
def place(request, tmp_path):
    return str(tmp_path / "x.zarr") if request.param == "local" else MemoryStore()


@pytest.mark.parametrize("after", LAYOUTS)
@pytest.mark.parametrize("before", ["plain", "shards", "format-2"])
def test_the_array_that_is_there_now_is_read(place, before, after):
    make(place, before)
    assert np.array_equal(read(open_array(place), WHOLE), DATA)
    make(place, after, DATA + 100)
    assert np.array_equal(read(open_array(place), WHOLE), DATA + 100)


@pytest.mark.parametrize("after", [name for name in LAYOUTS if name != "plain"])
def test_an_array_that_was_replaced_since_it_was_opened_is_told_when_the_run_opens(place, after):
    make(place, "plain")
    total = xp.sum(xp.from_zarr(place))
    make(place, after, DATA + 100)
    with pytest.raises(ArrayReplacedError, match="was replaced since it was opened"):
        total.compute(executor="threads")
    assert float(xp.sum(xp.from_zarr(place)).compute(executor="threads")) == (DATA + 100).sum()


def test_an_array_that_is_gone_when_the_run_opens_is_told(place, tmp_path):
    make(place, "plain")
    total = xp.sum(xp.from_zarr(place))
    if isinstance(place, str):
        (tmp_path / "x.zarr" / "zarr.json").unlink()
    else:
        asyncio.run(place.delete("zarr.json"))
    with pytest.raises(ArrayNotFoundError, match="somebody removed it"):
        total.compute(executor="threads")


def test_attributes_and_names_of_axes_are_not_another_array(tmp_path):
    make(tmp_path / "x", "plain")
    doubled = xp.from_zarr(tmp_path / "x") * 2
    document = json.loads((tmp_path / "x" / "zarr.json").read_text())
    document |= {"attributes": {"units": "m"}, "dimension_names": ["y", "x"]}
    (tmp_path / "x" / "zarr.json").write_text(json.dumps(document))
    assert np.array_equal(doubled.compute(executor="threads"), DATA * 2)


def test_workers_that_stay_alive_read_the_array_that_is_there_now(tmp_path):
    place = str(tmp_path / "x")

    async def main():
        async with ax.Engine("processes", executor_options={"max_workers": 1}) as engine:
            for number, layout in enumerate(["shards", "shards-with-points", "format-2-delta"]):
                make(place, layout, DATA + number)
                result = await engine.execute(xp.from_zarr(place) * 1)
                assert np.array_equal(result.value, DATA + number)

    asyncio.run(main())


def test_references_of_one_array_are_pickled_with_one_document(place):
    make(place, "shards")
    one, other = (open_array(place) for _ in range(2))
    assert one == other
    assert one.metadata is other.metadata


def test_a_reference_is_pickled_with_its_metadata_and_read_without_asking(tmp_path):
    make(tmp_path / "x", "shards-of-gzip")
    ref = open_array(tmp_path / "x")
    travelled = pickle.loads(pickle.dumps(ref))
    forget_opened()
    (tmp_path / "x" / "zarr.json").unlink()
    assert travelled == ref
    assert np.array_equal(read(travelled, WHOLE), DATA)


@pytest.mark.parametrize("layout", ["plain", "format-2"])
def test_an_unfinished_array_is_refused_unless_it_is_asked_for(tmp_path, layout):
    make(tmp_path / "x", layout)
    name = "zarr.json" if layout == "plain" else ".zarray"
    file = tmp_path / "x" / name
    stamp = Stamp(run="r", unfinished=True)
    file.write_bytes(stamped({name: file.read_bytes()}, stamp)[name])
    with pytest.raises(UnfinishedArrayError, match="unfinished=True"):
        xp.from_zarr(tmp_path / "x")
    values = xp.from_zarr(tmp_path / "x", unfinished=True).compute(executor="threads")
    assert np.array_equal(values, DATA)


def test_folders_of_chunks_that_are_gone_are_not_in_the_way_of_chunks_of_other_axes(tmp_path):
    # In a wrapper, chunks are removed one by one, and no folder is.
    place = WrapperStore(LocalStore(tmp_path / "y.zarr"))
    for data in (DATA, DATA + 1, DATA[:, 0]):
        xp.to_zarr(xp.asarray(data, chunks=2), place, overwrite=True, executor="serial")
        np.testing.assert_array_equal(xp.from_zarr(place).compute(executor="serial"), data)
