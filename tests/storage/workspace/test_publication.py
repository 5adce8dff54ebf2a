"""A target says that it is unfinished until it is complete, and what it replaces is as it was until then."""

import errno
import json
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import zarr
from zarr.storage import MemoryStore, ObjectStore, StorePath

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import (
    OutOfSpaceError,
    StorageError,
    TargetExistsError,
    TargetReplacedError,
    UnfinishedArrayError,
)
from asyncexec.plan.box import unravel
from asyncexec.plan.locality import Locality
from asyncexec.storage import locate, open_array, read, write
from asyncexec.storage.places import asides, folder_locks
from asyncexec.storage.places.metadata import documents
from asyncexec.storage.places.objects import objects_at
from asyncexec.storage.places.stamps import stamp_of
from asyncexec.storage.workspace import publication, targets
from tests.storage.pipelines import DATA, WHOLE, opened_by, run_of, stored

RESULT = (DATA + 1) * 4


def place_of(kind, folder):
    if kind == "local":
        return folder / "y.zarr"
    if kind == "obstore":
        store = ObjectStore(pytest.importorskip("obstore.store").MemoryStore())
        return locate(store, path="y.zarr")
    return locate(MemoryStore(), path="y.zarr")


def files_below(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def put(place, name, data):
    """Put a file or object of somebody else below a place."""
    location = locate(place)
    if location.local_path is None:
        objects_at(location).put(name, data)
    else:
        path = location.local_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def names_below(place):
    location = locate(place)
    if location.local_path is None:
        return sorted(objects_at(location).names())
    path = location.local_path
    return sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_file())


@pytest.mark.parametrize("kind", ["local", "memory", "obstore"])
@pytest.mark.parametrize("resume", [False, True])
def test_a_target_is_refused_by_readers_until_it_is_complete(tmp_path, kind, resume):
    place = place_of(kind, tmp_path)
    plan = run_of(tmp_path, place, 1)
    opened = opened_by(plan, resume=resume)
    assert stamp_of(documents(locate(place))).unfinished
    with pytest.raises(UnfinishedArrayError, match="unfinished=True"):
        xp.from_zarr(place)
    assert open_array(place, unfinished=True).shape == DATA.shape
    plan.run(opened)
    np.testing.assert_array_equal(opened.collect({}), RESULT)
    stamp = stamp_of(documents(locate(place)))
    assert stamp is None or not stamp.unfinished
    np.testing.assert_array_equal(read(open_array(place), WHOLE), RESULT)
    opened.close(succeeded=True)
    left = stamp_of(documents(locate(place)))
    assert (left is not None and not left.unfinished) if resume else left is None


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("at_once", [True, False], ids=["exchanged", "renamed twice"])
def test_what_is_replaced_stays_until_the_new_array_is_complete(
    tmp_path, monkeypatch, resume, at_once
):
    if not at_once:
        monkeypatch.setattr(asides, "exchange", lambda *_: False)
    stored(tmp_path / "y", DATA + 100)
    before = files_below(tmp_path / "y")
    plan = run_of(tmp_path, tmp_path / "y", 1, overwrite=True)
    opened = opened_by(plan, resume=resume)
    plan.run(opened)
    assert files_below(tmp_path / "y") == before
    for _ in range(2):
        np.testing.assert_array_equal(opened.collect({}), RESULT)
    np.testing.assert_array_equal(read(open_array(tmp_path / "y"), WHOLE), RESULT)
    # The run may still be cancelled, and then fails.
    opened.close(succeeded=False)
    assert files_below(tmp_path / "y") == before
    assert len(list(tmp_path.glob("y*"))) == 1 + resume
    opened = opened_by(plan, resume=resume)
    ran = [name for name, _ in plan.run(opened)]
    assert ran.count("second") == (0 if resume else 9)
    opened.close(succeeded=True)
    np.testing.assert_array_equal(read(open_array(tmp_path / "y"), WHOLE), RESULT)
    assert [p.name for p in tmp_path.glob("y*")] == ["y"]


def test_a_run_that_replaces_is_resumed_where_it_was(tmp_path):
    stored(tmp_path / "y", DATA + 100)
    plan = run_of(tmp_path, tmp_path / "y", 1, overwrite=True)
    opened = opened_by(plan, resume=True)
    plan.run(opened, name="first", tasks=range(9))
    plan.run(opened, name="second", tasks=range(4))
    late = opened.blocks["second"].targets[0].ref
    opened.place.release()
    opened.targets.release()
    again = opened_by(plan, resume=True)
    with pytest.raises(TargetReplacedError):
        write(late, (slice(0, 4), slice(0, 3)), np.zeros((4, 3)))
    assert plan.run(again) == [("second", n) for n in range(4, 9)]
    np.testing.assert_array_equal(read(open_array(tmp_path / "y"), WHOLE), DATA + 100)
    again.close(succeeded=True)
    np.testing.assert_array_equal(read(open_array(tmp_path / "y"), WHOLE), RESULT)
    assert [p.name for p in tmp_path.glob("y*")] == ["y"]


KILLED = """
import os, signal, sys
import asyncexec as ax, asyncexec.array as xp
def kill(block):
    os.kill(os.getpid(), signal.SIGKILL)
x = xp.ones((4, 4), chunks=2)
ax.sync.execute(xp.store([xp.map_blocks(kill, x, dtype="f8")], [sys.argv[1]], overwrite=True), executor="serial")
"""


def test_a_driver_that_is_killed_leaves_what_it_was_to_replace(tmp_path):
    data = np.arange(16.0).reshape(4, 4)
    zarr.create_array(tmp_path / "y.zarr", data=data, chunks=(3, 3))
    before = files_below(tmp_path / "y.zarr")
    driver = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "y.zarr"], check=False)
    assert driver.returncode == -signal.SIGKILL
    assert files_below(tmp_path / "y.zarr") == before
    assert len(list(tmp_path.iterdir())) == 2
    xp.to_zarr(xp.ones((2, 2), chunks=1), tmp_path / "y.zarr", overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["y.zarr"]
    assert zarr.open_array(tmp_path / "y.zarr", mode="r")[:].tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_of_two_targets_of_which_one_cannot_be_replaced_both_are_as_they_were(
    tmp_path, monkeypatch
):
    for name in "ab":
        zarr.create_array(tmp_path / name, data=np.arange(4.0), chunks=2)
    before = files_below(tmp_path)
    put_in_place = publication.put_in_place

    def failing(place, beside, run):
        if place.local_path.name == "b":
            raise StorageError("forbidden")
        put_in_place(place, beside, run)

    monkeypatch.setattr(publication, "put_in_place", failing)
    storing = xp.store([xp.ones(6, chunks=3)] * 2, [tmp_path / "a", tmp_path / "b"], overwrite=True)
    with pytest.raises(StorageError, match="forbidden"):
        ax.sync.execute(storing, executor="threads")
    assert files_below(tmp_path) == before


def test_a_disk_that_is_full_at_the_end_is_told_and_the_old_array_stays(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    stored(tmp_path / "y", DATA)
    plan = run_of(tmp_path, tmp_path / "y", 1, overwrite=True)
    opened = opened_by(plan)
    run_all(plan, opened)
    monkeypatch.setattr(publication, "replace_file", full)
    with pytest.raises(OutOfSpaceError, match=r"y.* cannot be completed: the disk is full"):
        opened.collect({})
    opened.close(succeeded=False)
    np.testing.assert_array_equal(read(open_array(tmp_path / "y"), WHOLE), DATA)
    assert sorted(p.name for p in tmp_path.glob("y*")) == ["y"]


def test_what_others_have_put_into_an_array_is_in_the_new_one(tmp_path):
    zarr.create_array(tmp_path / "y", data=np.arange(4.0), chunks=2)
    (tmp_path / "y/notes").mkdir()
    (tmp_path / "y/notes/a.txt").write_text("years of work")
    (tmp_path / "y/c/among-chunks.txt").write_text("more of it")
    xp.to_zarr(xp.ones(2, chunks=1), tmp_path / "y", overwrite=True)
    assert names_below(tmp_path / "y") == [
        "c/0",
        "c/1",
        "c/among-chunks.txt",
        "notes/a.txt",
        "zarr.json",
    ]


# In object stores.


def run_all(plan, opened):
    """Run every task, as where nothing is resumed."""
    for stage in plan.stages:
        for task in range(stage.tasks):
            index = unravel(task, stage.shape)
            inputs, _ = opened.io(stage).load(index)
            opened.io(stage).save(index, stage.kernel(index, *inputs))


def objects_of(place):
    objects = objects_at(locate(place))
    return {name: objects.get(name) for name in objects.names()}


def v2(separator):
    return {"name": "v2", "separator": separator}


def default(separator):
    return {"name": "default", "separator": separator}


@pytest.mark.parametrize("kind", ["memory", "obstore"])
@pytest.mark.parametrize("keys", [default("/"), default("."), v2("/"), v2(".")], ids=str)
@pytest.mark.parametrize("resume", [False, True])
def test_in_object_stores_too_what_is_replaced_stays_until_then(tmp_path, kind, keys, resume):
    place = place_of(kind, tmp_path)
    zarr.create_array(
        StorePath(place.store, "y.zarr"), data=DATA + 100, chunks=(3, 3), chunk_key_encoding=keys
    )
    put(place, "notes.txt", b"years of work")
    before = objects_of(place)
    plan = run_of(tmp_path, place, 1, overwrite=True)
    opened = opened_by(plan, resume=resume)
    plan.run(opened)
    now = objects_of(place)
    assert {name: now[name] for name in before} == before
    np.testing.assert_array_equal(opened.collect({}), RESULT)
    np.testing.assert_array_equal(read(open_array(place), WHOLE), RESULT)
    opened.close(succeeded=False)
    left = objects_of(place)
    assert left == before if not resume else {n: left[n] for n in before} == before
    opened = opened_by(plan, resume=resume)
    ran = [name for name, _ in plan.run(opened)]
    assert ran.count("second") == (0 if resume else 9)
    opened.close(succeeded=True)
    np.testing.assert_array_equal(read(open_array(place), WHOLE), RESULT)
    found = zarr.open_array(StorePath(place.store, "y.zarr"), mode="r")
    np.testing.assert_array_equal(found[:], RESULT)
    assert len(objects_of(place)) == 9 + 2
    # And back again.
    again = run_of(tmp_path, place, 2, overwrite=True)
    opened = opened_by(again, resume=resume, fingerprint="ab" * 32)
    again.run(opened)
    opened.close(succeeded=True)
    np.testing.assert_array_equal(read(open_array(place), WHOLE), (DATA + 2) * 4)
    assert sorted(objects_of(place))[-2:] == ["notes.txt", "zarr.json"]
    assert len(objects_of(place)) == 9 + 2


@pytest.mark.parametrize("kind", ["memory", "obstore"])
@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("resume", [False, True])
def test_what_a_killed_run_leaves_in_an_object_store_goes_with_the_next(
    tmp_path, kind, published, resume
):
    place = place_of(kind, tmp_path)
    stored(place, DATA + 100)
    plan = run_of(tmp_path, place, 1, overwrite=True)
    opened = opened_by(plan, resume=resume)
    plan.run(opened)
    if published:
        opened.targets.publish()
    opened.place.release()
    opened.targets.release()
    shown = RESULT if published else DATA + 100
    np.testing.assert_array_equal(read(open_array(place), WHOLE), shown)
    opened = opened_by(plan, resume=resume)
    assert ("second", 8) in plan.run(opened) or resume
    opened.close(succeeded=True)
    np.testing.assert_array_equal(read(open_array(place), WHOLE), RESULT)
    assert len(objects_of(place)) == 9 + 1


def test_a_format_2_array_in_an_object_store_stays_too(tmp_path):
    store = MemoryStore()
    zarr.create_group(store, zarr_format=2)
    place = locate(store, path="y")
    for value in (1, 2, 3):
        before = dict(store._store_dict)
        plan = run_of(tmp_path, place, value, overwrite=True)
        opened = opened_by(plan)
        plan.run(opened)
        assert {name: store._store_dict[name] for name in before} == before
        opened.close(succeeded=True)
        found = zarr.open_group(store, mode="r")["y"]
        np.testing.assert_array_equal(found[:], (DATA + value) * 4)


def test_what_has_no_other_keys_is_replaced_at_once_and_that_is_said(tmp_path, caplog):
    store = MemoryStore()
    zarr.create_group(store, zarr_format=2).create_array("y", data=np.arange(4.0), chunks=2)
    xp.to_zarr(xp.ones(4, chunks=2), store, path="y", overwrite=True)
    assert "removed before the new one is complete" in caplog.text
    assert zarr.open_group(store, mode="r")["y"][:].tolist() == [1.0] * 4


def test_chunks_that_a_late_attempt_has_left_do_not_keep_others_from_a_place(tmp_path):
    place = place_of("obstore", tmp_path)
    plan = run_of(tmp_path, place, 1)
    opened = opened_by(plan)
    late = opened.blocks["second"].targets[0].ref
    opened.close(succeeded=False)
    write(late, (slice(0, 4), slice(0, 3)), np.zeros((4, 3)))
    assert names_below(place) == ["c/0/0"]
    opened = opened_by(plan)
    plan.run(opened)
    # Another one comes while the next run writes, and is replaced.
    opened.close(succeeded=True)
    np.testing.assert_array_equal(read(open_array(place), WHOLE), RESULT)
    with pytest.raises(TargetReplacedError):
        write(late, (slice(0, 4), slice(0, 3)), np.zeros((4, 3)))
    np.testing.assert_array_equal(read(open_array(place), WHOLE), RESULT)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_late_attempt_that_is_quicker_is_replaced(tmp_path, overwrite):
    place = place_of("obstore", tmp_path)
    first = opened_by(run_of(tmp_path, place, 1))
    late = first.blocks["second"].targets[0].ref
    first.close(succeeded=False)
    if overwrite:
        stored(place, DATA)
    plan = run_of(tmp_path, place, 2, overwrite=overwrite)
    opened = opened_by(plan)
    mine = opened.blocks["second"].targets[0].ref
    if mine.keys == late.keys:
        write(late, (slice(0, 4), slice(0, 3)), np.zeros((4, 3)))
    run_all(plan, opened)
    np.testing.assert_array_equal(opened.collect({}), (DATA + 2) * 4)
    opened.close(succeeded=True)
    np.testing.assert_array_equal(read(open_array(place), WHOLE), (DATA + 2) * 4)


# Undo.


@pytest.mark.parametrize("kind", ["local", "memory", "obstore"])
@pytest.mark.parametrize("name", ["notes.txt", "c/7/7", "c/0/x", "deep/er/notes.txt"])
def test_a_run_that_fails_leaves_what_others_have_put_at_its_place(tmp_path, kind, name):
    place = place_of(kind, tmp_path)
    plan = run_of(tmp_path, place, 1)
    opened = opened_by(plan)
    plan.run(opened)
    put(place, name, b"years of work")
    opened.close(succeeded=False)
    assert names_below(place) == [name]


@pytest.mark.parametrize("kind", ["local", "memory", "obstore"])
def test_what_appears_before_an_array_is_made_stays_also_if_it_cannot_be_made(
    tmp_path, monkeypatch, kind
):
    from asyncexec.storage.workspace import preparation

    place = place_of(kind, tmp_path)
    plan = run_of(tmp_path, place, 1)

    def quick(ref, files, *, stamp):
        put(place, "notes.txt", b"years of work")
        put(place, "zarr.json", b"{}")
        make_array(ref, files, stamp=stamp)

    make_array = preparation.make_array
    monkeypatch.setattr(preparation, "make_array", quick)
    with pytest.raises(TargetExistsError):
        opened_by(plan)
    assert names_below(place) == ["notes.txt", "zarr.json"]


# Late attempts.


def test_a_late_attempt_does_not_make_an_intermediate_again_that_was_removed(tmp_path):
    plan = run_of(tmp_path, tmp_path / "y", 1)
    opened = opened_by(plan, locality=Locality.SAME_HOST)
    late = opened.blocks["first"].targets[0].ref
    block = np.zeros((4, 3))
    write(late, (slice(0, 4), slice(0, 3)), block)
    opened.close(succeeded=False)
    with pytest.raises(TargetReplacedError):
        write(late, (slice(4, 8), slice(0, 3)), block)
    assert list((tmp_path / "work").iterdir()) == []


# Two drivers.

HOLDING = """
import sys
import asyncexec as ax, asyncexec.array as xp
def wait(block):
    print("writing", flush=True)
    sys.stdin.readline()
    return block
x = xp.map_blocks(wait, xp.ones(2, chunks=2), dtype="f8")
ax.sync.execute(xp.store([x], [sys.argv[1]], overwrite=True), executor="serial")
"""


@pytest.mark.parametrize("existing", [False, True])
def test_a_second_driver_is_refused_before_it_touches_anything(tmp_path, existing):
    if existing:
        zarr.create_array(tmp_path / "y", data=np.arange(4.0), chunks=2)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, tmp_path / "y"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as driver:
        assert driver.stdout.readline() == "writing\n"
        before = files_below(tmp_path)
        for overwrite in (False, True):
            storing = xp.store([xp.zeros(4, chunks=2)], [tmp_path / "y"], overwrite=overwrite)
            with pytest.raises(TargetExistsError):
                ax.sync.execute(storing, executor="serial")
        assert files_below(tmp_path) == before
        driver.communicate("go\n")
    assert driver.returncode == 0
    assert zarr.open_array(tmp_path / "y", mode="r")[:].tolist() == [1.0, 1.0]
    assert [p.name for p in tmp_path.iterdir()] == ["y"]


def test_where_many_files_are_open_already_places_are_not_locked(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_locks.resource, "getrlimit", lambda _: (6, 6))
    held = [folder_locks.hold_folder(tmp_path / "y") for _ in range(2)]
    assert None not in held
    for one in held:
        one.close()


def test_a_place_that_was_freed_while_a_run_waited_is_looked_at_again(tmp_path, monkeypatch):
    hold_target = targets.hold_target

    def slow(location, run, holds):
        if not (tmp_path / "y").exists():
            stored(tmp_path / "y", DATA)
        hold_target(location, run, holds)

    monkeypatch.setattr(targets, "hold_target", slow)
    with pytest.raises(TargetExistsError, match="overwrite=True"):
        opened_by(run_of(tmp_path, tmp_path / "y", 1))
    np.testing.assert_array_equal(read(open_array(tmp_path / "y"), WHOLE), DATA)
    shutil.rmtree(tmp_path / "y")
    opened = opened_by(run_of(tmp_path, tmp_path / "y", 1, overwrite=True))
    opened.close(succeeded=False)
    np.testing.assert_array_equal(read(open_array(tmp_path / "y"), WHOLE), DATA)


@pytest.mark.parametrize("what", ["one axis in format 2", "damaged metadata"])
def test_an_old_array_that_cannot_be_kept_is_told_of_before_it_goes_and_in_the_result(
    monkeypatch, what
):
    place = place_of("obstore", None)
    old = zarr.create_array(
        StorePath(place.store, place.inner),
        shape=(4,),
        chunks=(2,),
        dtype="f8",
        zarr_format=2 if what == "one axis in format 2" else 3,
    )
    old[:] = 7.0
    if what == "damaged metadata":
        put(place, "zarr.json", b"{")
    before, there = names_below(place), []
    monkeypatch.setattr(
        targets._log,
        "warning",
        lambda *said: there.append((said[0] % said[1:], names_below(place))),
    )
    storing = xp.store([xp.ones(4, chunks=2)], [place], overwrite=True)
    result = ax.sync.execute(storing, executor="serial")
    ((said, names),) = there
    assert set(before) <= set(names)
    assert result.notes == (said,)
    assert ("format 2" if what == "one axis in format 2" else "damaged") in said
    assert said in repr(result)
    assert read(open_array(place), (slice(0, 4),)).tolist() == [1.0] * 4
    # The new one can be kept, of format 3; so nothing is said.
    if what == "damaged metadata":
        again = ax.sync.execute(
            xp.store([xp.zeros(4, chunks=2)], [place], overwrite=True), executor="serial"
        )
        assert again.notes == ()


@pytest.mark.parametrize("kind", ["memory", "obstore"])
@pytest.mark.parametrize("resume", [False, True])
def test_attributes_that_a_user_sets_while_an_array_is_written_stay(tmp_path, kind, resume):
    place = place_of(kind, tmp_path)
    plan = run_of(tmp_path, place, 1)
    opened = opened_by(plan, resume=resume)
    found = json.loads(documents(place)["zarr.json"])
    found["attributes"]["units"] = "m"
    put(place, "zarr.json", json.dumps(found).encode())
    plan.run(opened)
    opened.close(succeeded=True)
    attributes = json.loads(documents(place)["zarr.json"])["attributes"]
    assert attributes["units"] == "m"
    assert ("asyncexec" in attributes) == resume
    np.testing.assert_array_equal(read(open_array(place), WHOLE), RESULT)


@pytest.mark.parametrize("kind", ["memory", "obstore"])
def test_a_published_array_in_an_object_store_is_taken_back_when_its_run_fails_then(tmp_path, kind):
    place = place_of(kind, tmp_path)
    plan = run_of(tmp_path, place, 1)
    opened = opened_by(plan)
    plan.run(opened)
    opened.targets.publish()
    assert stamp_of(documents(place)) is None
    opened.close(succeeded=False)
    assert not names_below(place)


@pytest.mark.parametrize("kind", ["memory", "obstore"])
def test_the_same_array_made_by_another_library_meanwhile_stays(tmp_path, kind):
    place = place_of(kind, tmp_path)
    plan = run_of(tmp_path, place, 1)
    opened = opened_by(plan)
    plan.run(opened)
    found = json.loads(documents(place)["zarr.json"])
    del found["attributes"]["asyncexec"]
    # To the byte what the run is about to write.
    theirs = json.dumps(found, indent=2).encode()
    (place.store.store.put if kind == "obstore" else put_plainly(place))("y.zarr/zarr.json", theirs)
    with pytest.raises(TargetReplacedError):
        opened.close(succeeded=True)
    assert documents(place) == {"zarr.json": theirs}


def put_plainly(place):
    def put(key, data):
        place.store._store_dict[key] = zarr.core.buffer.cpu.Buffer.from_bytes(data)

    return put
