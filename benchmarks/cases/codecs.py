"""How fast chunks are encoded and decoded, by codecs alone and by whole ways from files to elements."""

from typing import Any

from benchmarks.case import Case, Contender
from benchmarks.codec_contenders import (
    Chunks,
    contender,
    isal_way,
    numcodecs_into_way,
    numcodecs_way,
    own_way,
    zarr_way,
    zstandard_into_way,
    zstandard_way,
)

LARGE = Chunks(shape=(12, 720, 720), many=8)
SMALL = Chunks(shape=(1, 128, 128), many=512)
SHARD = Chunks(shape=(12, 720, 720), many=8, inner=(12, 144, 144))
_ZARR = "zarr.core.codec_pipeline"


def _codecs(chunks: Chunks) -> tuple[Contender, ...]:
    zstd: dict[str, Any] = {"level": 0, "checksum": True}
    return (
        contender("numcodecs zstd", chunks, numcodecs_way, reference=True, codec_id="zstd", **zstd),
        contender(
            "numcodecs zstd, into buffers", chunks, numcodecs_into_way, codec_id="zstd", **zstd
        ),
        contender("zstandard", chunks, zstandard_way, level=3, checksum=True),
        contender("zstandard, into buffers", chunks, zstandard_into_way, level=3, checksum=True),
        contender("numcodecs zstd, level 1", chunks, numcodecs_way, codec_id="zstd", level=1),
        contender("numcodecs lz4", chunks, numcodecs_way, codec_id="lz4"),
        contender(
            "numcodecs blosc lz4, shuffled", chunks, numcodecs_way, codec_id="blosc", cname="lz4"
        ),
        contender("numcodecs gzip, level 1", chunks, numcodecs_way, codec_id="gzip", level=1),
        contender("isal gzip, level 1", chunks, isal_way, level=1),
        contender("isal gzip, level 3", chunks, isal_way, level=3),
    )


def _ways(chunks: Chunks) -> tuple[Contender, ...]:
    inner = chunks.inner
    return (
        contender(
            "zarr-python",
            chunks,
            zarr_way,
            reference=True,
            inner=inner,
            pipeline=f"{_ZARR}.BatchedCodecPipeline",
        ),
        contender(
            "zarr-python, fused",
            chunks,
            zarr_way,
            inner=inner,
            pipeline=f"{_ZARR}.FusedCodecPipeline",
        ),
        contender("zarrs", chunks, zarr_way, inner=inner, pipeline="zarrs.ZarrsCodecPipeline"),
        contender("asyncexec", chunks, own_way, ours=True, inner=inner),
    )


def _case(name: str, about: str, contenders: tuple[Contender, ...]) -> Case:
    return Case(
        name=name,
        about=f"{about}; CPU ms and page faults for 25 MB of elements, on 1 and 2 threads",
        figure="decode_1_ms",
        better="less is better",
        contenders=contenders,
        repeat=3,
    )


CASES = (
    _case("codecs_large", "codecs, chunks of 25 MB", _codecs(LARGE)),
    _case("codecs_small", "codecs, chunks of 64 kB", _codecs(SMALL)),
    _case("chunks_large", "files of chunks of 25 MB", _ways(LARGE)),
    _case("chunks_small", "files of chunks of 64 kB", _ways(SMALL)),
    _case("chunks_sharded", "files of shards of 25 MB, chunks of 1 MB", _ways(SHARD)),
)
