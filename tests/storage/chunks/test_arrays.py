"""References: tiny, frozen, comparable, free of secrets."""

import math
import pickle

import numpy as np
import pytest
import zarr

from asyncexec.errors import OptionError
from asyncexec.storage import locate, planned_array

CANARY = "canary-90af"


def planned(place="/data/a", **changes):
    options = {"shape": (10, 7), "dtype": "f8", "chunks": (4, 3)} | changes
    return planned_array(place, **options)


def test_a_reference_knows_the_array_without_touching_it():
    ref = planned(shards=(8, 3))
    assert (ref.shape, ref.dtype, ref.chunks, ref.unit) == ((10, 7), "float64", (4, 3), (8, 3))
    assert (ref.blocks, ref.nbytes, ref.ndim) == ((2, 3), 560, 2)
    assert planned().unit == (4, 3)


def test_a_reference_is_a_few_hundred_bytes():
    assert len(pickle.dumps(planned())) < 600


def test_references_are_equal_by_value_and_can_be_hashed():
    assert planned() == planned()
    assert hash(planned()) == hash(planned())
    assert planned() != planned(compressor=None)
    assert pickle.loads(pickle.dumps(planned())) == planned()


def test_cached_values_do_not_travel():
    ref = planned()
    before = len(pickle.dumps(ref))
    assert ref.numpy_dtype == np.float64
    assert len(pickle.dumps(ref)) == before


def test_text_and_description_hide_secrets():
    ref = planned(f"s3://user:{CANARY}@bucket/a", storage_options={"key": CANARY})
    assert CANARY not in repr(ref) + str(ref) + ref.description
    assert "s3://bucket/a" in repr(ref)


def test_descriptions_tell_apart_what_is_computed_from():
    refs = [
        planned(),
        planned(dtype="f4"),
        planned(chunks=(5, 3)),
        planned(fill_value=1),
    ]
    assert len({ref.description for ref in refs}) == len(refs)


def test_at_is_the_same_array_elsewhere():
    ref = planned()
    moved = ref.at(locate("/data/b"))
    assert moved.location.url == "/data/b"
    assert moved.at(ref.location) == ref


@pytest.mark.parametrize(
    "changes",
    [
        {"chunks": (4,)},
        {"chunks": (0, 3)},
        {"shape": (-1, 3)},
        {"shards": (4,)},
        {"shards": (6, 3)},
        {"shards": (2, 3)},
        {"dtype": object},
        {"compressor": "nonsense"},
        {"compressor": {"id": "zstd"}},
        {"compressor": 7},
    ],
)
def test_what_cannot_be_stored_is_refused(changes):
    with pytest.raises(OptionError):
        planned(**changes)


def test_fill_values_are_of_the_element_type():
    assert planned(dtype="i4").fill_value == 0
    assert planned(dtype="i4", fill_value=np.int64(7)).fill_value == 7
    assert math.isnan(planned(fill_value=math.nan).fill_value)
    assert planned(dtype="c16").fill_value == 0j
    assert planned(dtype="?").fill_value is False


def test_compressors_are_given_in_any_of_three_ways():
    assert planned(compressor=None).compressor == ""
    assert (
        planned(compressor="auto").compressor
        == planned(compressor=zarr.codecs.ZstdCodec(checksum=True)).compressor
    )
    given = {"name": "gzip", "configuration": {"level": 3}}
    assert (
        planned(compressor=given).compressor
        == planned(compressor=zarr.codecs.GzipCodec(level=3)).compressor
    )


def test_a_dtype_of_the_other_byte_order_becomes_native():
    assert planned(dtype=">f4").dtype == "float32"
    assert planned(dtype=">f4").numpy_dtype.isnative


def test_the_hash_of_a_reference_does_not_travel():
    # Hashes of texts differ between processes.
    reference = planned()
    before = pickle.dumps(reference)
    hash(reference)
    assert pickle.dumps(reference) == before
