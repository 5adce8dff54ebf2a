"""A run that is resumed finds what was damaged since, makes it again with what it needs, and repeats nothing else."""

import json
from dataclasses import replace

import numpy as np
import pytest
import zarr

from asyncexec.errors import TargetExistsError, TaskFailedError
from asyncexec.events.records import OutputLost, StageCompleted
from asyncexec.plan import Plan
from asyncexec.storage import TaskOutput, read
from tests.storage.damage.chains import (
    CASES,
    CHUNKS,
    DATA,
    KINDS,
    TASKS,
    FailAt,
    add_one,
    chain,
    damage,
    executed,
    files_of,
    planned_target,
    recomputed,
)
from tests.storage.pipelines import output, stored

EXECUTORS = ["threads", "processes"]


@pytest.fixture
def broken(source, tmp_path):
    """A plan of three stages, the last of which fails at its last task as long as it is told to."""
    marker = tmp_path / "fails"

    def plan(**options):
        kernels = (add_one, add_one, FailAt((3, 1), marker))
        target = options.pop("target", None) or planned_target(tmp_path / "y.zarr")
        return chain(source, target, tmp_path / "work", kernels=kernels, **options)

    def fail(plan, **options):
        marker.touch()
        with pytest.raises(TaskFailedError):
            executed(plan, resume=True, retry=1, **options)
        marker.unlink()

    return plan, fail


def ran(result):
    return {s.name: s.completed - s.resumed for s in result.stages}


@pytest.mark.parametrize("executor, kind", CASES)
def test_a_chunk_of_an_intermediate_that_is_read_again_is_made_again(
    broken, tmp_path, executor, kind
):
    plan, fail = broken
    fail(plan())
    damage(tmp_path.glob("work/*/m2/c/3/1").__next__(), kind)
    result = executed(plan(), executor, resume=True)
    np.testing.assert_array_equal(result.value, DATA + 3)
    # One that is gone or empty is as one that was never written; others are found by who reads them.
    at_once = kind in ("deleted", "empty")
    assert recomputed(result) == ({} if at_once else {"s2": 1})
    assert ran(result) == {"s1": 0, "s2": int(at_once), "s3": 1}


def test_damage_to_what_nothing_reads_again_costs_nothing(broken, tmp_path):
    plan, fail = broken
    fail(plan())
    for array in ("m1", "m2"):
        for number, file in enumerate(files_of(tmp_path / "work", array)):
            if not str(file).endswith("c/3/1"):
                damage(file, list(KINDS)[number % len(KINDS)])
    result = executed(plan(), resume=True)
    np.testing.assert_array_equal(result.value, DATA + 3)
    assert recomputed(result) == {}
    assert result.attempts == 1


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_a_damaged_chunk_was_made_of_is_made_again_too(broken, tmp_path, executor):
    plan, fail = broken
    fail(plan())
    damage(next(tmp_path.glob("work/*/m2/c/3/1")), "garbage")
    damage(next(tmp_path.glob("work/*/m1/c/3/1")), "flipped bit")
    result = executed(plan(), executor, resume=True)
    np.testing.assert_array_equal(result.value, DATA + 3)
    assert recomputed(result) == {"s1": 1, "s2": 1}
    assert ran(result) == {"s1": 0, "s2": 0, "s3": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_the_metadata_of_an_intermediate_are_written_again(broken, tmp_path, kind):
    plan, fail = broken
    fail(plan())
    damage(next(tmp_path.glob("work/*/m2/zarr.json")), kind)
    result = executed(plan(), resume=True)
    np.testing.assert_array_equal(result.value, DATA + 3)
    assert result.attempts == 1


def test_what_it_was_made_of_may_be_gone_and_not_needed_by_others(broken, tmp_path):
    plan, fail = broken
    fail(plan())
    damage(next(tmp_path.glob("work/*/m1/c/3/1")), "deleted")
    damage(next(tmp_path.glob("work/*/m2/c/3/1")), "truncated")
    result = executed(plan(), resume=True)
    np.testing.assert_array_equal(result.value, DATA + 3)
    assert recomputed(result) == {"s1": 1, "s2": 1}
    assert (
        result.attempts == 5
    )  # The last task and the one before it found what they read damaged, and ran again.


def test_a_chunk_is_made_again_after_what_it_needs_that_is_not_complete_yet(broken, tmp_path):
    plan, fail = broken
    both = with_another_reader(plan(), planned_target(tmp_path / "z.zarr"))
    fail(both)
    damage(next(tmp_path.glob("work/*/m1/c/3/1")), "deleted")
    damage(next(tmp_path.glob("work/*/m2/c/3/1")), "truncated")
    (tmp_path / "z.zarr/c/3/1").unlink(missing_ok=True)
    result = executed(both, resume=True, barriers=False)
    np.testing.assert_array_equal(result.value, DATA + 3)
    assert recomputed(result) == {"s2": 1}
    assert {s: n for s, n in ran(result).items() if s != "s4"} == {"s1": 1, "s2": 0, "s3": 1}
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "z.zarr")[:], DATA + 2)


def with_another_reader(plan, target):
    """Return a plan with a stage ``s4`` that reads what ``s1`` writes, as ``s2`` does."""
    blocks = dict(plan.workspace.blocks)
    blocks["s4"] = replace(blocks["s2"], targets=(TaskOutput(array=target, block=CHUNKS),))
    (second,) = (stage for stage in plan.stages if stage.name == "s2")
    fourth = replace(second, name="s4", kernel=add_one, outputs=(output(target, CHUNKS),))
    workspace = replace(plan.workspace, blocks=blocks)
    return Plan((*plan.stages, fourth), plan.name, workspace=workspace)


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_chunk_of_a_target_is_not_taken_for_complete(broken, tmp_path, kind):
    plan, fail = broken
    target = planned_target(tmp_path / "y.zarr")
    fail(plan(target=target))
    damage(tmp_path / "y.zarr/c/1/0", kind)
    seen = []
    result = executed(plan(target=target), resume=True, observers=[seen.append])
    np.testing.assert_array_equal(result.value, DATA + 3)
    assert ran(result) == {"s1": 0, "s2": 0, "s3": 2}
    found = [(e.stage, e.task) for e in seen if isinstance(e, OutputLost)]
    assert found == ([] if kind in ("deleted", "empty") else [("s3", 2)])
    whole = tuple(slice(0, n) for n in DATA.shape)
    np.testing.assert_array_equal(read(target, whole), DATA + 3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "compressor",
    [None, {"name": "gzip", "configuration": {"level": 1}}],
    ids=["none", "gzip"],
)
def test_so_it_is_with_other_codecs_as_far_as_they_can_tell(broken, tmp_path, kind, compressor):
    plan, fail = broken
    target = planned_target(tmp_path / "y.zarr", compressor=compressor)
    fail(plan(target=target))
    damage(tmp_path / "y.zarr/c/1/0", kind)
    result = executed(plan(target=target), resume=True)
    told = compressor is not None or kind not in ("flipped bit", "garbage")
    assert ran(result) == {"s1": 0, "s2": 0, "s3": 2 if told else 1}
    assert (result.value == DATA + 3).all() == told


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_shard_of_a_target_is_not_taken_for_complete(source, tmp_path, kind):
    marker = tmp_path / "fails"
    target = planned_target(tmp_path / "y.zarr", chunks=(1, 3), shards=CHUNKS)
    kernels = (add_one, FailAt((3, 1), marker))
    plan = chain(source, target, tmp_path / "work", kernels=kernels)
    marker.touch()
    with pytest.raises(TaskFailedError):
        executed(plan, resume=True, retry=1)
    marker.unlink()
    damage(tmp_path / "y.zarr/c/1/0", kind)
    result = executed(plan, resume=True)
    np.testing.assert_array_equal(result.value, DATA + 2)
    assert ran(result) == {"s1": 0, "s2": 2}


def test_a_chunk_of_the_result_that_is_damaged_before_it_is_collected_is_made_again(
    source, tmp_path
):
    target = planned_target(tmp_path / "y.zarr")
    plan = chain(source, target, tmp_path / "work")

    def spoil(event):
        if isinstance(event, StageCompleted) and event.stage == "s3":
            damage(tmp_path / "y.zarr/c/1/0", "flipped bit")
            damage(next(tmp_path.glob("work/*/m2/c/1/0")), "truncated")

    result = executed(plan, observers=[spoil])
    np.testing.assert_array_equal(result.value, DATA + 3)
    assert recomputed(result) == {"s2": 1, "s3": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_metadata_of_a_target_are_written_again(broken, tmp_path, kind):
    plan, fail = broken
    fail(plan())
    file = tmp_path / "y.zarr/zarr.json"
    before = file.read_bytes()
    damage(file, kind)
    result = executed(plan(), resume=True)
    np.testing.assert_array_equal(result.value, DATA + 3)
    assert result.attempts == 1
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "y.zarr")[:], DATA + 3)
    assert json.loads(file.read_bytes())["codecs"] == json.loads(before)["codecs"]


def test_metadata_that_tell_another_shape_or_codec_are_written_again(broken, tmp_path):
    plan, fail = broken
    fail(plan())
    file = tmp_path / "y.zarr/zarr.json"
    document = json.loads(file.read_bytes())
    document["attributes"]["units"] = "m"
    file.write_text(json.dumps(document | {"shape": [8, 7], "fill_value": 1.0}))
    executed(plan(), resume=True)
    found = zarr.open_array(tmp_path / "y.zarr")
    np.testing.assert_array_equal(found[:], DATA + 3)
    assert found.attrs["units"] == "m"


@pytest.mark.parametrize("kind", ["truncated", "deleted"])
def test_an_array_with_damaged_metadata_is_not_taken_over_by_a_plan_that_did_not_make_it(
    source, tmp_path, kind
):
    stored(tmp_path / "y.zarr", DATA, CHUNKS)
    damage(tmp_path / "y.zarr/zarr.json", kind)
    plan = chain(source, planned_target(tmp_path / "y.zarr"), tmp_path / "work")
    with pytest.raises(TargetExistsError):
        executed(plan, resume=True)
    assert len(list((tmp_path / "y.zarr").rglob("c/*/*"))) == TASKS


@pytest.mark.parametrize("kind", KINDS)
def test_a_chunk_of_a_finished_run_is_made_again_with_what_it_needs_and_no_more(
    source, tmp_path, kind
):
    plan = chain(source, planned_target(tmp_path / "y.zarr"), tmp_path / "work")
    executed(plan, resume=True)
    assert executed(plan, resume=True).attempts == 0
    damage(tmp_path / "y.zarr/c/1/0", kind)
    result = executed(plan, resume=True)
    np.testing.assert_array_equal(result.value, DATA + 3)
    assert ran(result) == {"s1": 1, "s2": 1, "s3": 1}
    assert executed(plan, resume=True).attempts == 0
