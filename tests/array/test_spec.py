"""Specs: where and with how much memory arrays are computed."""

import dataclasses
import json

import numpy as np
import pytest
import zarr

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import OptionError
from asyncexec.storage import locate
from asyncexec.storage.places.creation import described
from asyncexec.storage.tiers.intermediate_codec import intermediate
from tests.array.direct import run


def test_sizes_are_numbers_or_text():
    spec = ax.Spec(allowed_mem="1.5GB", reserved_mem=10**8)
    assert (spec.allowed_bytes, spec.reserved_bytes) == (1_500_000_000, 100_000_000)
    assert spec.free_bytes == 1_400_000_000


def test_defaults_are_cubeds():
    spec = ax.Spec()
    assert (spec.allowed_bytes, spec.reserved_bytes) == (2_000_000_000, 100_000_000)
    assert spec.executor is None


@pytest.mark.parametrize(
    "options, match",
    [
        ({"allowed_mem": "much"}, "allowed_mem='much' is not a size"),
        ({"reserved_mem": -1}, "reserved_mem"),
        ({"requests": 0}, "requests=0 must be"),
        ({"requests": 2.5}, "requests=2.5 must be"),
        ({"allowed_mem": "100MB"}, "leaves nothing of allowed_mem"),
        ({"executor_options": ["max_workers"]}, "executor_options must map names to values"),
        ({"storage_options": "key"}, "storage_options must map names to values"),
        ({"zarr_compressor": "best"}, "not a compressor"),
        ({"work_compressor": "best"}, "not a compressor"),
        ({"memory_dir": "nowhere"}, "memory_dir='nowhere' must be a folder"),
        ({"memory_dir": 3}, "memory_dir=3 must be a folder"),
    ],
)
def test_values_that_cannot_be_are_refused(options, match):
    with pytest.raises(OptionError, match=match):
        ax.Spec(**options)


def test_a_spec_does_not_change_and_hides_what_is_secret():
    spec = ax.Spec(
        work_dir="s3://bucket",
        storage_options={"secret_access_key": "hush-hush"},
        executor="http",
        executor_options={"secret": "hush-hush"},
    )
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.allowed_mem = 3
    assert "hush-hush" not in repr(spec)
    assert "secret_access_key" in repr(spec)
    assert spec == ax.Spec(
        work_dir="s3://bucket",
        storage_options={"secret_access_key": "hush-hush"},
        executor="http",
        executor_options={"secret": "hush-hush"},
    )


def test_arrays_of_one_expression_have_one_spec():
    one, other = ax.Spec(allowed_mem="1GB"), ax.Spec(allowed_mem="3GB")
    x, y = xp.ones(3, spec=one), xp.ones(3, spec=other)
    assert (x + xp.ones(3)).spec == (xp.ones(3) + x).spec == one
    assert (x + np.ones(3)).spec == one
    for combine in (xp.add, lambda a, b: a + b, lambda a, b: xp.concat([a, b]), xp.compute):
        with pytest.raises(OptionError, match="different specs"):
            combine(x, y)


def test_auto_chunks_get_smaller_with_memory():
    small = ax.Spec(allowed_mem="200MB", reserved_mem="100MB")
    x, y = xp.ones((10_000, 10_000), spec=small), xp.ones((10_000, 10_000))
    assert x.chunks < y.chunks
    assert np.prod(x.chunks) * 8 <= 10_000_000


@pytest.mark.parametrize(
    "compressor, name",
    [
        ("default", "ZstdCodec"),
        (None, None),
        ({"name": "gzip", "configuration": {"level": 1}}, "GzipCodec"),
    ],
)
def test_the_compressor_is_that_of_stored_arrays(compressor, name, tmp_path):
    spec = ax.Spec(zarr_compressor=compressor, work_dir=tmp_path / "work")
    run(xp.store([xp.ones(4, spec=spec)], [tmp_path / "x.zarr"]))
    found = [type(c).__name__ for c in zarr.open_array(tmp_path / "x.zarr").compressors]
    assert found == ([name] if name else [])


@pytest.mark.parametrize(
    "place, compressor, codecs",
    [
        ("work", "auto", ["bytes", "crc32c"]),
        ("memory://work", "auto", ["bytes", "crc32c"]),
        ("s3://bucket/work", "auto", ["bytes", "blosc", "crc32c"]),
        ("s3://bucket/work", None, ["bytes", "crc32c"]),
        ("work", {"name": "gzip", "configuration": {"level": 1}}, ["bytes", "gzip", "crc32c"]),
        ("work", zarr.codecs.ZstdCodec(level=1), ["bytes", "zstd", "crc32c"]),
    ],
)
def test_intermediates_are_encoded_by_their_place_or_as_the_spec_says(
    place, compressor, codecs, tmp_path
):
    spec = ax.Spec(work_compressor=compressor, zarr_compressor="default", optimize=False)
    plan = (xp.ones(4, spec=spec) + 1).to_plan()
    (ref,) = [t.ref for io in plan.workspace.blocks.values() for t in io.targets][:1]
    at = locate(place if "://" in place else tmp_path / place)
    stored = intermediate(ref.at(at), plan.workspace.compressor)
    document = json.loads(described(stored)["zarr.json"])
    assert [codec["name"] for codec in document["codecs"]] == codecs


def test_the_executor_of_the_spec_computes(tmp_path):
    spec = ax.Spec(executor="serial")
    assert xp.sum(xp.ones(5, spec=spec)).compute() == 5
    with pytest.raises(ax.errors.UnknownExecutorError):
        xp.sum(xp.ones(5, spec=ax.Spec(executor="nobody"))).compute()
    assert xp.sum(xp.ones(5, spec=ax.Spec(executor="nobody"))).compute(executor="serial") == 5
