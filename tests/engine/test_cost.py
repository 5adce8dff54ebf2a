"""What a run costs beside its work, in calls of this package's functions: those are the same on every machine.

The bounds leave some room. A change that needs more than that is slower for everybody: see where the calls are made
before raising them.
"""

import threading
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import zarr

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.storage.chunks.access import forget_opened
from tests.storage.fake_s3 import serving

PACKAGE = str(Path(ax.__file__).parent)


class Calls:
    """Counts the calls of the package's functions (or those in a folder), in all threads, while it is entered."""

    def __init__(self, folder=PACKAGE):
        self.folder = folder
        self.by_function = Counter()

    def __enter__(self):
        threading.setprofile_all_threads(self._note)
        return self

    def __exit__(self, *_):
        threading.setprofile_all_threads(None)

    def _note(self, frame, event, _argument):
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(self.folder):
            self.by_function[code.co_qualname] += 1

    @property
    def number(self):
        return self.by_function.total()


@pytest.fixture
async def engine():
    async with ax.Engine("threads", executor_options={"max_workers": 2}) as opened:
        await opened.execute(add_one())  # what is done once in a process
        yield opened


def add_one():
    return xp.asarray(np.arange(3.0)) + 1


async def test_adding_one_to_three_elements_takes_few_calls(engine):
    found = []
    for _ in range(5):
        with Calls() as calls:
            await engine.execute(add_one())
        found.append(calls)
    # A tick of the pool, or a buffer that is made anew, comes on top in some of them.
    fewest = min(found, key=lambda calls: calls.number)
    assert fewest.number <= 1_200, fewest.by_function.most_common(20)


async def doubled(engine, folder, chunks):
    """Calls to double an array of so many chunks from files to files."""
    source = folder / f"{chunks}.zarr"
    zarr.create_array(source, data=np.ones(2 * chunks), chunks=(2,))
    plan = xp.store([xp.from_zarr(source) * 2], [folder / f"{chunks}-doubled.zarr"]).to_plan()
    with Calls() as calls:
        await engine.execute(plan)
    return calls.by_function


async def test_a_further_chunk_takes_few_calls(engine, tmp_path):
    some, more = [await doubled(engine, tmp_path, chunks) for chunks in (20, 120)]
    # How many chunks go in one batch depends on how long they take: what a batch takes is left out.
    each = {name: n // 100 for name, n in (more - some).items() if n >= 100}
    assert sum(each.values()) <= 48, each


async def most_held(engine, tasks):
    """The most bytes that the driver holds at once while so many tasks give their items back."""
    plan = ax.Plan.map(int, range(tasks))
    tracemalloc.start()
    try:
        await engine.execute(plan)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("executor", ["threads", "processes"])
async def test_a_million_tasks_that_do_nothing_take_less_than_64_mb_of_the_driver(executor):
    async with ax.Engine(executor, executor_options={"max_workers": 2}) as engine:
        await most_held(engine, 1_000)
        some, more = [await most_held(engine, tasks) for tasks in (5_000, 25_000)]
    # Of these, the list of the results and its integers take 40.
    assert (more - some) / 20_000 < 62, (some, more)


async def doubled_elsewhere(engine, options, chunks):
    """Calls of functions of storage to double an array of so many chunks from a bucket to it."""
    places = [f"s3://bucket/{chunks}{end}" for end in ("", "-doubled")]
    source = xp.from_zarr(places[0], storage_options=options)
    plan = xp.store([source * 2], [places[1]], storage_options=options).to_plan()
    with Calls(f"{PACKAGE}/storage") as calls:
        await engine.execute(plan)
    return calls.by_function


async def test_a_further_chunk_in_a_bucket_takes_few_calls(engine):
    with serving() as (_, options):
        options |= {
            "access_key_id": "a",
            "secret_access_key": "b",
            "region": "us-east-1",
            "client_options": {"allow_http": True},
        }
        found = []
        for chunks in (20, 120):
            made = xp.store(
                [xp.ones(2 * chunks, chunks=2)], [f"s3://bucket/{chunks}"], storage_options=options
            )
            await engine.execute(made)
            found.append(await doubled_elsewhere(engine, options, chunks))
        forget_opened()
    some, more = found
    each = {name: n // 100 for name, n in (more - some).items() if n >= 100}
    assert sum(each.values()) <= 130, each
