"""An array in a bucket read, added to and stored, by the engine and its peers on one server in one run.

    python -m benchmarks.object_store_peers                         # all loads at 0 and 30 ms, some minutes
    python -m benchmarks.object_store_peers --quick                 # less of each: to see that it runs
    python -m benchmarks.object_store_peers --load small --latency 0.03 --repeat 5 --json figures.json

Loads: `small` has 1,600 chunks of 33 kB, `large` twelve chunks of 25 MB, `shards` sixteen shards of a hundred chunks of
33 kB. Peers: zarr-python with its default of 10 requests at once and with 64, the whole array in memory at once; Dask
with a thread for each core and with 64, block by block; tensorstore, where it is there (`pip install tensorstore`). The
engine runs on threads and on processes, opened before it is measured, as the peers' libraries are. Each writes to a
free place. Turns go there and back, every result is checked, and the figures are medians. Ratios are against
zarr-python with 64.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import itertools
import json
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import obstore
import zarr
from obstore.store import S3Store
from zarr.storage import ObjectStore

from benchmarks.machine import describe
from benchmarks.s3_server import BUCKET, Server, server

REFERENCE = "zarr-python, 64"
WIDE = 64


@dataclass(frozen=True, slots=True)
class Load:
    """The array: its shape, its chunks, and the shards that they are in, if any."""

    name: str
    shape: tuple[int, int]
    chunks: tuple[int, int]
    shards: tuple[int, int] | None = None

    @property
    def blocks(self) -> tuple[int, int]:
        """What is written at once."""
        return self.shards or self.chunks


def loads(*, quick: bool) -> list[Load]:
    some = 1 if quick else 2
    return [
        Load("small", (1280 * some, 1280 * some), (64, 64)),
        Load("large", (1768 * 6 * some, 1768), (1768, 1768)),
        Load("shards", (1280 * some, 1280 * some), (64, 64), (640, 640)),
    ]


@dataclass(frozen=True, slots=True)
class Bench:
    """A server with a load's input."""

    load: Load
    ran: Server
    data: np.ndarray

    def store(self, name: str) -> ObjectStore:
        options = self.ran.storage_options
        return ObjectStore(S3Store(BUCKET, prefix=self.key(name), **options))

    def key(self, name: str) -> str:
        return f"{self.load.name}/{name}"

    def url(self, name: str) -> str:
        return f"s3://{BUCKET}/{self.key(name)}"

    def begin(self) -> None:
        self.create("x", data=self.data)

    def create(self, name: str, **more: Any) -> zarr.Array[Any]:
        load = self.load
        if not more:
            more = {"shape": load.shape, "dtype": "f8"}
        return zarr.create_array(self.store(name), chunks=load.chunks, shards=load.shards, **more)

    def remove(self, name: str) -> None:
        store = S3Store(BUCKET, prefix=self.key(name), **self.ran.storage_options)
        for batch in obstore.list(store):
            obstore.delete(store, [meta["path"] for meta in batch])

    def check(self, name: str) -> None:
        with zarr.config.set({"async.concurrency": WIDE}):
            found = zarr.open_array(self.store(name), mode="r")[...]
        np.testing.assert_array_equal(found, self.data + 1)


type Way = Callable[[Bench, str], Awaitable[None]]


async def by_zarr(bench: Bench, name: str, *, width: int) -> None:
    with zarr.config.set({"async.concurrency": width}):
        x = zarr.open_array(bench.store("x"), mode="r")
        bench.create(name)[...] = np.asarray(x[...]) + 1


async def by_dask(bench: Bench, name: str, *, width: int | None) -> None:
    import dask
    import dask.array as da

    x = zarr.open_array(bench.store("x"), mode="r")
    y = bench.create(name)
    with dask.config.set(scheduler="threads", num_workers=width):
        lazy = da.from_array(x, chunks=bench.load.blocks) + 1
        da.store(lazy, y, lock=False)


async def by_tensorstore(bench: Bench, name: str) -> None:
    import tensorstore as ts

    context = ts.Context({"s3_request_concurrency": {"limit": WIDE}})

    def opened(which: str) -> Any:
        kvstore = {
            "driver": "s3",
            "bucket": BUCKET,
            "path": f"{bench.key(which)}/",
            "endpoint": bench.ran.endpoint,
            "aws_region": "us-east-1",
            "aws_credentials": {"type": "anonymous"},
        }
        return ts.open({"driver": "zarr3", "kvstore": kvstore}, context=context, open=True)

    bench.create(name)
    x, y = await opened("x"), await opened(name)
    await y.write(await x.read() + 1)


async def by_engine(bench: Bench, name: str, *, engine: Any) -> None:
    import asyncexec as ax
    import asyncexec.array as xp

    options = bench.ran.storage_options
    spec = ax.Spec(storage_options=options, allowed_mem="2GB")
    stored = xp.store(
        [xp.from_zarr(bench.url("x"), spec=spec) + 1],
        [bench.url(name)],
        storage_options=options,
    )
    await engine.execute(stored)


async def contenders(stack: contextlib.AsyncExitStack) -> dict[str, Way]:
    """What takes part; the engines are open until the stack ends."""
    import asyncexec as ax

    found: dict[str, Way] = {
        "zarr-python, 10": partial(by_zarr, width=10),
        REFERENCE: partial(by_zarr, width=WIDE),
    }
    if importlib.util.find_spec("dask"):
        found["Dask, a thread a core"] = partial(by_dask, width=None)
        found["Dask, 64 threads"] = partial(by_dask, width=WIDE)
    if importlib.util.find_spec("tensorstore"):
        found["tensorstore, 64"] = by_tensorstore
    for executor in ("threads", "processes"):
        engine = await stack.enter_async_context(ax.Engine(executor))
        found[f"asyncexec, {executor}"] = partial(by_engine, engine=engine)
    return found


async def measured(bench: Bench, ways: dict[str, Way], *, repeat: int) -> dict[str, Any]:
    """The seconds of each, with what was asked of the server in the last turn."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    asked: dict[str, Any] = {}
    numbers = itertools.count()
    for turn in range(-1, repeat):
        order = list(ways) if turn % 2 else list(reversed(ways))
        for name in order:
            bench.ran.stats()
            begun = time.perf_counter()
            target = f"y{next(numbers)}"
            await ways[name](bench, target)
            took = time.perf_counter() - begun
            stats = bench.ran.stats()
            # The first turn warms up: libraries are loaded, workers started.
            if turn >= 0:
                seconds[name].append(took)
            asked[name] = stats
            bench.check(target)
            bench.remove(target)
    reference = statistics.median(seconds[REFERENCE])
    return {
        name: {
            "seconds": round(statistics.median(took), 3),
            "least": round(min(took), 3),
            "most": round(max(took), 3),
            "ratio": round(statistics.median(took) / reference, 2),
            "requests": asked[name]["requests"],
            "most_in_flight": asked[name]["most_in_flight"],
        }
        for name, took in seconds.items()
    }


def table(results: dict[str, dict[str, Any]]) -> list[str]:
    """The lines of a table: a row for each contender, seconds and ratio for each load and latency."""
    names = list(next(iter(results.values())))
    lines = ["| | " + " | ".join(results) + " |", "|---" * (len(results) + 1) + "|"]
    for name in names:
        cells = [
            f"{found[name]['seconds']:.2f} s ({found[name]['ratio']:.2f})"
            for found in results.values()
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


async def run(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    results = {}
    chosen = [load for load in loads(quick=options.quick) if load.name in options.load]
    async with contextlib.AsyncExitStack() as stack:
        ran = stack.enter_context(server())
        ways = await contenders(stack)
        if options.only:
            kept = (REFERENCE, *options.only)
            ways = {name: way for name, way in ways.items() if name.startswith(kept)}
        for load in chosen:
            data = np.random.default_rng(0).random(load.shape)
            bench = Bench(load, ran, data)
            bench.begin()
            for latency in options.latency:
                ran.latency(latency)
                key = f"{load.name}, {latency * 1000:.0f} ms"
                results[key] = await measured(bench, ways, repeat=options.repeat)
                print(f"{key}: {json.dumps(results[key])}", flush=True)
            ran.latency(0.0)
    return results


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a quarter of the chunks, one turn")
    parser.add_argument("--repeat", type=int, default=None, help="turns (3; 1 for --quick)")
    parser.add_argument("--load", nargs="+", default=["small", "large", "shards"])
    parser.add_argument("--latency", nargs="+", type=float, default=[0.0, 0.03], help="seconds")
    parser.add_argument("--only", nargs="+", help="beginnings of names, beside the reference")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    options = parser.parse_args(arguments)
    options.repeat = options.repeat or (1 if options.quick else 3)
    results = asyncio.run(run(options))
    print("\n".join(table(results)))
    if options.json:
        options.json.write_text(json.dumps({"machine": describe(), "results": results}, indent=2))


if __name__ == "__main__":
    main()
