"""An attempt of an ended run that writes too late changes nothing of the next run's array, in every kind of store."""

import numpy as np
import pytest
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from zarr.storage import FsspecStore, LoggingStore, MemoryStore, ObjectStore, WrapperStore

import asyncexec.array as xp
from asyncexec.errors import TargetReplacedError
from asyncexec.plan.box import unravel
from asyncexec.storage import locate, open_array, read, write
from asyncexec.storage.places.holds import HeldPlace
from tests.storage.pipelines import DATA, WHOLE, opened_by, run_of

FIRST = (slice(0, 4), slice(0, 3))
LATE = np.full((4, 3), -1.0)


class Prefixed(WrapperStore):
    """A wrapper of others, which changes keys."""

    async def get(self, key, *args, **options):
        return await self._store.get(f"p-{key}", *args, **options)

    async def set(self, key, value):
        await self._store.set(f"p-{key}", value)

    async def set_if_not_exists(self, key, value):
        await self._store.set_if_not_exists(f"p-{key}", value)

    async def delete(self, key):
        await self._store.delete(f"p-{key}")

    async def exists(self, key):
        return await self._store.exists(f"p-{key}")

    async def list_prefix(self, prefix):
        async for key in self._store.list_prefix(f"p-{prefix}"):
            yield key.removeprefix("p-")


class WithoutModes(MemoryFileSystem):
    """A file system of fsspec that knows no exclusive creation."""

    protocol = "modeless"

    def pipe_file(self, path, value):
        super().pipe_file(path, value)


def of_file_system(filesystem, path=""):
    return FsspecStore(AsyncFileSystemWrapper(filesystem, asynchronous=True), path=path)


def without_conditions():
    """A store of obstore's as of a server that answers 501 to conditional writes."""
    from asyncexec.storage.places.obstore_objects import forget_conditions

    client = pytest.importorskip("obstore.store").MemoryStore()
    forget_conditions(client)
    return client


KINDS = {
    "memory URL": lambda folder: f"memory://{folder.name}",
    "memory": lambda folder: MemoryStore(),
    "logging": lambda folder: LoggingStore(MemoryStore()),
    "wrapper of others": lambda folder: Prefixed(MemoryStore()),
    "wrapper of others, fsspec": lambda folder: Prefixed(
        of_file_system(MemoryFileSystem(), f"/late/{folder.name}")
    ),
    "obstore memory": lambda folder: ObjectStore(
        pytest.importorskip("obstore.store").MemoryStore()
    ),
    "obstore without conditions": lambda folder: ObjectStore(without_conditions()),
    "obstore in a wrapper": lambda folder: LoggingStore(
        ObjectStore(pytest.importorskip("obstore.store").MemoryStore())
    ),
    "fsspec memory": lambda folder: of_file_system(MemoryFileSystem(), f"/late/{folder.name}"),
    "fsspec without modes": lambda folder: of_file_system(WithoutModes(), f"/{folder.name}"),
    "fsspec files in a wrapper": lambda folder: LoggingStore(
        of_file_system(DirFileSystem(str(folder), LocalFileSystem(auto_mkdir=True)), "held")
    ),
}


SLOW = {"logging", "obstore in a wrapper", "fsspec files in a wrapper", "wrapper of others, fsspec"}


@pytest.fixture(
    params=[pytest.param(k, marks=[pytest.mark.slow] if k in SLOW else []) for k in KINDS]
)
def place(request, tmp_path):
    found = locate(KINDS[request.param](tmp_path), path="y")
    assert found.local_path is None
    return found


def begun(folder, place, name, **options):
    """Open a run; return it, what runs it, and its target as attempts write it."""
    plan = run_of(folder, place, name, **options)
    opened = opened_by(plan)
    return plan, opened, opened.blocks["second"].targets[0].ref


def run_all(plan, opened):
    """Run every task, as a run that is not resumed does."""
    for stage in plan.stages:
        for task in range(stage.tasks):
            io, index = opened.io(stage), unravel(task, stage.shape)
            io.save(index, stage.kernel(index, *io.load(index)[0]))


def ended(plan, opened):
    run_all(plan, opened)
    opened.collect({})
    opened.close(succeeded=True)


def contents(place):
    return read(open_array(place), WHOLE)


def test_after_a_run_that_was_cancelled(place, tmp_path):
    _, cancelled, late = begun(tmp_path, place, 1)
    cancelled.close(succeeded=False)
    plan, opened, mine = begun(tmp_path, place, 2)
    assert late.keys == mine.keys
    write(late, FIRST, LATE)  # Where nothing is yet: the run whose array it is replaces it.
    run_all(plan, opened)
    with pytest.raises(TargetReplacedError):
        write(late, FIRST, LATE)
    opened.collect({})
    opened.close(succeeded=True)
    np.testing.assert_array_equal(contents(place), (DATA + 2) * 4)
    with pytest.raises(TargetReplacedError):
        write(late, FIRST, LATE)
    np.testing.assert_array_equal(contents(place), (DATA + 2) * 4)


def test_after_a_run_that_succeeded_and_left_a_backup_running(place, tmp_path):
    plan, opened, late = begun(tmp_path, place, 1)
    ended(plan, opened)
    for name in (2, 3):
        plan, opened, mine = begun(tmp_path, place, name, overwrite=True)
        same = late.keys == mine.keys  # Of every second array that replaces another.
        if same:
            write(late, FIRST, LATE)
        run_all(plan, opened)
        if same:
            with pytest.raises(TargetReplacedError):
                write(late, FIRST, LATE)
        opened.collect({})
        opened.close(succeeded=True)
        np.testing.assert_array_equal(contents(place), (DATA + name) * 4)
    assert same


def test_a_second_attempt_of_the_run_itself_replaces_what_the_first_has_written(place, tmp_path):
    _, opened, mine = begun(tmp_path, place, 1)
    write(mine, FIRST, LATE)
    write(mine, FIRST, LATE + 1)
    np.testing.assert_array_equal(read(mine, FIRST), LATE + 1)
    opened.close(succeeded=False)


REGION = (slice(0, 8), slice(0, 3))


def begun_region(place, value):
    """Open a run that writes a region of an array; return it, what runs it, and its part as attempts write it."""
    plan = xp.store(
        [xp.full((8, 3), value, dtype=xp.float64, chunks=(4, 3))], [place], region=REGION
    ).to_plan()
    opened = opened_by(plan)
    (ref,) = [t.ref for io in opened.blocks.values() for t in io.targets if t.ref.part is not None]
    return plan, opened, ref


def test_into_a_region_that_a_later_run_writes(place):
    xp.to_zarr(xp.asarray(DATA, chunks=(4, 3)), place, executor="serial")
    _, cancelled, late = begun_region(place, 1.0)
    write(late, FIRST, LATE)
    write(late, FIRST, LATE)  # A second attempt of the run itself.
    cancelled.close(succeeded=False)
    for value in (2.0, 3.0):
        with pytest.raises(TargetReplacedError, match="not held by run"):
            write(late, FIRST, LATE)
        plan, opened, mine = begun_region(place, value)
        with pytest.raises(TargetReplacedError, match="not held by run"):
            write(late, FIRST, LATE)
        run_all(plan, opened)
        with pytest.raises(TargetReplacedError, match="not held by run"):
            write(late, FIRST, LATE)
        opened.collect({})
        opened.close(succeeded=True)
        expected = DATA.copy()
        expected[REGION] = value
        np.testing.assert_array_equal(contents(place), expected)
        late = mine  # One of a run that succeeded, and has left a backup running.


def test_a_chunk_that_another_run_replaces_between_look_and_write_stays(monkeypatch):
    client = pytest.importorskip("obstore.store").MemoryStore()
    place = locate(ObjectStore(client), path="y")
    xp.to_zarr(xp.asarray(DATA, chunks=(4, 3)), place, executor="serial")
    _, first, late = begun_region(place, 1.0)
    check = HeldPlace.check

    async def overtaken(self, read, *, now):
        """Have the next run write all of the region, after it was seen that this one holds the place."""
        await check(self, read, now=now)
        monkeypatch.setattr(HeldPlace, "check", check)
        first.close(succeeded=False)
        plan, second, _ = begun_region(place, 2.0)
        run_all(plan, second)

    monkeypatch.setattr(HeldPlace, "check", overtaken)
    with pytest.raises(TargetReplacedError):
        write(late, FIRST, LATE)
    np.testing.assert_array_equal(contents(place)[:8, :3], np.full((8, 3), 2.0))
