"""Parts of arrays during a run: held against other drivers, exchanged at the end, and taken back when it fails."""

import asyncio
import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import zarr
from zarr.storage import FsspecStore, MemoryStore, ObjectStore

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import (
    ArrayReplacedError,
    TargetExistsError,
    TargetReplacedError,
    UnfinishedArrayError,
)
from asyncexec.plan.box import unravel
from asyncexec.plan.locality import Locality
from asyncexec.plan.workspace import Opening
from asyncexec.storage import locate, open_array, read
from asyncexec.storage.chunks.access import forget_opened
from asyncexec.storage.places import claims
from asyncexec.storage.places.objects import objects_at
from tests.storage.fake_s3 import serving

KINDS = ["local", "memory", "obstore files", "fsspec", "bucket"]


@pytest.fixture(params=KINDS)
def place(request, tmp_path):
    """A place that is held in the way of its kind, of an array with four elements in chunks of two."""
    kind, options = request.param, None
    if kind == "bucket":
        request.getfixturevalue("bucket")
    if kind == "local":
        found = locate(tmp_path / "y.zarr")
    elif kind == "memory":
        found = locate(MemoryStore(), path="y.zarr")
    elif kind == "obstore files":
        (tmp_path / "held").mkdir()
        store = pytest.importorskip("obstore.store").LocalStore(tmp_path / "held")
        found = locate(ObjectStore(store), path="y.zarr")
    elif kind == "fsspec":
        store = FsspecStore.from_url(
            f"local://{tmp_path}/held", storage_options={"auto_mkdir": True}
        )
        found = locate(store, path="y.zarr")
    else:
        options = request.getfixturevalue("bucket")[1]
        found = locate("s3://bucket/y.zarr", options)
    xp.to_zarr(xp.zeros(4, chunks=2), found, executor="serial")
    return found


@pytest.fixture
def bucket():
    with serving() as (bucket, options):
        options |= {
            "access_key_id": "a",
            "secret_access_key": "b",
            "region": "us-east-1",
            "client_options": {"allow_http": True},
        }
        yield bucket, options
    forget_opened()


@pytest.fixture
def apart(monkeypatch):
    """Have runs know of each other as little as runs of other processes do."""

    class Nothing(dict):
        def get(self, key, default=None):
            return default

    monkeypatch.setattr(claims, "_claimed", Nothing())


def contents(place):
    array = open_array(place)
    return read(array, (slice(0, array.shape[0]),)).tolist()


def names_below(place):
    if place.local_path is not None:
        return sorted(p.name for p in place.local_path.rglob("*") if p.is_file())
    return sorted(name.rpartition("/")[2] for name in objects_at(place).names())


class Run:
    """A run that is driven step by step."""

    def __init__(self, plannable):
        self.plan = plannable.to_plan()
        opening = Opening(
            plan=self.plan.name,
            fingerprint="0" * 32,
            execution="direct",
            locality=Locality.SAME_PROCESS,
        )
        self.workspace = self.plan.workspace.open(self.plan.stages, opening)

    def write(self):
        for stage in self.plan.stages:
            for task in range(stage.tasks):
                self.attempt(stage, task)

    def attempt(self, stage, task):
        io, index = self.workspace.io(stage), unravel(task, stage.shape)
        io.save(index, stage.kernel(index, *io.load(index)[0]))

    def finish(self):
        self.write()
        self.workspace.collect({})
        self.workspace.close(succeeded=True)


def appending(place, value):
    return xp.store([xp.full(3, value, dtype=xp.float64, chunks=2)], [place], append_dim=0)


def test_the_second_of_two_runs_is_refused_as_long_as_the_first_one_has_not_ended(place, apart):
    if place.process_bound:
        pytest.skip("runs of one process are known by their claims")
    first = Run(appending(place, 1.0))
    with pytest.raises(TargetExistsError, match="written by"):
        Run(appending(place, 2.0))
    first.finish()
    with pytest.raises(ArrayReplacedError):
        Run(appending_of_before(place))
    assert contents(place) == [0, 0, 0, 0, 1, 1, 1]
    assert names_below(place) == ["0", "1", "2", "3", "zarr.json"]


def appending_of_before(place):
    """Return what was built when the array had four elements."""
    grown = objects_or_files(place)
    objects_or_files(place, json.loads(grown) | {"shape": [4]})
    target = xp.store([xp.ones(2, chunks=2)], [place], append_dim=0)
    objects_or_files(place, json.loads(grown))
    return target


def objects_or_files(place, document=None):
    """Return the array's metadata, or write them."""
    path = place.local_path
    data = None if document is None else json.dumps(document).encode()
    if path is not None:
        return (
            (path / "zarr.json").read_bytes()
            if data is None
            else (path / "zarr.json").write_bytes(data)
        )
    objects = objects_at(place)
    return objects.get("zarr.json") if data is None else objects.put("zarr.json", data)


def test_a_run_that_fails_before_or_after_the_exchange_is_taken_back(place):
    before = objects_or_files(place)
    run = Run(appending(place, 1.0))
    run.write()
    assert contents(place) == [0] * 4
    run.workspace.close(succeeded=False)
    assert names_below(place) == ["0", "1", "zarr.json"]
    assert json.loads(objects_or_files(place)) == json.loads(before)
    run = Run(appending(place, 1.0))
    run.write()
    run.workspace.collect({})
    assert contents(place) == [0, 0, 0, 0, 1, 1, 1]
    run.workspace.close(succeeded=False)
    assert contents(place) == [0] * 4
    assert names_below(place) == ["0", "1", "zarr.json"]
    Run(appending(place, 2.0)).finish()
    assert contents(place) == [0, 0, 0, 0, 2, 2, 2]


def test_what_others_change_meanwhile_is_not_overwritten(place):
    run = Run(appending(place, 1.0))
    run.write()
    others = json.loads(objects_or_files(place)) | {"shape": [2]}
    objects_or_files(place, others)
    with pytest.raises(TargetReplacedError):
        run.workspace.collect({})
    run.workspace.close(succeeded=False)
    assert json.loads(objects_or_files(place)) == others


def test_attributes_that_are_written_meanwhile_stay(place):
    run = Run(appending(place, 1.0))
    run.write()
    document = json.loads(objects_or_files(place))
    objects_or_files(place, document | {"attributes": {"n": 1}})
    run.workspace.collect({})
    run.workspace.close(succeeded=True)
    found = json.loads(objects_or_files(place))
    assert (found["attributes"], found["shape"]) == ({"n": 1}, [7])


def test_late_attempts_of_a_run_that_has_ended_write_nothing(tmp_path):
    xp.to_zarr(xp.zeros(4, chunks=2), tmp_path / "a")
    run = Run(xp.store([xp.ones(2)], [tmp_path / "a"], region=(slice(0, 2),)))
    stage = run.plan.stages[-1]
    io, index = run.workspace.io(stage), (0,)
    result = stage.kernel(index, *io.load(index)[0])
    run.workspace.close(succeeded=False)
    with pytest.raises(TargetReplacedError):
        io.save(index, result)
    assert zarr.open_array(tmp_path / "a")[:].tolist() == [0] * 4


def test_an_array_that_is_unfinished_gets_no_parts(tmp_path):
    target = xp.store([xp.ones(4, chunks=2)], [tmp_path / "a"])
    run = Run(target)
    with pytest.raises(UnfinishedArrayError):
        xp.store([xp.ones(2)], [tmp_path / "a"], region=(slice(0, 2),))
    run.finish()


async def test_a_cancelled_append_is_taken_back(tmp_path):
    xp_zeros = xp.store([xp.zeros(4, chunks=2)], [tmp_path / "a"])
    async with ax.Engine("threads") as engine:
        await engine.execute(xp_zeros)
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()

        def kernel(block, block_id):
            loop.call_soon_threadsafe(begun.set)
            return block + 1

        y = xp.map_blocks(kernel, xp.ones(2_000, chunks=2), dtype=float)
        execution = engine.start(xp.store([y], [tmp_path / "a"], append_dim=0))
        await begun.wait()
        execution.cancel()
        with pytest.raises(asyncio.CancelledError):
            await execution
    assert zarr.open_array(tmp_path / "a").shape == (4,)
    assert sorted(p.name for p in (tmp_path / "a").rglob("*") if p.is_file()) == [
        "0",
        "1",
        "zarr.json",
    ]


OTHER = textwrap.dedent("""
    import sys
    import asyncexec.array as xp
    from asyncexec.errors import TargetExistsError
    try:
        xp.to_zarr(xp.full(2, 9.0), sys.argv[1], region=(slice(2, 4),), executor="serial")
    except TargetExistsError as error:
        print("refused" if "locked" in str(error) else error)
    else:
        print("written")
""")


@pytest.mark.slow
def test_a_driver_of_another_process_waits_its_turn(tmp_path):
    xp.to_zarr(xp.zeros(4, chunks=2), tmp_path / "a")

    def other():
        arguments = [sys.executable, "-c", OTHER, str(tmp_path / "a")]
        return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.strip()

    run = Run(xp.store([xp.ones(2)], [tmp_path / "a"], region=(slice(0, 2),)))
    assert other() == "refused"
    run.finish()
    assert other() == "written"
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "a")[:], [1, 1, 9, 9])
