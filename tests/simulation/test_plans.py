"""Plans by number and relation."""

import pytest

from asyncexec.errors import OptionError
from asyncexec.simulation import Cluster, simulate
from asyncexec.simulation.plans import staged


def reads(plan, stage, task):
    [read] = plan.stage(stage).reads
    [span] = read.relation.reads((range(task, task + 1),))
    return list(span)


@pytest.mark.parametrize(
    "relation, shapes, task, read",
    [
        ("one-to-one", [(10,), (10,)], 3, [3]),
        ("all", [(10,), (10,)], 3, list(range(10))),
        ("reduce:4", [(10,), (3,)], 2, [8, 9]),
        ("window:1", [(10,), (10,)], 3, [2, 3, 4]),
        ("window:0", [(10,), (10,)], 3, [3]),
    ],
)
def test_each_stage_reads_the_one_before_as_the_relation_says(relation, shapes, task, read):
    plan = staged(2, 10, relation)
    assert [stage.shape for stage in plan.stages] == shapes
    assert reads(plan, "stage-2", task) == read


def test_stages_of_a_reduction_become_fewer_until_there_is_one():
    assert [stage.tasks for stage in staged(4, 10, "reduce:4").stages] == [10, 3, 1, 1]


@pytest.mark.parametrize(
    "relation", ["", "some", "reduce", "reduce:0", "reduce:x", "all:3", "window:-1", "window:1.5"]
)
def test_an_unknown_relation_is_refused_with_those_there_are(relation):
    with pytest.raises(OptionError, match="one-to-one, all, reduce:WIDTH, window:REACH"):
        staged(2, 10, relation)


@pytest.mark.parametrize("stages, tasks", [(0, 1), (1, 0)])
def test_a_plan_has_stages_and_tasks(stages, tasks):
    with pytest.raises(OptionError, match="at least 1"):
        staged(stages, tasks)


def test_task_memory_counts_against_that_of_the_workers():
    plan = staged(1, 20, task_bytes=1_000)
    told = simulate(plan, Cluster(workers=20, memory_bytes=5_000), durations=1.0)
    assert told.makespan_seconds == pytest.approx(4.0)
