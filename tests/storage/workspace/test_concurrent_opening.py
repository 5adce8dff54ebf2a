"""Opening many places is concurrent, bounded, stopped between two places, and undone whatever goes wrong."""

import threading

import numpy as np
import pytest
from zarr.storage import MemoryStore, WrapperStore

import asyncexec.array as xp
from asyncexec.plan.locality import Locality
from asyncexec.plan.workspace import OpeningStoppedError
from asyncexec.storage import ArrayWorkspace, BlockIO, TaskOutput, locate, planned_array
from asyncexec.storage.places.concurrently import WIDTH, for_each
from tests.storage.pipelines import everything_below, opening


class Meeting(WrapperStore):
    """A store whose readers wait until several are there at once, and that counts them."""

    def __init__(self, store, together):
        super().__init__(store)
        self.together = together
        self.now = self.most = self.gets = 0
        self.lock = threading.Lock()
        self.met = threading.Event()

    async def get(self, key, prototype, byte_range=None):
        import asyncio

        with self.lock:
            self.gets += 1
            self.now += 1
            self.most = max(self.most, self.now)
            if self.now >= self.together:
                self.met.set()
        while not self.met.is_set():
            await asyncio.sleep(0.001)
        await asyncio.sleep(0)
        with self.lock:
            self.now -= 1
        return await super().get(key, prototype, byte_range)


class PanicError(BaseException):
    """As obstore's panics: no Exception."""


def many(store, count, **options):
    blocks = {
        f"s{n}": BlockIO(
            targets=(
                TaskOutput(
                    array=planned_array(
                        locate(store, path=f"y{n}")
                        if not isinstance(store, str)
                        else f"{store}/y{n}",
                        shape=(4,),
                        dtype="f8",
                        chunks=(2,),
                    ),
                    block=(2,),
                ),
            )
        )
        for n in range(count)
    }
    return ArrayWorkspace(blocks=blocks, **options)


def opened(workspace, **changes):
    return workspace.open([], opening(**({"locality": Locality.SAME_PROCESS} | changes)))


def test_places_are_opened_at_the_same_time_and_not_all_at_once(tmp_path):
    store = Meeting(MemoryStore(), together=8)
    opened(many(store, 60, work_dir=tmp_path)).close(succeeded=False)
    assert 8 <= store.most <= 4 * WIDTH
    assert not store._store._store_dict


@pytest.mark.parametrize("kind", ["files", "store"])
@pytest.mark.parametrize("calls", [1, 5, 61, 70, 119])
def test_an_opening_is_stopped_between_two_places_and_undone(tmp_path, kind, calls):
    store = MemoryStore() if kind == "store" else str(tmp_path / "g")
    left = calls
    lock = threading.Lock()

    def stop():
        nonlocal left
        with lock:
            left -= 1
            if left <= 0:
                raise OpeningStoppedError

    with pytest.raises(OpeningStoppedError):
        opened(many(store, 60, work_dir=tmp_path / "work"), stop=stop)
    # Those that had begun call once more, and no others.
    assert left > -3 * WIDTH
    if kind == "store":
        assert not store._store_dict
    else:
        assert not list(tmp_path.glob("g/y*"))
    assert not (tmp_path / "work").exists() or everything_below(tmp_path / "work") == []


@pytest.mark.parametrize("count", [1, 20])
def test_whatever_goes_wrong_everything_is_undone(tmp_path, count):
    class Panicking(WrapperStore):
        async def set_if_not_exists(self, key, value):
            if key.startswith(f"y{count - 1}/"):
                raise PanicError
            await super().set_if_not_exists(key, value)

    store = Panicking(MemoryStore())
    workspace = many(store, count, work_dir=tmp_path / "work")
    with pytest.raises(PanicError):
        opened(workspace)
    assert not [key for key in store._store._store_dict if key.startswith("y")]
    assert everything_below(tmp_path / "work") == []


@pytest.mark.parametrize("count", [1, 2, 40])
def test_the_first_error_is_raised_and_what_has_not_begun_does_not_begin(count):
    begun = []

    def fail(number):
        begun.append(number)
        raise ValueError(number)

    with pytest.raises(ValueError, match=r"\d"):
        for_each(fail, list(range(count)), stop=lambda: None)
    assert len(begun) <= count
    assert for_each(abs, list(range(-count, 0)), stop=lambda: None) == [*range(count, 0, -1)]


def test_three_hundred_targets_are_stored_by_one_plan(tmp_path):
    x = xp.asarray(np.arange(4.0))
    targets = [tmp_path / f"y{n}" for n in range(300)]
    xp.store([x + n for n in range(300)], targets).compute(executor="threads")
    assert xp.from_zarr(targets[299]).compute().tolist() == [299.0, 300.0, 301.0, 302.0]
    assert len(list(tmp_path.iterdir())) == 300
