"""The limit of the machine for a job: the time below which it cannot be done, whoever does it.

T_min = max(reading and writing, CPU seconds / cores, critical path), all measured here, by plain loops over the same
files: reading them whole into one buffer, writing what blocks of the true result are encoded to, decoding, computing
and encoding some blocks by NumPy and the quicker of numcodecs and zstandard, into memory that is used again, with
nothing around. Everything is done by as many threads at once as there are workers, as cores share caches and the way to
memory; the CPU seconds of a step are those that all threads together spend on it. Each block is another one, as it is
in the job: a block that is decoded or written twice is in the caches the second time. Files are in the page cache, as
they are for all contenders, so that reading and writing them takes CPU seconds, which count too. From a bucket, reading
takes as many answers as there are objects, 64 at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import zarr
from numcodecs.zstd import Zstd
from threadpoolctl import threadpool_limits

from benchmarks.array_contenders import blocks
from benchmarks.case import Figures, Measure
from benchmarks.contenders import WORKERS
from benchmarks.field_jobs.fields import LATENCY, Layout, Place, each_block, places
from benchmarks.field_jobs.jobs import FieldJob
from benchmarks.field_jobs.kernels import KERNELS, Scratch
from benchmarks.field_jobs.measuring import expected

EACH = 8
"""The blocks that each thread takes."""
AT_ONCE = 64
_CODEC = Zstd(level=0)
_LEVEL = 3  # What 0 stands for.


@contextmanager
def limit(job: FieldJob, *, quick: bool) -> Iterator[Measure]:
    """Yield what measures the limit of a job."""
    where, _ = places(quick=quick)
    _, target = expected(job, quick=quick)
    yield lambda: limit_of(job, where, target)


def limit_of(job: FieldJob, where: Place, target: Any) -> Figures:
    """Return T_min of a job, and what it is made of, in seconds; ``target`` holds what it stores."""
    layouts = [where.size.layouts[name] for name in job.reads]
    count = max(layout.count for layout in layouts)
    decode, kernel = _input_seconds(job, where)
    written = None if job.target is None else job.target(where.size)
    encode = 0.0 if written is None else _encode_seconds(written, target)
    passes = max(job.reads.values())
    read, reading = _read_seconds(job, where)
    write, writing = (0.0, 0.0) if written is None else _write_seconds(written, where, target)
    stored = 0 if written is None else written.count
    cpu = count * (passes * decode + kernel) + stored * encode + reading + writing
    critical = passes * decode + kernel + encode
    return {
        "seconds": max(read + write, cpu / WORKERS, critical),
        "io_s": read + write,
        "cpu_s": cpu,
        "decode_s": count * passes * decode,
        "kernel_s": count * kernel,
        "encode_s": stored * encode,
        "io_cpu_s": reading + writing,
    }


@dataclass(frozen=True, slots=True)
class _Input:
    """Blocks of an input as they are stored, and the memory that each is decoded into and computed with."""

    encoded: tuple[tuple[Any, ...], ...]
    chunks: tuple[np.ndarray, ...]
    whole: np.ndarray


def _input_seconds(job: FieldJob, where: Place) -> tuple[float, float]:
    """Return the CPU seconds of decoding a block of each input, and of computing."""
    mine = [[_input(where, name, thread) for name in job.reads] for thread in range(WORKERS)]
    scratches = [Scratch() for _ in range(WORKERS)]

    def decode(thread: int, into: Callable[[Any, np.ndarray], object]) -> None:
        for of in mine[thread]:
            for block in of.encoded:
                for data, chunk in zip(block, of.chunks, strict=True):
                    into(data, chunk)

    def compute(thread: int) -> None:
        for _ in range(EACH):
            KERNELS[job.name](scratches[thread], *(of.whole for of in mine[thread]))

    ways = [lambda thread, way=way: decode(thread, way()) for way in _DECODERS]
    return min(map(_seconds_each, ways)), _seconds_each(compute)


def _input(where: Place, name: str, thread: int) -> _Input:
    """Return what one thread decodes of an array."""
    array = zarr.open_array(where.store(name), mode="r")
    layout = where.size.layouts[name]
    taken = [np.asarray(array[at]) for at in _blocks_of(layout, thread)]
    encoded = tuple(tuple(map(_CODEC.encode, _chunks(block, layout.chunks))) for block in taken)
    return _Input(encoded, tuple(_chunks(taken[-1], layout.chunks)), taken[-1])


def _encode_seconds(layout: Layout, target: Any) -> float:
    """Return the CPU seconds of encoding a block of what is stored."""
    mine = [
        [_chunks(np.asarray(target[at]), layout.chunks) for at in _blocks_of(layout, thread)]
        for thread in range(WORKERS)
    ]

    def encode(thread: int, by: Callable[[np.ndarray], object]) -> None:
        for each in mine[thread]:
            for chunk in each:
                by(chunk)

    ways = [lambda thread, way=way: encode(thread, way()) for way in _ENCODERS]
    return min(map(_seconds_each, ways))


def _blocks_of(layout: Layout, thread: int) -> list[tuple[slice, ...]]:
    """Return the blocks that one thread takes: no other's, and all different, if there are as many."""
    of = list(each_block(layout))
    return [of[(thread + WORKERS * k) % len(of)] for k in range(EACH)]


def _seconds_each(work: Callable[[int], object]) -> float:
    """Return the CPU seconds for each of the blocks that all threads take at once."""
    together = Barrier(WORKERS)

    def measured(thread: int) -> float:
        work(thread)  # Once uncounted: it brings code and pages into memory.
        together.wait()
        begun = time.thread_time()
        work(thread)
        return time.thread_time() - begun

    # Linear algebra in the calling thread alone: what others do for it is not in that thread's seconds.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(WORKERS) as pool:
        return sum(pool.map(measured, range(WORKERS))) / (WORKERS * EACH)


@cache
def _zstandard() -> Any:
    return import_module("zstandard")


def _zstandard_decoder() -> Callable[[Any, np.ndarray], object]:
    decoder = _zstandard().ZstdDecompressor()
    return lambda data, chunk: decoder.stream_reader(data).readinto(chunk.data.cast("B"))


def _zstandard_encoder() -> Callable[[np.ndarray], object]:
    return _zstandard().ZstdCompressor(level=_LEVEL).compress  # type: ignore[no-any-return]  # an optional module, without types


_DECODERS = (lambda: lambda data, chunk: _CODEC.decode(data, out=chunk), _zstandard_decoder)
_ENCODERS = (lambda: _CODEC.encode, _zstandard_encoder)


def _chunks(block: np.ndarray, chunks: Sequence[int]) -> list[np.ndarray]:
    return [np.ascontiguousarray(block[each]) for each in blocks(block.shape, tuple(chunks))]


def _files(folder: str) -> list[Path]:
    return [path for path in Path(folder).rglob("*") if path.is_file()]


def _read_seconds(job: FieldJob, where: Place) -> tuple[float, float]:
    """Return the time in which all that is read can be read, by as many threads as there are workers, and of CPUs."""
    if job.elsewhere:
        requests = sum(where.size.layouts[name].count for name in job.reads)
        return -(-requests // AT_ONCE) * LATENCY, 0.0
    files = [f for name, passes in job.reads.items() for f in _files(where.url(name)) * passes]
    largest = max(path.stat().st_size for path in files)

    def read(thread: int) -> None:
        buffer = bytearray(largest)
        for path in files[thread::WORKERS]:
            with path.open("rb", buffering=0) as file:
                file.readinto(buffer)

    return _elapsed(read)


def _write_seconds(layout: Layout, where: Place, target: Any) -> tuple[float, float]:
    """Return the time in which all that is stored can be written, and that of CPUs."""
    folder = where.folder / "written"
    folder.mkdir(exist_ok=True)
    count = layout.count
    encoded = [
        [b"".join(map(_CODEC.encode, _chunks(np.asarray(target[at]), layout.chunks))) for at in of]
        for of in (_blocks_of(layout, thread) for thread in range(WORKERS))
    ]

    def write(thread: int) -> None:
        for number in range(thread, count, WORKERS):
            (folder / str(number)).write_bytes(encoded[thread][number // WORKERS % EACH])

    try:
        return _elapsed(write)
    finally:
        _emptied(folder)


def _emptied(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def _elapsed(work: Callable[[int], object]) -> tuple[float, float]:
    """Return the seconds in which all threads do their part at once, and those of CPUs."""
    with ThreadPoolExecutor(WORKERS) as pool:
        begun, used = time.perf_counter(), time.process_time()
        list(pool.map(work, range(WORKERS)))
        return time.perf_counter() - begun, time.process_time() - used
