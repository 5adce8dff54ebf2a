"""`await ax.from_zarr(place)`: the event loop goes on while a store does not answer, and a cancelled call returns."""

import asyncio
import threading

import pytest
from zarr.storage import MemoryStore

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import ArrayNotFoundError


class SilentStore(MemoryStore):
    """A store that answers nothing before `answers` is set."""

    def __init__(self, held):
        super().__init__(held)
        self.asked, self.answers = threading.Event(), threading.Event()

    async def get(self, key, prototype=None, byte_range=None):
        self.asked.set()
        self.answers.wait()
        return await super().get(key, prototype, byte_range)


@pytest.fixture
def silent():
    held = {}
    xp.to_zarr(xp.arange(4, chunks=2), MemoryStore(held))
    store = SilentStore(held)
    yield store
    store.answers.set()


async def until(event):
    while not event.is_set():
        await asyncio.sleep(0)


async def test_the_loop_goes_on_until_the_store_answers(silent):
    opening = asyncio.create_task(ax.from_zarr(silent))
    await until(silent.asked)
    assert not opening.done()
    silent.answers.set()
    x = await opening
    assert (x.shape, x.chunks) == ((4,), (2,))


async def test_a_cancelled_call_returns_though_the_store_never_answers(silent):
    opening = asyncio.create_task(ax.from_zarr(silent))
    await until(silent.asked)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert not silent.answers.is_set()


async def test_errors_are_those_of_the_call_that_blocks(tmp_path):
    with pytest.raises(ArrayNotFoundError, match="nowhere"):
        await ax.from_zarr(tmp_path / "nowhere.zarr")
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        await ax.from_zarr(tmp_path, chunks=3)
