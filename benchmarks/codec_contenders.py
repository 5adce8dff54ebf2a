"""Codecs and pipelines of codecs, each encoding and decoding the same chunks on one and two threads."""

from __future__ import annotations

import importlib
import resource
import tempfile
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import ZstdCodec

from benchmarks.case import Contender, Figures, Measure

PER_BYTES = 25e6
"""What figures are of: so many bytes of elements, in however large chunks."""

type Way = tuple[Callable[[int], object], Callable[[int], np.ndarray]]
"""How chunk number i is encoded, and how it is decoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunks:
    """A chunk of a field, some of whose digits are noise, encoded and decoded `many` times."""

    shape: tuple[int, int, int]
    many: int
    inner: tuple[int, int, int] | None = None

    def field(self) -> np.ndarray:
        """Smooth, with noise of a tenth, to three digits: zstd makes 70% of it."""
        _, y, x = self.shape
        wave = np.sin(np.linspace(0, 6, y))[:, None] * np.cos(np.linspace(0, 6, x))
        noise = np.random.default_rng(0).normal(0, 1, self.shape)
        return np.round(15 + 10 * wave + noise, 3).astype(np.float32)


@contextmanager
def measured(
    chunks: Chunks, way: Callable[[np.ndarray], AbstractContextManager[Way]], *, quick: bool
) -> Generator[Measure]:
    data = chunks.field()
    turns = max(2, chunks.many // 4) if quick else chunks.many
    with way(data) as (encode, decode):
        encode(0)
        np.testing.assert_array_equal(decode(0).reshape(chunks.shape), data)

        def measure() -> Figures:
            figures: dict[str, float] = {}
            for name, act in (("decode", decode), ("encode", encode)):
                for threads in (1, 2):
                    seconds, faults = _used(act, turns, threads)
                    each = turns * data.nbytes / PER_BYTES
                    figures[f"{name}_{threads}_ms"] = seconds * 1e3 / each
                    if threads == 1:
                        figures[f"{name}_faults"] = faults / each
            return figures

        yield measure


def _used(act: Callable[[int], object], turns: int, threads: int) -> tuple[float, int]:
    """Return the seconds of CPU and the page faults of so many turns; another process's do not count."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(act, range(threads)))
        before = resource.getrusage(resource.RUSAGE_SELF)
        for _ in pool.map(act, (i % threads for i in range(turns))):
            pass
        after = resource.getrusage(resource.RUSAGE_SELF)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, after.ru_minflt - before.ru_minflt


# -- codecs alone: from the elements to bytes in memory, and back


@contextmanager
def numcodecs_way(data: np.ndarray, *, codec_id: str, **options: Any) -> Generator[Way]:
    import numcodecs

    numcodecs.blosc.use_threads = False
    codec: Any = numcodecs.get_codec({"id": codec_id, **options})
    encoded = bytes(codec.encode(data))
    yield (
        lambda _: codec.encode(data),
        lambda _: np.frombuffer(codec.decode(encoded), data.dtype),
    )


@contextmanager
def numcodecs_into_way(data: np.ndarray, *, codec_id: str, **options: Any) -> Generator[Way]:
    """Decoding into the same buffer again and again; encoding as above, as numcodecs takes no buffer there."""
    import numcodecs

    numcodecs.blosc.use_threads = False
    codec: Any = numcodecs.get_codec({"id": codec_id, **options})
    encoded = bytes(codec.encode(data))
    mine = _Own(lambda: np.empty_like(data))

    def decode(_: int) -> np.ndarray:
        codec.decode(encoded, out=mine.value)
        return np.asarray(mine.value)

    yield lambda _: codec.encode(data), decode


class _Own(threading.local):
    """A value of each thread."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.value = make()


@contextmanager
def zstandard_way(data: np.ndarray, *, level: int, checksum: bool) -> Generator[Way]:
    zstandard = importlib.import_module("zstandard")
    encoder = _Own(lambda: zstandard.ZstdCompressor(level=level, write_checksum=checksum))
    decoder = _Own(zstandard.ZstdDecompressor)
    encoded = encoder.value.compress(data)
    yield (
        lambda _: encoder.value.compress(data),
        lambda _: np.frombuffer(decoder.value.decompress(encoded), data.dtype),
    )


@contextmanager
def zstandard_into_way(data: np.ndarray, *, level: int, checksum: bool) -> Generator[Way]:
    """Encoding and decoding into the same buffers again and again."""
    zstandard = importlib.import_module("zstandard")
    encoder = _Own(lambda: zstandard.ZstdCompressor(level=level, write_checksum=checksum))
    decoder = _Own(zstandard.ZstdDecompressor)
    encoded = encoder.value.compress(data)
    buffer = _Own(lambda: np.empty_like(data))
    out = _Own(lambda: np.empty(data.nbytes + data.nbytes // 128 + 1024, np.uint8))

    def encode(_: int) -> object:
        return encoder.value.stream_reader(data, size=data.nbytes).readinto(out.value)

    def decode(_: int) -> np.ndarray:
        decoder.value.stream_reader(encoded).readinto(buffer.value)
        return np.asarray(buffer.value)

    yield encode, decode


@contextmanager
def isal_way(data: np.ndarray, *, level: int) -> Generator[Way]:
    igzip = importlib.import_module("isal.igzip")
    encoded = igzip.compress(data, level)
    yield (
        lambda _: igzip.compress(data, level),
        lambda _: np.frombuffer(igzip.decompress(encoded), data.dtype),
    )


# -- whole ways: files of this machine and a pipeline of codecs


@contextmanager
def zarr_way(data: np.ndarray, *, pipeline: str, inner: tuple[int, ...] | None) -> Generator[Way]:
    if pipeline.startswith("zarrs."):
        importlib.import_module("zarrs")
    options: dict[str, Any] = {"codec_pipeline.path": pipeline}
    with tempfile.TemporaryDirectory() as folder, zarr.config.set(options):
        array = _array(folder, data, inner)
        n = len(data)

        def encode(i: int) -> None:
            array[i * n : (i + 1) * n] = data

        encode(0)
        encode(1)
        yield encode, lambda i: np.asarray(array[i * n : (i + 1) * n])


@contextmanager
def own_way(data: np.ndarray, *, inner: tuple[int, ...] | None) -> Generator[Way]:
    """Chunks as tasks of this package read and write them."""
    from asyncexec.storage.chunks.access import opened
    from asyncexec.storage.places.opening import open_array

    with tempfile.TemporaryDirectory() as folder:
        _array(folder, data, inner)
        chunks = opened(open_array(Path(folder) / "a"))
        n, rest = len(data), tuple(slice(0, along) for along in data.shape[1:])

        def encode(i: int) -> None:
            chunks.write((slice(i * n, (i + 1) * n), *rest), data)

        encode(0)
        encode(1)
        yield encode, lambda i: chunks.read((slice(i * n, (i + 1) * n), *rest))


def _array(folder: str, data: np.ndarray, inner: tuple[int, ...] | None) -> Any:
    shape = (2 * data.shape[0], *data.shape[1:])
    codec = ZstdCodec(level=0, checksum=True)
    return zarr.create_array(
        Path(folder) / "a",
        shape=shape,
        dtype=data.dtype,
        chunks=inner or data.shape,
        shards=data.shape if inner else None,
        compressors=codec,
    )


def contender(
    name: str,
    chunks: Chunks,
    way: Callable[..., AbstractContextManager[Way]],
    *,
    ours: bool = False,
    reference: bool = False,
    **options: Any,
) -> Contender:
    return Contender(
        name=name,
        ours=ours,
        reference=reference,
        prepare=lambda quick: measured(chunks, partial(way, **options), quick=quick),
    )
