"""The arrays that the jobs read: fields in time and space, matrices, and chunks in shards and in a bucket."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from benchmarks.array_contenders import blocks
from benchmarks.s3_server import BUCKET, Server, server

LATENCY = 0.03
"""Seconds that the server waits before each answer."""

PREFIX = "fields"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The shape of an array, its chunks, and its shards, if any."""

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    shards: tuple[int, ...] | None = None

    @property
    def blocks(self) -> tuple[int, ...]:
        """What is read or written at once."""
        return self.shards or self.chunks

    @property
    def count(self) -> int:
        """The number of blocks."""
        found = 1
        for n, block in zip(self.shape, self.blocks, strict=True):
            found *= -(-n // block)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large everything is: `times` steps in chunks of `step`, on a square of `side`; matrices of `rows`."""

    times: int
    step: int
    side: int
    rows: int
    small: int

    @property
    def layouts(self) -> dict[str, Layout]:
        """The arrays by name; `w` is in the bucket."""
        cube = (self.times, self.side, self.side)
        chunk = (self.step, self.side, self.side)
        inner = (self.step, -(-self.side // 5), -(-self.side // 5))
        square = (self.rows, self.rows)
        quarter = (self.rows // 4, self.rows // 4)
        tile = (1, self.small, self.small)
        return {
            "u": Layout(shape=cube, chunks=chunk),
            "v": Layout(shape=cube, chunks=chunk),
            "s": Layout(
                shape=(self.times // 2, *cube[1:]),
                chunks=inner,
                shards=(self.step, *(5 * n for n in inner[1:])),
            ),
            "a": Layout(shape=square, chunks=quarter),
            "b": Layout(shape=square, chunks=quarter),
            "w": Layout(shape=(self.times, self.small, self.small), chunks=tile),
        }

    @property
    def columns(self) -> tuple[int, int, int]:
        """Chunks that have all times of a part of the square."""
        return (self.times, -(-self.side // 8), -(-self.side // 8))


FULL = Size(times=480, step=12, side=720, rows=4096, small=128)
QUICK = Size(times=48, step=4, side=40, rows=128, small=32)
TINY = Size(times=24, step=4, side=10, rows=16, small=8)
"""What contenders warm up with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the arrays of one size are, and where results go."""

    folder: Path
    size: Size
    endpoint: str

    @property
    def storage_options(self) -> dict[str, Any]:
        """What the bucket is opened with."""
        return Server(self.endpoint).storage_options

    @property
    def target(self) -> str:
        return str(self.folder / "out.zarr")

    @property
    def scratch(self) -> str:
        return str(self.folder / "scratch")

    def url(self, name: str) -> str:
        """What the engine reads an array from."""
        if name == "w":
            return f"s3://{BUCKET}/{PREFIX}/{self.folder.name}/w"
        return str(self.folder / f"{name}.zarr")

    def store(self, name: str) -> Any:
        """What zarr-python and its users read an array from."""
        if name != "w":
            return self.url(name)
        from obstore.store import S3Store
        from zarr.storage import ObjectStore

        prefix = f"{PREFIX}/{self.folder.name}/w"
        return ObjectStore(S3Store(BUCKET, prefix=prefix, **self.storage_options))

    def clear(self) -> None:
        """Remove what the last run has left."""
        for path in (self.target, self.scratch):
            shutil.rmtree(path, ignore_errors=True)


def make(place: Place) -> None:
    """Write the arrays, block by block: smooth, with noise, of which compression takes a third."""
    for number, (name, layout) in enumerate(place.size.layouts.items()):
        array = zarr.create_array(
            place.store(name),
            shape=layout.shape,
            chunks=layout.chunks,
            shards=layout.shards,
            dtype=np.float32,
        )
        rng = np.random.default_rng(number)
        wave = np.sin(np.linspace(0, 20, layout.shape[-1], dtype=np.float32))
        for block in blocks(layout.shape, layout.blocks):
            shape = [
                min(along.stop, n) - along.start
                for along, n in zip(block, layout.shape, strict=True)
            ]
            noise = rng.standard_normal(shape, dtype=np.float32)
            array[block] = np.round(20 + 10 * wave[block[-1]] + noise, 2)


@functools.cache
def places(*, quick: bool) -> tuple[Place, Place]:
    """Return the places of the arrays of a run, and of those to warm up with; they go when this process ends."""
    stack = ExitStack()
    atexit.register(stack.close)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fields-")))
    ran = stack.enter_context(server())
    found = []
    for name, size in (("arrays", QUICK if quick else FULL), ("tiny", TINY)):
        (folder / name).mkdir()
        found.append(Place(folder=folder / name, size=size, endpoint=ran.endpoint))
        make(found[-1])
    ran.latency(LATENCY)
    return found[0], found[1]


def each_block(layout: Layout) -> Iterator[tuple[slice, ...]]:
    """Iterate over the blocks of an array."""
    return blocks(layout.shape, layout.blocks)
