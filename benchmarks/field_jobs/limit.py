"""The limit of the machine for a job: the time below which it cannot be done, whoever does it.

T_min = max(bytes read / bandwidth + bytes written / bandwidth, CPU seconds of codecs and kernels / cores, critical
path), all measured here, by plain loops over the same files: reading them whole into one buffer, writing as many bytes,
decoding, computing and encoding some blocks by NumPy and numcodecs with nothing around. Files are in the page cache, as
they are for all contenders. From a bucket, reading takes as many answers as there are objects, 64 at a time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numcodecs.zstd import Zstd

from benchmarks.case import Figures, Measure
from benchmarks.contenders import WORKERS
from benchmarks.field_jobs.fields import LATENCY, Place, each_block, places
from benchmarks.field_jobs.jobs import FieldJob

SAMPLED = 3
AT_ONCE = 64
_CODEC = Zstd(level=0)


@contextmanager
def limit(job: FieldJob, *, quick: bool) -> Iterator[Measure]:
    """Yield what measures the limit of a job."""
    where, _ = places(quick=quick)
    yield lambda: limit_of(job, where)


def limit_of(job: FieldJob, where: Place) -> Figures:
    """Return T_min of a job, and what it is made of, in seconds."""
    blocks = [where.size.layouts[name] for name in job.reads]
    count = max(layout.count for layout in blocks)
    decode, kernel, encode = _cpu_seconds(job, where)
    passes = max(job.reads.values())
    cpu = count * (passes * decode + kernel + encode)
    read = _read_seconds(job, where)
    write = 0.0 if job.target is None else _write_seconds(job, where)
    critical = passes * decode + kernel + encode
    return {
        "seconds": max(read + write, cpu / WORKERS, critical),
        "io_s": read + write,
        "cpu_s": cpu,
    }


def _cpu_seconds(job: FieldJob, where: Place) -> tuple[float, float, float]:
    """Return the CPU seconds of decoding one block of each input, of computing, and of encoding what comes of it.

    The least of some blocks, as everything else on the machine only adds to it.
    """
    inputs = [zarr.open_array(where.store(name), mode="r") for name in job.reads]
    layouts = [where.size.layouts[name] for name in job.reads]
    of = [list(each_block(layout)) for layout in layouts]
    taken: list[tuple[float, float, float]] = []
    # The first is not counted: it brings code and pages into memory.
    for number in range(1 + min(SAMPLED, *map(len, of))):
        data = [np.asarray(x[each[number % len(each)]]) for x, each in zip(inputs, of, strict=True)]
        pieces = [_chunks(x, layout.chunks) for x, layout in zip(data, layouts, strict=True)]
        encoded = [(_CODEC.encode(piece), piece) for each in pieces for piece in each]
        made: list[Any] = []
        # Into memory that is there already: nobody has to make room for each chunk anew.
        decode = _timed(lambda: [_CODEC.decode(each, out=piece) for each, piece in encoded])  # noqa: B023 - called at once
        kernel = _timed(lambda: made.append(job.kernel(*data)))  # noqa: B023
        encode = 0.0
        if job.target is not None:
            chunks = _written(np.asarray(made[0], np.float32), job, where)
            encode = _timed(lambda: [_CODEC.encode(each) for each in chunks])  # noqa: B023
        taken.append((decode, kernel, encode))
    least = [min(each) for each in zip(*taken[1:], strict=True)]
    return least[0], least[1], least[2]


def _written(block: np.ndarray, job: FieldJob, where: Place) -> list[np.ndarray]:
    assert job.target is not None
    layout = job.target(where.size)
    if layout.shards is not None:
        return _chunks(block, layout.chunks)
    # In chunks of another shape there are as many bytes to encode.
    return [np.ascontiguousarray(block)]


def _chunks(block: np.ndarray, chunks: tuple[int, ...]) -> list[np.ndarray]:
    from benchmarks.array_contenders import blocks

    if all(n <= c for n, c in zip(block.shape, chunks, strict=True)):
        return [np.ascontiguousarray(block)]
    return [np.ascontiguousarray(block[each]) for each in blocks(block.shape, chunks)]


def _timed(work: Any) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def _files(folder: str) -> list[Path]:
    return [path for path in Path(folder).rglob("*") if path.is_file()]


def _read_seconds(job: FieldJob, where: Place) -> float:
    """Return the time in which all that is read can be read, by as many threads as there are workers."""
    if job.elsewhere:
        requests = sum(where.size.layouts[name].count for name in job.reads)
        return -(-requests // AT_ONCE) * LATENCY
    files = [f for name, passes in job.reads.items() for f in _files(where.url(name)) * passes]
    largest = max(path.stat().st_size for path in files)

    def read(part: list[Path]) -> None:
        buffer = bytearray(largest)
        for path in part:
            with path.open("rb", buffering=0) as file:
                file.readinto(buffer)

    with ThreadPoolExecutor(WORKERS) as pool:
        begun = time.perf_counter()
        list(pool.map(read, [files[k::WORKERS] for k in range(WORKERS)]))
        return time.perf_counter() - begun


def _write_seconds(job: FieldJob, where: Place) -> float:
    """Return the time in which as many bytes can be written as the result takes, about those of the input."""
    assert job.target is not None
    size = sum(path.stat().st_size for path in _files(where.url(next(iter(job.reads)))))
    folder = where.folder / "written"
    folder.mkdir(exist_ok=True)
    count = job.target(where.size).count
    data = bytes(max(1, size // count))

    def write(number: int) -> None:
        (folder / str(number)).write_bytes(data)

    try:
        with ThreadPoolExecutor(WORKERS) as pool:
            begun = time.perf_counter()
            list(pool.map(write, range(count)))
            return time.perf_counter() - begun
    finally:
        for path in folder.iterdir():
            path.unlink()
