"""Whose a target is: one run makes it, that run alone removes it, and a later run of the plan knows it again."""

import asyncio
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
import zarr
from zarr.storage import FsspecStore, LocalStore, MemoryStore, ObjectStore, WrapperStore

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import TargetExistsError, TargetReplacedError
from asyncexec.plan.locality import Locality
from asyncexec.storage import locate, open_array, read, write
from asyncexec.storage.places import claims
from asyncexec.storage.places.metadata import documents
from asyncexec.storage.places.objects import objects_at
from asyncexec.storage.places.stamps import stamp_of
from asyncexec.storage.workspace import publication, targets
from asyncexec.storage.workspace.holding import Unheld
from tests.storage.fake_s3 import serving
from tests.storage.pipelines import (
    DATA,
    SHAPE,
    WHOLE,
    everything_below,
    opened_by,
    opening,
    planned,
    run_of,
    stored,
)


def place_of(kind, folder):
    """Return a place for a target, in each kind of store that may be shared."""
    if kind == "local":
        return folder / "y.zarr"
    if kind == "memory URL":
        return f"memory://{folder.name}-{id(folder)}/y.zarr"
    if kind == "obstore memory":
        store = ObjectStore(pytest.importorskip("obstore.store").MemoryStore())
    elif kind == "obstore files":
        (folder / "held").mkdir()
        store = ObjectStore(pytest.importorskip("obstore.store").LocalStore(folder / "held"))
    elif kind == "fsspec":
        store = FsspecStore.from_url(f"local://{folder}/held", storage_options={"auto_mkdir": True})
    elif kind == "wrapper":
        store = WrapperStore(MemoryStore())
    else:
        store = MemoryStore()
    return locate(store, path="y.zarr")


PLACES = ["local", "memory URL", "memory", "wrapper", "obstore memory", "obstore files", "fsspec"]


def contents(place):
    return read(open_array(place), WHOLE)


@pytest.fixture
def elsewhere(monkeypatch):
    """Have runs know of each other as little as runs of other processes do."""

    def known(held):
        monkeypatch.setattr(claims, "_claimed", held)

    class Nothing(dict):
        def get(self, key, default=None):
            return default

    known(Nothing())


# Two runs, one target.


@pytest.mark.parametrize("kind", PLACES)
def test_of_many_runs_at_once_exactly_one_makes_the_target(tmp_path, kind, elsewhere):
    place = place_of(kind, tmp_path)
    plans = [run_of(tmp_path, place, name) for name in range(6)]
    barrier = threading.Barrier(len(plans))
    outcomes = {}

    def run(name):
        barrier.wait()
        try:
            opened = opened_by(plans[name])
        except TargetExistsError as error:
            outcomes[name] = error
            return
        plans[name].run(opened)
        opened.collect({})
        opened.close(succeeded=True)
        outcomes[name] = None

    threads = [threading.Thread(target=run, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [name for name, outcome in outcomes.items() if outcome is None]
    assert len(outcomes) == 6
    assert len(winners) == 1
    np.testing.assert_array_equal(contents(place), (DATA + winners[0]) * 4)
    assert everything_below(tmp_path / "work") == []


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_second_run_of_this_process_is_refused_while_the_first_writes(tmp_path, kind, overwrite):
    place = place_of(kind, tmp_path)
    first = run_of(tmp_path, place, 1)
    opened = opened_by(first)
    second = run_of(tmp_path, place, 2, overwrite=overwrite)
    with pytest.raises(TargetExistsError, match="another run of this process"):
        opened_by(second)
    first.run(opened)
    np.testing.assert_array_equal(opened.collect({}), (DATA + 1) * 4)
    opened.close(succeeded=True)
    if overwrite:
        again = opened_by(second)
        second.run(again)
        again.close(succeeded=True)
        np.testing.assert_array_equal(contents(place), (DATA + 2) * 4)


def test_the_same_place_by_another_spelling_is_refused_too(tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    opened = opened_by(run_of(tmp_path, tmp_path / "y.zarr", 1))
    monkeypatch.chdir(tmp_path)
    for other in (
        tmp_path / "link/y.zarr",
        "y.zarr",
        f"file://{tmp_path}/y.zarr",
        locate(LocalStore(tmp_path), path="y.zarr"),
        LocalStore("y.zarr"),
    ):
        with pytest.raises(TargetExistsError, match="another run of this process"):
            opened_by(run_of(tmp_path, other, 2, overwrite=True))
    opened.close(succeeded=False)
    held = MemoryStore()
    opened = opened_by(run_of(tmp_path, locate(held, path="y"), 1))
    with pytest.raises(TargetExistsError, match="another run of this process"):
        opened_by(run_of(tmp_path, locate(WrapperStore(held), path="y"), 2, overwrite=True))
    opened.close(succeeded=False)


def test_a_run_that_has_gone_without_an_end_claims_nothing(tmp_path):
    opened = opened_by(run_of(tmp_path, tmp_path / "y", 1))
    del opened
    opened_by(run_of(tmp_path, tmp_path / "y", 2, overwrite=True)).close(succeeded=False)


@pytest.fixture
def unheld(monkeypatch):
    """Have no run hold a place against others, as on file systems without locks."""
    monkeypatch.setattr(targets, "hold_target", lambda *_: Unheld())


@pytest.mark.parametrize("kind", ["simple", "shards", "text"])
def test_late_writes_of_a_run_that_was_replaced_come_to_nothing(tmp_path, elsewhere, unheld, kind):
    options = {"simple": {}, "shards": {"shards": (8, 6)}, "text": {"dtype": "<U3"}}[kind]

    def run(overwrite):
        ref = planned(tmp_path / "y", **options)
        from asyncexec.storage import ArrayWorkspace, BlockIO, TaskOutput

        blocks = {"s": BlockIO(targets=(TaskOutput(array=ref, block=ref.unit),))}
        workspace = ArrayWorkspace(blocks=blocks, overwrite=overwrite, work_dir=tmp_path / "work")
        return workspace.open([], opening(locality=Locality.SAME_HOST))

    first = run(overwrite=False)
    early = first.blocks["s"].targets[0].ref
    block = np.ones([min(n, u) for n, u in zip(SHAPE, early.unit, strict=True)], early.dtype)
    region = tuple(slice(0, n) for n in block.shape)
    write(early, region, block)
    second = run(overwrite=True)
    late = second.blocks["s"].targets[0].ref
    # Until the second is complete, each writes where the other does not.
    write(early, region, block)
    write(late, region, block + block if kind != "text" else block)
    second.close(succeeded=True)
    with pytest.raises(TargetReplacedError, match="replaced or removed"):
        write(early, region, block)
    with pytest.raises(TargetReplacedError, match="replaced or removed"):
        first.collect({})
    first.close(succeeded=False)
    found = zarr.open_array(tmp_path / "y", mode="r")[region]
    np.testing.assert_array_equal(found, block + block if kind != "text" else block)
    assert sorted(p.name for p in tmp_path.glob("y*")) == ["y"]


@pytest.mark.parametrize("kind", PLACES)
def test_undo_removes_only_what_the_run_itself_has_made(tmp_path, kind, elsewhere, unheld):
    place = place_of(kind, tmp_path)
    first, second = (run_of(tmp_path, place, n, overwrite=True) for n in (1, 2))
    loser = opened_by(first)
    winner = opened_by(second)
    second.run(winner)
    winner.close(succeeded=True)
    with pytest.raises(TargetReplacedError):
        loser.collect({})
    loser.close(succeeded=False)
    np.testing.assert_array_equal(contents(place), (DATA + 2) * 4)
    assert sorted(p.name for p in tmp_path.glob("y.zarr*")) in ([], ["y.zarr"])


@pytest.mark.parametrize("overwrite", [False, True])
def test_undo_keeps_what_others_have_put_under_the_name_of_a_chunk_not_written_yet(
    tmp_path, overwrite
):
    """Where the store keeps the generation that a chunk was written with."""
    place = place_of("obstore memory", tmp_path)
    if overwrite:
        stored(place, DATA)
    before = set(objects_at(place).names())
    plan = run_of(tmp_path, place, 1, overwrite=overwrite)
    opened = opened_by(plan)
    written, key = ("c.0.0", "c.2.2") if overwrite else ("c/0/0", "c/2/2")
    obstore = pytest.importorskip("obstore")
    obstore.put(place.store.store, f"y.zarr/{key}", b"theirs")
    plan.run(opened, name=plan.stages[0].name, tasks=range(9))
    plan.run(opened, name=plan.stages[1].name, tasks=[0])
    assert written in objects_at(place).names()
    opened.close(succeeded=False)
    assert set(objects_at(place).names()) == {*before, key}
    assert objects_at(place).get(key) == b"theirs"


def test_of_runs_in_other_processes_a_bucket_takes_one(tmp_path, elsewhere):
    pytest.importorskip("obstore")
    with serving() as (bucket, options):
        where = {
            "access_key_id": "AKIA",
            "secret_access_key": "secret",
            "region": "us-east-1",
            "client_options": {"allow_http": True},
        }
        place = locate("s3://bucket/y.zarr", {**options, **where})
        plans = [run_of(tmp_path, place, name) for name in range(4)]
        barrier = threading.Barrier(4)
        won = []

        def run(name):
            barrier.wait()
            try:
                opened = opened_by(plans[name])
            except TargetExistsError:
                return
            plans[name].run(opened)
            opened.close(succeeded=True)
            won.append(name)

        threads = [threading.Thread(target=run, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        np.testing.assert_array_equal(contents(place), (DATA + won[0]) * 4)
        again = run_of(tmp_path, place, 9, overwrite=True)
        opened = opened_by(again)
        opened.close(succeeded=False)
        np.testing.assert_array_equal(contents(place), (DATA + won[0]) * 4)
        assert len(bucket.objects) == 9 + 1


async def test_two_plans_started_together_on_one_target_have_one_winner(tmp_path):
    async with ax.Engine(executor="threads") as engine, ax.Engine(executor="threads") as other:
        for attempt in range(3):
            target = tmp_path / f"y-{attempt}.zarr"
            plans = [xp.store([xp.full((8,), float(n), chunks=2)], [target]) for n in (1, 2)]
            outcomes = await asyncio.gather(
                engine.execute(plans[0]), other.execute(plans[1]), return_exceptions=True
            )
            lost = [o for o in outcomes if isinstance(o, TargetExistsError)]
            assert len(lost) == 1
            won = 1.0 + outcomes.index(next(o for o in outcomes if o not in lost))
            assert zarr.open_array(target, mode="r")[:].tolist() == [won] * 8


OTHER = """
import sys, asyncexec as ax, asyncexec.array as xp
value, target, overwrite = float(sys.argv[1]), sys.argv[2], sys.argv[3] == "True"
storing = xp.store([xp.full((400,), value, chunks=4)], [target], overwrite=overwrite)
print("ready", flush=True)
sys.stdin.readline()
try:
    ax.sync.execute(storing, executor="threads")
except (ax.errors.TargetExistsError, ax.errors.TargetReplacedError, ax.errors.TaskFailedError) as error:
    print(error, file=sys.stderr)
    sys.exit(4 if isinstance(error, ax.errors.TaskFailedError) else 3)
"""


@pytest.mark.slow
@pytest.mark.parametrize("overwrite", [False, True])
def test_processes_that_store_at_one_target_do_not_mix_their_chunks(tmp_path, overwrite):
    for attempt in range(4):
        target = tmp_path / f"y-{attempt}.zarr"
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", OTHER, str(value), str(target), str(overwrite)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for value in (1, 2, 3)
        ]
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        codes = []
        for process in processes:
            process.communicate()
            codes.append(process.returncode)
        assert set(codes) <= {0, 3}
        assert codes.count(0) >= 1 if overwrite else codes.count(0) == 1
        values = set(zarr.open_array(target, mode="r")[:].tolist())
        assert len(values) == 1
        assert codes[int(values.pop()) - 1] == 0
        assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(target.name)) == [
            target.name
        ]


# The proof of whose a target is.


@pytest.mark.parametrize("kind", PLACES)
def test_a_finished_run_has_its_result_at_once(tmp_path, kind):
    place = place_of(kind, tmp_path)
    plan = run_of(tmp_path, place, 1)
    opened = opened_by(plan, resume=True)
    assert len(plan.run(opened)) == 18
    opened.close(succeeded=True)
    assert everything_below(tmp_path / "work") == []
    for overwrite in (False, True):
        again = run_of(tmp_path, place, 1, overwrite=overwrite)
        opened = opened_by(again, resume=True)
        # The scheduler leaves out the first stage, of which nothing is left to be read.
        assert again.run(opened, name="second", tasks=range(9)) == []
        np.testing.assert_array_equal(opened.collect({}), (DATA + 1) * 4)
        opened.close(succeeded=True)


@pytest.mark.parametrize("kind", PLACES)
def test_a_target_is_known_again_after_the_work_directory_went(tmp_path, kind):
    place = place_of(kind, tmp_path)
    plan = run_of(tmp_path, place, 1)
    opened = opened_by(plan, resume=True)
    plan.run(opened, name="first", tasks=range(9))
    plan.run(opened, name="second", tasks=range(4))
    opened.close(succeeded=False)
    again = run_of(tmp_path, place, 1, work_dir=tmp_path / "another")
    opened = opened_by(again, resume=True)
    ran = again.run(opened)
    assert [t for t in ran if t[0] == "second"] == [("second", n) for n in range(4, 9)]
    np.testing.assert_array_equal(opened.collect({}), (DATA + 1) * 4)
    opened.close(succeeded=True)


def test_a_target_of_another_plan_or_of_nobody_is_refused(tmp_path):
    plan = run_of(tmp_path, tmp_path / "y", 1)
    opened = opened_by(plan, resume=True)
    plan.run(opened)
    opened.close(succeeded=True)
    with pytest.raises(TargetExistsError, match="of another plan"):
        opened_by(plan, resume=True, fingerprint="ab" * 32)
    stored(tmp_path / "z", DATA)
    with pytest.raises(TargetExistsError, match="overwrite=True"):
        opened_by(run_of(tmp_path, tmp_path / "z", 1), resume=True)
    np.testing.assert_array_equal(contents(tmp_path / "z"), DATA)


def test_an_array_that_is_complete_has_no_stamp_unless_it_may_be_resumed(tmp_path):
    for resume in (False, True):
        plan = run_of(tmp_path, tmp_path / f"y-{resume}", 1)
        opened = opened_by(plan, resume=resume)
        made = stamp_of(documents(locate(tmp_path / f"y-{resume}")))
        assert made is not None
        plan.run(opened)
        opened.close(succeeded=True)
        kept = stamp_of(documents(locate(tmp_path / f"y-{resume}")))
        assert made.unfinished
        assert kept == (replace(made, unfinished=False) if resume else None)
        attributes = dict(zarr.open_array(tmp_path / f"y-{resume}", mode="r").attrs)
        assert (attributes == {}) == (not resume)


def test_an_array_left_by_a_killed_run_says_so(tmp_path):
    plan = run_of(tmp_path, tmp_path / "y", 1)
    opened_by(plan).place.remove()
    with pytest.raises(TargetExistsError, match="killed has left unfinished"):
        opened_by(plan)


# What killed runs leave.


@pytest.mark.parametrize("resume", [False, True])
def test_what_a_killed_run_has_set_aside_is_put_back_or_removed(tmp_path, resume):
    stored(tmp_path / "y", DATA + 100)
    aside = tmp_path / f"y.replaced-{'0' * 16}"
    (tmp_path / "y").rename(aside)
    # Killed before it had made its own: the array before is there again, and protected.
    with pytest.raises(TargetExistsError, match="overwrite=True"):
        opened_by(run_of(tmp_path, tmp_path / "y", 1), resume=resume)
    np.testing.assert_array_equal(contents(tmp_path / "y"), DATA + 100)
    assert not aside.exists()
    # Killed after its own was there: the array before is what it was to replace.
    plan = run_of(tmp_path, tmp_path / "y", 1, overwrite=True)
    opened = opened_by(plan, resume=resume)
    plan.run(opened)
    opened.targets.publish()
    run = stamp_of(documents(locate(tmp_path / "y"))).run
    (left,) = tmp_path.glob("y.new-*")
    stored(tmp_path / f"y.replaced-{run}", DATA)
    opened.place.release()
    del opened
    np.testing.assert_array_equal(contents(tmp_path / "y"), (DATA + 1) * 4)
    np.testing.assert_array_equal(contents(left), DATA + 100)
    opened = opened_by(plan, resume=resume)
    plan.run(opened)
    opened.close(succeeded=True)
    assert sorted(p.name for p in tmp_path.glob("y*")) == ["y"]
    np.testing.assert_array_equal(contents(tmp_path / "y"), (DATA + 1) * 4)


def test_a_link_to_an_array_is_replaced_and_the_array_stays(tmp_path):
    stored(tmp_path / "far/y", DATA)
    (tmp_path / "y").symlink_to(tmp_path / "far/y", target_is_directory=True)
    plan = run_of(tmp_path, tmp_path / "y", 1, overwrite=True)
    opened = opened_by(plan)
    plan.run(opened)
    opened.close(succeeded=True)
    assert sorted(p.name for p in tmp_path.glob("y*")) == ["y"]
    np.testing.assert_array_equal(contents(tmp_path / "y"), (DATA + 1) * 4)
    np.testing.assert_array_equal(contents(tmp_path / "far/y"), DATA)


def test_a_folder_with_such_a_name_that_is_nobodys_stays(tmp_path):
    (tmp_path / "y.replaced-by-hand").mkdir()
    stored(tmp_path / f"y.replaced-{'0' * 16}", DATA)
    stored(tmp_path / "y", DATA)
    plan = run_of(tmp_path, tmp_path / "y", 1, overwrite=True)
    opened = opened_by(plan)
    plan.run(opened)
    opened.close(succeeded=True)
    assert len(list(tmp_path.glob("y.replaced-*"))) == 2


@pytest.mark.parametrize("left", ["metadata", "chunks", "nothing"])
def test_an_intermediate_that_was_half_removed_does_not_stand_in_the_way(tmp_path, left):
    plan = run_of(tmp_path, tmp_path / "y", 1)
    opened = opened_by(plan, resume=True)
    plan.run(opened, name="first", tasks=range(9))
    opened.close(succeeded=False)
    (middle,) = (tmp_path / "work").glob("*/middle")
    if left != "metadata":
        (middle / "zarr.json").unlink()
    if left != "chunks":
        import shutil

        shutil.rmtree(middle / "c")
    opened = opened_by(plan, resume=True)
    plan.run(opened)
    np.testing.assert_array_equal(opened.collect({}), (DATA + 1) * 4)
    opened.close(succeeded=True)


def test_a_removal_in_a_bucket_that_was_killed_leaves_an_array(tmp_path):
    store = MemoryStore()
    stored(locate(store, path="y"), DATA)
    keys = list(store._store_dict)

    class KilledError(Exception):
        pass

    class Failing(WrapperStore):
        async def delete(self, key):
            if len(self._store._store_dict) < 5:
                raise KilledError
            await super().delete(key)

    from asyncexec.errors import StorageError
    from asyncexec.storage.places.removal import remove

    with pytest.raises(StorageError, match="KilledError"):
        remove(locate(Failing(store), path="y"))
    assert len(store._store_dict) < len(keys)
    assert "y/zarr.json" in store._store_dict


def test_what_is_replaced_is_put_back_whatever_is_raised_once_it_is_exchanged(
    tmp_path, monkeypatch
):
    class PanicError(BaseException):
        pass

    def panics(*args):
        put_in_place(*args)
        monkeypatch.undo()
        raise PanicError

    zarr.create_array(tmp_path / "y.zarr", data=np.arange(4.0), chunks=2)
    put_in_place = publication.put_in_place
    monkeypatch.setattr(publication, "put_in_place", panics)
    storing = xp.store([xp.ones(6, chunks=3)], [tmp_path / "y.zarr"], overwrite=True)
    with pytest.raises(ax.errors.ExecutionError, match="PanicError"):
        ax.sync.execute(storing, executor="serial")
    assert zarr.open_array(tmp_path / "y.zarr", mode="r")[...].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert [path.name for path in tmp_path.iterdir()] == ["y.zarr"]
