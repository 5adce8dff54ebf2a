"""Chunks are the same whichever library encodes and decodes them."""

import json
import zlib

import numcodecs
import numpy as np
import pytest
import zarr

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.storage.chunks import codec_libraries
from asyncexec.storage.chunks.access import write
from asyncexec.storage.chunks.arrays import planned_array
from asyncexec.storage.chunks.block_io import BlockIO, TaskInput
from asyncexec.storage.chunks.codec_libraries import SMALL_BYTES, codec, codec_library
from asyncexec.storage.places.creation import create_array

ZSTD = json.dumps({"name": "zstd", "configuration": {"level": 0, "checksum": True}})
DATA = np.random.default_rng(0).integers(0, 9, 5_000)


def gzip(level):
    return json.dumps({"name": "gzip", "configuration": {"level": level}})


@pytest.fixture
def none_installed(monkeypatch):
    monkeypatch.setattr(codec_libraries, "_found", lambda _module: None)


def plain(compressor):
    document = json.loads(compressor)
    return numcodecs.get_codec({"id": document["name"]} | document["configuration"])


@pytest.mark.parametrize("compressor", [ZSTD, *[gzip(level) for level in range(10)]])
def test_what_one_library_encodes_another_decodes(compressor):
    chosen, other = codec(compressor, DATA.nbytes), plain(compressor)
    for encoder, decoder in ((chosen, other), (other, chosen), (chosen, chosen)):
        assert bytes(decoder.decode(bytes(encoder.encode(DATA)))) == DATA.tobytes()


@pytest.mark.parametrize("compressor", [ZSTD, gzip(5)])
def test_encoding_twice_gives_the_same_bytes(compressor):
    assert bytes(codec(compressor, 8).encode(DATA)) == bytes(codec(compressor, 8).encode(DATA))


@pytest.mark.parametrize("compressor", [ZSTD, gzip(1)])
def test_damage_raises(compressor):
    chosen = codec(compressor, DATA.nbytes)
    whole = bytes(chosen.encode(DATA))
    for damaged in (whole[:-5], b"nothing of the kind", whole[:50] + b"x" + whole[51:]):
        with pytest.raises((RuntimeError, EOFError, OSError, ValueError, zlib.error)):
            chosen.decode(damaged)


def test_frames_of_unknown_size_are_decoded():
    zstandard = pytest.importorskip("zstandard")
    stream = zstandard.ZstdCompressor().compressobj()
    whole = stream.compress(DATA.tobytes()) + stream.flush()
    assert bytes(codec(ZSTD, DATA.nbytes).decode(whole)) == DATA.tobytes()


def test_without_optional_packages_numcodecs_does_it_all(none_installed):
    for compressor in (ZSTD, gzip(1)):
        assert codec_library(compressor, 8) == "numcodecs"
        assert (
            bytes(codec(compressor, 8).decode(codec(compressor, 8).encode(DATA))) == DATA.tobytes()
        )


def test_the_library_goes_by_the_codec_and_the_size_of_chunks():
    pytest.importorskip("zstandard")
    assert codec_library(ZSTD, SMALL_BYTES - 1) == "zstandard"
    assert codec_library(ZSTD, SMALL_BYTES) == codec_library(ZSTD) == "numcodecs"
    assert codec_library("") == ""
    pytest.importorskip("isal")
    assert codec_library(gzip(5), SMALL_BYTES) == "isal"


@pytest.mark.parametrize("name", ["zstd", "gzip"])
def test_arrays_of_format_2_are_made_with_codecs_that_describe_themselves(tmp_path, name):
    zarr.create_group(tmp_path / "g", zarr_format=2)
    codec = {"name": name, "configuration": {"level": 1}}
    ones = xp.ones((4,), chunks=(2,), spec=ax.Spec(zarr_compressor=codec))
    xp.to_zarr(ones, tmp_path / "g", path="a")
    assert zarr.open_array(tmp_path / "g" / "a")[...].tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("compressor", ["zstd", "gzip", "blosc"])
@pytest.mark.parametrize("elements", [1, 1000, 2**16 - 1, 2**16, 2**17, 2**18, 2**19 + 1])
def test_chunks_of_every_size_are_written_and_read(tmp_path, compressor, elements):
    data = np.random.default_rng(elements).random(elements, dtype="f4")
    options = {"cname": "lz4", "clevel": 1, "shuffle": "shuffle", "blocksize": 0}
    codec = {
        "name": compressor,
        "configuration": options if compressor == "blosc" else {"level": 1},
    }
    ref = planned_array(
        tmp_path / "a", shape=(elements,), dtype="f4", chunks=(elements,), compressor=codec
    )
    create_array(ref)
    region = (slice(0, elements),)
    write(ref, region, data)
    io = BlockIO(sources=(TaskInput(array=ref, select=lambda _: region),))
    for _ in range(3):
        np.testing.assert_array_equal(io.load((0,))[0][0], data)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "a")[...], data)


async def test_the_figures_of_a_run_say_which_library_encodes_chunks(tmp_path, none_installed):
    result = await ax.execute(
        xp.store([xp.ones((4, 4), chunks=(2, 4))], [tmp_path / "a"]), executor="threads"
    )
    assert result.stages[-1].codecs == "zstd by numcodecs"
