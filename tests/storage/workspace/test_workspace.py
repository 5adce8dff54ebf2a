"""A run's arrays: checked first, made together, kept or removed as the run ends."""

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import zarr
from zarr.storage import MemoryStore

from asyncexec.errors import (
    ArrayNotFoundError,
    CorruptArrayError,
    OptionError,
    StorageError,
    TargetExistsError,
    WorkDirError,
)
from asyncexec.plan.locality import Locality
from asyncexec.storage import InMemory, create_array, exists, locate, open_array
from asyncexec.storage.chunks.chunk_files import PARTIAL
from asyncexec.storage.workspace import preparation
from tests.storage.pipelines import everything_below, opened_by, opening, pipeline, planned, stored

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def data(rng):
    return rng.random((10, 7))


@pytest.fixture
def made(tmp_path, data):
    """A pipeline in files: tmp_path/source, tmp_path/target, tmp_path/work."""
    source = stored(tmp_path / "source", data)

    def make(**options):
        return pipeline(source, planned(tmp_path / "target"), work_dir=tmp_path / "work", **options)

    return make


@pytest.mark.parametrize("locality", Locality)
@pytest.mark.parametrize("resume", [False, True])
def test_a_run_reads_writes_collects_and_leaves_the_target_alone(
    made, tmp_path, data, locality, resume
):
    plan = made()
    opened = plan.workspace.open(plan.stages, opening(locality=locality, resume=resume))
    assert len(plan.run(opened)) == 18
    result = opened.collect({})
    np.testing.assert_array_equal(result, data * 4)
    result[0, 0] = 1
    opened.close(succeeded=True)
    assert everything_below(tmp_path / "work") == []
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "target")[:], data * 4)
    assert not list((tmp_path / "target").glob(f"{PARTIAL}*"))


def test_intermediates_stay_in_memory_where_it_is_shared(made, tmp_path):
    plan = made()
    opened = opened_by(plan)
    plan.run(opened)
    (place,) = (tmp_path / "work").iterdir()
    assert everything_below(place) == []
    opened.close(succeeded=True)


@pytest.mark.parametrize(
    "locality,tier_bytes", [(Locality.SAME_HOST, None), (Locality.SAME_PROCESS, 0)]
)
def test_intermediates_are_files_otherwise(made, tmp_path, locality, tier_bytes):
    plan = made(tier_bytes=tier_bytes)
    opened = plan.workspace.open(plan.stages, opening(locality=locality))
    plan.run(opened)
    (place,) = (tmp_path / "work").iterdir()
    assert open_array(place / "middle").shape == (10, 7)
    assert not opened.releases(plan.stages[0])
    opened.close(succeeded=True)


def test_chunks_in_memory_are_freed_on_release(made):
    plan = made()
    opened = opened_by(plan)
    first, second = plan.stages
    assert (opened.releases(first), opened.releases(second)) == (True, False)
    plan.run(opened)
    array = opened.blocks["first"].targets[0].array
    assert array._tier.used_bytes == 560
    opened.release("first", [0, 1, 2, 3])
    assert array._tier.used_bytes < 560
    with pytest.raises(CorruptArrayError, match="was freed"):
        opened.io(second).load((0, 0))
    opened.close(succeeded=True)
    assert array._tier.used_bytes == 0


def test_a_result_in_memory_is_kept_until_it_is_collected(made, tmp_path, data):
    middle = planned("run://middle")
    plan = made(middle=middle, results=(middle,))
    opened = opened_by(plan)
    assert not opened.releases(plan.stages[0])
    plan.run(opened)
    opened.release("first", range(9))
    np.testing.assert_array_equal(opened.collect({}), data * 2)
    opened.close(succeeded=True)


def test_results_are_handed_out_as_asked(made, data):
    held = InMemory(data)
    plan = made(results=(held, held))
    opened = plan.workspace.open(plan.stages, opening())
    first, second = opened.collect({})
    assert first is not second
    assert not np.shares_memory(first, data)
    opened.close(succeeded=True)
    single = made(results=(held,), unpack=False, overwrite=True)
    opened = single.workspace.open(single.stages, opening())
    assert isinstance(opened.collect({}), tuple)
    opened.close(succeeded=True)
    nothing = made(results=(), overwrite=True)
    opened = nothing.workspace.open(nothing.stages, opening())
    assert opened.collect({}) is None
    assert opened.collect({"s": [1, 2]}) == {"s": [1, 2]}
    opened.close(succeeded=True)


def test_stages_of_values_have_no_io(made):
    from asyncexec.plan import Stage

    plan = made()
    opened = plan.workspace.open(plan.stages, opening())
    other = Stage(name="other", kernel=len, shape=(1,))
    assert opened.io(other) is None
    assert list(opened.done(other)) == []
    assert not opened.releases(other)
    opened.close(succeeded=True)


# What cannot work fails before anything is made.


def test_an_existing_target_is_refused_before_anything_is_made(made, tmp_path):
    create_array(planned(tmp_path / "target", fill_value=7))
    plan = made()
    for resume in (False, True):
        with pytest.raises(TargetExistsError, match="overwrite=True"):
            plan.workspace.open(plan.stages, opening(resume=resume))
    assert open_array(tmp_path / "target").fill_value == 7
    assert not (tmp_path / "work").exists() or everything_below(tmp_path / "work") == []


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("what", ["files", "group", "a file"])
def test_what_is_no_array_is_never_replaced(made, tmp_path, overwrite, resume, what):
    target = tmp_path / "target"
    if what == "files":
        target.mkdir()
        (target / "thesis.tex").write_text("years of work")
    elif what == "group":
        zarr.open_group(target, mode="w").create_array("a", shape=(3,), dtype="f4")
    else:
        target.write_text("years of work")
    before = everything_below(target)
    plan = made(overwrite=overwrite)
    with pytest.raises(TargetExistsError, match="not replaced"):
        plan.workspace.open(plan.stages, opening(resume=resume))
    assert everything_below(target) == before
    assert target.exists()


def test_an_empty_folder_is_a_fine_target(made, tmp_path, data):
    (tmp_path / "target").mkdir()
    plan = made()
    opened = plan.workspace.open(plan.stages, opening())
    plan.run(opened)
    opened.close(succeeded=True)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "target")[:], data * 4)


def test_overwrite_replaces_the_target(made, tmp_path, data):
    stored(tmp_path / "target", data + 100)
    plan = made(overwrite=True)
    opened = plan.workspace.open(plan.stages, opening())
    plan.run(opened)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "target")[:], data + 100)
    opened.close(succeeded=True)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "target")[:], data * 4)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["source", "target", "work"]


@pytest.mark.parametrize("resume", [False, True])
def test_what_is_replaced_is_put_back_if_the_run_cannot_be_opened(
    made, tmp_path, data, monkeypatch, resume
):
    stored(tmp_path / "target", data + 100)
    before = everything_below(tmp_path)
    plan = made(overwrite=True)

    def failing(ref):
        assert "middle" in str(ref.location)
        raise StorageError("no")

    monkeypatch.setattr(preparation, "renew_array", failing)
    with pytest.raises(StorageError, match="no"):
        plan.workspace.open(plan.stages, opening(resume=resume))
    assert [p for p in everything_below(tmp_path) if p != "work"] == before
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "target")[:], data + 100)


def test_a_target_that_cannot_be_made_leaves_nothing(made, tmp_path):
    (tmp_path / "file").write_text("")
    plan = pipeline(
        open_array(tmp_path / "source"), planned(tmp_path / "file/x"), work_dir=tmp_path / "work"
    )
    with pytest.raises(StorageError):
        plan.workspace.open(plan.stages, opening())
    assert everything_below(tmp_path / "work") == []


def test_a_source_that_went_away_is_refused(made, tmp_path):
    plan = made()
    (tmp_path / "source/zarr.json").unlink()
    with pytest.raises(ArrayNotFoundError, match="which stage 'first' reads"):
        plan.workspace.open(plan.stages, opening())
    assert not (tmp_path / "target").exists()


def test_an_unwritable_work_dir_is_refused(made, tmp_path):
    (tmp_path / "work").write_text("")
    plan = made()
    with pytest.raises(WorkDirError):
        plan.workspace.open(plan.stages, opening())
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("where", ["", "inside", ".."])
def test_replacing_what_is_still_read_is_refused(tmp_path, data, where):
    source = stored(tmp_path / "a/source", data)
    place = (
        tmp_path / "a" / ("source" if not where else "source/inside" if where == "inside" else "")
    )
    plan = pipeline(source, planned(place), work_dir=tmp_path / "work", overwrite=True)
    with pytest.raises(OptionError, match="would be replaced while stage 'first' still reads"):
        plan.workspace.open(plan.stages, opening())
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "a/source")[:], data)


def test_reading_a_target_that_an_earlier_stage_writes_is_fine(tmp_path, data):
    source = stored(tmp_path / "source", data)
    plan = pipeline(
        source, planned(tmp_path / "y"), middle=planned(tmp_path / "x"), work_dir=tmp_path / "work"
    )
    opened = opened_by(plan)
    plan.run(opened)
    opened.close(succeeded=True)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "x")[:], data * 2)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "y")[:], data * 4)


@pytest.mark.parametrize("which", ["source", "target"])
@pytest.mark.parametrize("kind", ["url", "store"])
def test_arrays_in_this_process_serve_only_workers_in_it(tmp_path, data, which, kind, request):
    place = (
        locate(f"memory://{request.node.name}/x")
        if kind == "url"
        else locate(MemoryStore(), path="x")
    )
    source = stored(place if which == "source" else tmp_path / "source", data)
    target = planned(place if which == "target" else tmp_path / "target")
    plan = pipeline(source, target, work_dir=tmp_path / "work")
    with pytest.raises(OptionError, match="in this process's memory"):
        plan.workspace.open(plan.stages, opening())
    opened = opened_by(plan)
    plan.run(opened)
    np.testing.assert_array_equal(opened.collect({}), data * 4)
    opened.close(succeeded=True)


# How a run ends.


def test_a_run_that_fails_leaves_nothing_of_its_own(made, tmp_path):
    plan = made()
    opened = plan.workspace.open(plan.stages, opening())
    plan.run(opened, tasks=range(4), name="first")
    opened.close(succeeded=False)
    assert not (tmp_path / "target").exists()
    assert everything_below(tmp_path / "work") == []


def test_a_run_that_fails_with_resume_keeps_everything_for_the_next(made, tmp_path):
    plan = made()
    opened = plan.workspace.open(plan.stages, opening(resume=True))
    plan.run(opened, tasks=range(4), name="first")
    opened.close(succeeded=False)
    assert exists(locate(tmp_path / "target"))
    assert len(list((tmp_path / "work").iterdir())) == 1


def test_closing_removes_what_it_can_and_then_tells(made, tmp_path, monkeypatch):
    from asyncexec.storage.workspace import targets

    plan = made()
    opened = plan.workspace.open(plan.stages, opening())

    def failing(target, run):
        raise StorageError("cannot be removed")

    monkeypatch.setattr(targets, "remove_made", failing)
    with pytest.raises(StorageError, match="cannot be removed"):
        opened.close(succeeded=False)
    assert everything_below(tmp_path / "work") == []


# Resuming.


def interrupted(plan, *, first=range(9), second=(), **changes):
    """Run some tasks, then end as if the driver had been killed."""
    opened = plan.workspace.open(plan.stages, opening(resume=True, **changes))
    plan.run(opened, tasks=first, name="first")
    plan.run(opened, tasks=second, name="second")
    opened.place.release()
    return opened


def test_resuming_runs_just_what_was_not_complete(made, tmp_path, data):
    plan = made()
    interrupted(plan, first=[0, 1, 2, 5], second=[1])
    again = made()
    opened = again.workspace.open(again.stages, opening(resume=True, execution="another"))
    ran = again.run(opened)
    assert ran == [("first", t) for t in (3, 4, 6, 7, 8)] + [
        ("second", t) for t in range(9) if t != 1
    ]
    np.testing.assert_array_equal(opened.collect({}), data * 4)
    opened.close(succeeded=True)
    assert everything_below(tmp_path / "work") == []


def test_resuming_after_a_failure_is_the_same(made, data):
    plan = made()
    opened = plan.workspace.open(plan.stages, opening(resume=True))
    plan.run(opened, tasks=[4], name="first")
    opened.close(succeeded=False)
    opened = plan.workspace.open(plan.stages, opening(resume=True))
    assert len(plan.run(opened)) == 17
    opened.close(succeeded=True)


def test_a_chunk_that_somebody_removed_is_made_again(made, tmp_path, data):
    plan = made()
    interrupted(plan, second=range(9))
    (tmp_path / "target/c/1/2").unlink()
    opened = plan.workspace.open(plan.stages, opening(resume=True))
    assert plan.run(opened) == [("second", 5)]
    np.testing.assert_array_equal(opened.collect({}), data * 4)
    opened.close(succeeded=True)


def test_a_target_that_somebody_removed_is_made_again(made, tmp_path, data):
    import shutil

    plan = made()
    interrupted(plan, second=range(9))
    shutil.rmtree(tmp_path / "target")
    opened = plan.workspace.open(plan.stages, opening(resume=True))
    assert plan.run(opened) == [("second", t) for t in range(9)]
    np.testing.assert_array_equal(opened.collect({}), data * 4)
    opened.close(succeeded=True)


def test_a_target_that_somebody_replaced_is_not_taken_for_ours(made, tmp_path, data):
    plan = made()
    interrupted(plan, second=range(9))
    create_array(planned(tmp_path / "target"), overwrite=True)
    with pytest.raises(TargetExistsError):
        plan.workspace.open(plan.stages, opening(resume=True))
    again = made(overwrite=True)
    opened = again.workspace.open(again.stages, opening(resume=True))
    assert again.run(opened) == [("second", t) for t in range(9)]
    np.testing.assert_array_equal(opened.collect({}), data * 4)
    opened.close(succeeded=True)


def test_a_changed_plan_is_a_different_plan(made, tmp_path):
    plan = made()
    interrupted(plan, second=range(9))
    with pytest.raises(TargetExistsError):
        plan.workspace.open(plan.stages, opening(resume=True, fingerprint="ab" * 32))
    again = made(overwrite=True)
    opened = again.workspace.open(again.stages, opening(resume=True, fingerprint="ab" * 32))
    assert len(again.run(opened)) == 18
    opened.close(succeeded=True)


def test_no_chunk_that_is_there_is_lost_whenever_the_driver_is_killed(made):
    """Nobody was told that the task was complete; the chunk says so itself."""
    plan = made()
    opened = plan.workspace.open(plan.stages, opening(resume=True))
    io = opened.io(plan.stages[0])
    inputs, _ = io.load((1, 1))
    io.save((1, 1), inputs[0] * 2)
    opened.place.release()
    opened.targets.release()
    opened = plan.workspace.open(plan.stages, opening(resume=True))
    assert opened.done(plan.stages[0]) == [range(4, 5)]
    assert len(plan.run(opened)) == 17
    opened.close(succeeded=True)


def test_resuming_twice_at_once_is_refused(made):
    plan = made()
    opened = plan.workspace.open(plan.stages, opening(resume=True))
    with pytest.raises(WorkDirError, match="another run"):
        plan.workspace.open(plan.stages, opening(resume=True))
    opened.close(succeeded=True)


def test_without_resume_no_thread_is_started(made):
    before = threading.active_count()
    plan = made()
    opened = plan.workspace.open(plan.stages, opening())
    assert threading.active_count() == before
    opened.close(succeeded=True)


DRIVER = """
import sys
from asyncexec.storage import open_array
from tests.storage.pipelines import opening, pipeline, planned
root = sys.argv[1]
plan = pipeline(open_array(root + "/source"), planned(root + "/target"), work_dir=root + "/work")
opened = plan.workspace.open(plan.stages, opening(resume=True))
while True:
    for task in range(9):
        plan.run(opened, tasks=[task], name=sys.argv[2])
        print(task, flush=True)
        if task == int(sys.argv[3]):
            sys.stdin.read()
"""


@pytest.mark.parametrize("stage,last", [("first", 0), ("first", 6), ("second", 3)])
def test_a_killed_driver_costs_only_what_was_not_complete(made, tmp_path, data, stage, last):
    plan = made()
    if stage == "second":
        interrupted(plan)
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(tmp_path), stage, str(last)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
    ) as driver:
        while driver.stdout.readline() != b"%d\n" % last:
            assert driver.poll() is None
        driver.kill()
    again = made()
    opened = again.workspace.open(again.stages, opening(resume=True, execution="another"))
    complete = last + 1 + (9 if stage == "second" else 0)
    assert len(again.run(opened)) == 18 - complete
    np.testing.assert_array_equal(opened.collect({}), data * 4)
    opened.close(succeeded=True)
    assert everything_below(tmp_path / "work") == []
