"""A chunk of a run that is damaged while the run goes on is made again, with what it needs, and nothing else is."""

from dataclasses import replace

import numpy as np
import pytest

from asyncexec.errors import TaskFailedError
from asyncexec.events.records import OutputLost, RetryScheduled
from asyncexec.plan import Plan
from tests.storage.damage.chains import (
    BLOCK_BYTES,
    CASES,
    DATA,
    KINDS,
    TASKS,
    Spoiler,
    add_one,
    chain,
    cut_and_add_one,
    damage,
    executed,
    planned_target,
    recomputed,
)

EXECUTORS = ["threads", "processes"]


@pytest.fixture
def spoiler(tmp_path):
    (tmp_path / "marks").mkdir()
    (tmp_path / "work").mkdir()

    def make(*spoils, **options):
        return Spoiler(str(tmp_path / "work"), str(tmp_path / "marks"), spoils=spoils, **options)

    return make


@pytest.mark.parametrize("executor, kind", CASES)
def test_a_damaged_chunk_is_made_again_by_its_task_alone(source, spoiler, tmp_path, executor, kind):
    target = planned_target(tmp_path / "y.zarr")
    kernels = (add_one, add_one, spoiler(("m2", "1/0", kind)))
    result = executed(chain(source, target, tmp_path / "work", kernels=kernels), executor)
    np.testing.assert_array_equal(result.value, DATA + 3)
    assert recomputed(result) == {"s2": 1}
    assert (
        result.attempts == 3 * TASKS + 2
    )  # The one that found it, and the one that made it again.
    assert [stage.completed for stage in result.stages] == [TASKS] * 3


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_it_was_made_of_is_made_again_too_where_that_is_damaged_as_well(
    source, spoiler, tmp_path, executor
):
    target = planned_target(tmp_path / "y.zarr")
    spoils = ("m3", "1/0", "truncated"), ("m2", "1/0", "deleted"), ("m1", "1/0", "flipped bit")
    kernels = (add_one, add_one, add_one, spoiler(*spoils))
    result = executed(chain(source, target, tmp_path / "work", kernels=kernels), executor)
    np.testing.assert_array_equal(result.value, DATA + 4)
    assert recomputed(result) == {"s1": 1, "s2": 1, "s3": 1}


@pytest.mark.parametrize("executor", EXECUTORS)
def test_chunks_that_one_task_reads_together_are_made_again_together(
    source, spoiler, tmp_path, executor
):
    target = planned_target(tmp_path / "y.zarr")
    spoils = [("m1", f"{i}/1", kind) for i, kind in enumerate(["empty", "garbage", "deleted"])]
    plan = chain(
        source,
        target,
        tmp_path / "work",
        kernels=(add_one, cut_and_add_one),
        reads_all=True,
        before_reading=spoiler(*spoils, at=(3, 1)),
    )
    result = executed(plan, executor)
    np.testing.assert_array_equal(result.value, DATA + 2)
    assert recomputed(result) == {"s1": 3}
    assert result.attempts == 2 * TASKS + 4


def test_it_is_told_by_events_and_counted(source, spoiler, tmp_path):
    target = planned_target(tmp_path / "y.zarr")
    kernels = (add_one, add_one, spoiler(("m2", "1/0", "flipped bit")))
    plan = chain(source, target, tmp_path / "work", kernels=kernels)
    seen = []
    result = executed(plan, observers=[seen.append])
    (lost,) = (event for event in seen if isinstance(event, OutputLost))
    assert (lost.stage, lost.task) == ("s2", 2)
    assert "chunk (1, 0) of" in lost.reason
    assert "m2 is damaged or gone" in lost.reason
    (retry,) = (event for event in seen if isinstance(event, RetryScheduled))
    assert retry.attempt.stage == "s3"
    assert result.recomputed == result.events["OutputLost"] == 1


def test_a_place_that_damages_always_ends_in_an_error_that_says_so(source, spoiler, tmp_path):
    target = planned_target(tmp_path / "y.zarr")
    always = spoiler(("m2", "1/0", "garbage"), at=(1, 0), times=100)
    plan = chain(source, target, tmp_path / "work", before_reading=always)
    with pytest.raises(TaskFailedError) as caught:
        executed(plan)
    message = str(caught.value)
    assert "chunk (1, 0) of" in message
    assert "its checksum does not match" in message
    assert "it is not made again: task 2 of stage 's2' has run again 3 times" in message


@pytest.mark.parametrize("kind", KINDS)
def test_a_spilled_chunk_is_made_again_of_what_was_freed_in_memory(source, spoiler, tmp_path, kind):
    target = planned_target(tmp_path / "y.zarr")
    kernels = (add_one, add_one, spoiler(("m2", "1/0", kind)))
    # One block has room in memory: the others of both arrays go to files, and are freed when they have been read.
    plan = chain(source, target, tmp_path / "work", kernels=kernels, tier_bytes=BLOCK_BYTES)
    result = executed(plan)
    np.testing.assert_array_equal(result.value, DATA + 3)
    assert recomputed(result) == {"s1": 1, "s2": 1}
    assert result.attempts == 3 * TASKS + 3


def test_what_is_read_again_is_not_freed_by_other_readers_meanwhile(source, spoiler, tmp_path):
    target = planned_target(tmp_path / "y.zarr")
    spoils = [("m3", f"{i}/1", "garbage") for i in range(4)]
    kernels = (add_one, add_one, add_one, spoiler(*spoils))
    plan = chain(source, target, tmp_path / "work", kernels=kernels, tier_bytes=BLOCK_BYTES)
    result = executed(plan)
    np.testing.assert_array_equal(result.value, DATA + 4)
    assert set(recomputed(result).values()) == {4}


def test_a_task_that_must_not_run_twice_is_not_repeated_for_a_chunk(source, spoiler, tmp_path):
    target = planned_target(tmp_path / "y.zarr")
    kernels = (add_one, add_one, spoiler(("m2", "1/0", "empty")))
    plan = chain(source, target, tmp_path / "work", kernels=kernels)
    once = [replace(s, idempotent=s.name != "s2") for s in plan.stages]
    with pytest.raises(TaskFailedError, match="not made again: tasks of stage 's2' must not run"):
        executed(Plan(tuple(once), plan.name, workspace=plan.workspace))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_damaged_chunk_of_an_input_is_an_error_that_names_array_chunk_and_file(
    source, tmp_path, executor
):
    damage(tmp_path / "x.zarr/c/1/0", "truncated")
    plan = chain(source, planned_target(tmp_path / "y.zarr"), tmp_path / "work")
    with pytest.raises(TaskFailedError) as caught:
        executed(plan, executor)
    message = str(caught.value)
    for part in ("CorruptChunkError", "chunk (1, 0) of", f"{tmp_path}/x.zarr/c/1/0"):
        assert part in message
    assert "no task of this plan makes it" in message
