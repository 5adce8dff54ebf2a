"""A run that is stopped while a store hangs in a write: its caller goes on, and what is written late is removed."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import asyncexec as ax
from asyncexec.testing.patience import scaled

zarr = pytest.importorskip("zarr")
xp = pytest.importorskip("asyncexec.array")


class HungStore(zarr.storage.LocalStore):
    """A folder in which no chunk is written until it is let go."""

    def __init__(self, root, **options):
        super().__init__(root, **options)
        self.hangs = threading.Event()
        self.go = threading.Event()
        self.written = 0

    async def set(self, key, value, *rest):
        if "c/" in key:
            self.hangs.set()
            await asyncio.to_thread(self.go.wait, 60)
            self.written += 1
        await super().set(key, value, *rest)


@pytest.fixture
def store(tmp_path):
    store = HungStore(tmp_path / "hung.zarr")
    yield store
    store.go.set()


EXECUTORS = {
    "serial": dict,
    "threads": lambda: {"max_workers": 2},
    "asyncio": dict,
    "futures": lambda: {"executor": ThreadPoolExecutor(5)},
}

AWAIT_WRITES = ("threads", "asyncio", "futures")


def stored(store):
    return xp.store([xp.arange(4, chunks=(1,))], [store])


async def removed(store, *, lost=False):
    """Let the store go, and wait until the threads that were left to themselves have ended.

    Writes that are awaited are ``lost`` when they are cancelled, or with the event loop that awaits them.
    """
    store.go.set()
    for thread in threading.enumerate():
        if thread.name.startswith("asyncexec-"):
            await asyncio.to_thread(thread.join, 30)
    if not lost:
        assert store.written
    assert not [path for path in store.root.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", EXECUTORS)
async def test_a_caller_that_cancels_is_let_go_and_late_chunks_are_removed(name, store):
    options = EXECUTORS[name]()
    async with ax.Engine(name, executor_options=options) as engine:
        task = asyncio.create_task(engine.execute(stored(store)))
        assert await asyncio.to_thread(store.hangs.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(scaled(30)):
                await task
        assert not store.go.is_set()
        assert (await engine.execute(ax.Plan.map(abs, [-1]))).value == [1]
    assert store.written == 0, "the engine did not wait for the write when it closed"
    await removed(store, lost=name in AWAIT_WRITES)
    if "executor" in options:
        await asyncio.to_thread(options["executor"].shutdown)


@pytest.mark.parametrize("name", ["serial", "threads"])
async def test_a_plan_that_exceeds_its_time_fails_although_a_write_hangs(name, store):
    async with ax.Engine(name) as engine:
        with pytest.raises(ax.errors.PlanTimeoutError):
            async with asyncio.timeout(scaled(30)):
                await engine.execute(stored(store), timeout=ax.Timeout(plan=0.05))
        assert not store.go.is_set()
    await removed(store, lost=name in AWAIT_WRITES)


async def test_an_engine_closes_although_a_write_hangs(store):
    async with asyncio.timeout(scaled(30)):
        async with ax.Engine("threads", executor_options={"max_workers": 2}) as engine:
            execution = engine.start(stored(store))
            assert await asyncio.to_thread(store.hangs.wait, 30)
    assert execution.done
    assert store.written == 0
    await removed(store, lost=True)
