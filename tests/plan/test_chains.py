"""Plans that go on from others: a chain costs what its stages cost; operations are counted, not time."""

import copy
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from asyncexec.errors import DuplicateStageError, OptionError
from asyncexec.plan.plan import Plan
from tests.counting import calls_of


def longer(plan, stages):
    for _ in range(stages):
        plan = plan.then(abs)
    return plan


def names(plan):
    return [stage.name for stage in plan.stages]


def test_a_stage_is_added_to_a_long_chain_in_as_many_calls_as_to_a_short_one():
    short, long = longer(Plan.map(abs, range(3)), 10), longer(Plan.map(abs, range(3)), 1_000)
    few, many = (calls_of(lambda plan=plan: plan.then(abs)) for plan in (short, long))
    assert many <= few + 2


@pytest.mark.parametrize(
    "look",
    [str, repr, pickle.dumps, lambda plan: plan.fingerprint],
    ids=["str", "repr", "pickle", "fingerprint"],
)
def test_what_is_found_out_of_a_plan_takes_calls_in_proportion_to_its_stages(look):
    """Also at a depth beyond the recursion limit."""
    stages = sys.getrecursionlimit() + 100
    half, whole = (longer(Plan.map(abs, range(3)), n) for n in (stages // 2, stages))
    few, many = (calls_of(lambda plan=plan: look(plan)) for plan in (half, whole))
    assert many <= 2.2 * few + 50


def test_plans_that_go_on_from_one_know_nothing_of_each_other():
    base = longer(Plan.map(abs, [-1, 2]), 2)
    first, second = base.then(float), base.then(str).then(len)
    third = base.then(abs)
    assert names(base) == ["abs", "abs-2", "abs-3"]
    assert names(first) == [*names(base), "float"]
    assert names(second) == [*names(base), "str", "len"]
    assert names(third) == [*names(base), "abs-4"]
    assert names(first.then(float)) == [*names(base), "float", "float-2"]
    with pytest.raises(KeyError):
        base.stage("float")


def test_a_name_that_is_taken_is_refused_and_one_of_another_branch_is_not():
    base = Plan.map(abs, [1])
    base.then(float, name="mine")
    assert names(base.then(abs, name="mine")) == ["abs", "mine"]
    with pytest.raises(DuplicateStageError):
        base.then(float, name="mine").then(float, name="mine")


def test_copies_of_a_plan_take_nothing_along_that_went_on_from_it():
    base = Plan.map(abs, [-1, 2])
    longer(base, 100)
    for other in (copy.copy(base), pickle.loads(pickle.dumps(base)), base.with_context(input=1)):
        assert names(other.then(float)) == ["abs", "float"]
    assert len(pickle.dumps(base)) < 2_000


def test_a_plan_that_goes_on_keeps_name_and_context_and_has_a_fingerprint_of_its_own():
    base = Plan.map(abs, [-1], name="base").with_context(namespace="n")
    after = base.then(float)
    assert (after.name, after.context["namespace"], after.returns) == ("base", "n", ("float",))
    assert after.fingerprint != base.fingerprint


def test_a_plan_of_several_results_has_nothing_to_go_on_from():
    two = Plan([*Plan.map(abs, [1]).stages, *Plan.map(float, [1]).stages])
    with pytest.raises(OptionError, match="then\\(\\) goes on from one result"):
        two.then(abs)


def test_threads_that_go_on_from_one_plan_at_the_same_time_get_plans_of_their_own():
    base = Plan.map(abs, [1])
    with ThreadPoolExecutor(8) as pool:
        plans = list(pool.map(lambda n: base.then(float, name=f"n{n}").then(abs), range(200)))
    assert [names(plan) for plan in plans] == [["abs", f"n{n}", "abs-2"] for n in range(200)]
