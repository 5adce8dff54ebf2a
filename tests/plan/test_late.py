"""Stages whose size is known only when other stages are complete."""

import pickle
from collections import deque
from dataclasses import replace

import numpy as np
import pytest

from asyncexec.errors import (
    CycleError,
    OptionError,
    RelationError,
    StageSizeError,
    UnknownInputError,
)
from asyncexec.plan import Plan, Read, Stage
from asyncexec.plan.late import following, resolved, sized_by
from asyncexec.plan.relations import All, block_reduce, identity
from asyncexec.plan.stage import ChunkedOutput, LateSize


def cities(country):
    return [country, country]


def fetch(city):
    return city


def chain():
    return (
        Plan.call(cities, "NL", name="cities")
        .then_each(fetch, name="fetch")
        .then(str, name="clean")
        .reduce(list, name="train")
    )


def resolve(plan, values):
    """Resolve all stages of ``plan`` in its order, with ``values`` for what they wait for."""
    known = {}
    for stage in plan.stages:
        known[stage.name] = resolved(plan.name, stage, values, known)
    return known


def test_what_follows_a_map_over_a_value_is_late_as_well_and_waits_for_the_same():
    plan = chain()
    assert [stage.waits_for for stage in plan.stages] == [(), *[("cities",)] * 3]
    assert [stage.shape for stage in plan.stages] == [(), (0,), (0,), ()]
    assert (plan.tasks, plan.returns) == (2, ("train",))


def test_a_map_over_a_value_has_a_task_for_each_item_and_so_has_what_follows():
    known = resolve(chain(), {"cities": ["a", "b", "c"]})
    assert [stage.shape for stage in known.values()] == [(), (3,), (3,), ()]
    assert not any(stage.is_late for stage in known.values())
    assert known["fetch"].inputs == (Read("cities", All((), (3,)), item=True),)
    assert known["clean"].inputs == (Read("fetch", identity((3,))),)
    assert known["train"].inputs == (Read("clean", All((3,), ()), many=True),)


@pytest.mark.parametrize(
    "value", [range(2), {1, 2}, {"a": 1, "b": 2}, deque([1, 2]), np.zeros((2, 3)), "ab"]
)
def test_whatever_has_a_length_gives_one(value):
    assert resolve(chain(), {"cities": value})["fetch"].shape == (2,)


@pytest.mark.parametrize("value, kind", [(5, "an int"), ((i for i in [1]), "a generator")])
def test_what_has_no_length_is_an_error_that_says_what_to_return(value, kind):
    with pytest.raises(StageSizeError, match=rf"plan 'cities': stage 'fetch' .*{kind}: have"):
        resolve(chain(), {"cities": value})


def test_the_plan_stays_as_it_is():
    plan = chain()
    before = plan.fingerprint
    resolve(plan, {"cities": range(10)})
    assert plan.stages[1].shape == (0,)
    assert plan.fingerprint == before


def test_a_late_stage_counts_in_the_fingerprint():
    stage = chain().stage("fetch")
    other = replace(stage, late=LateSize(waits_for=("cities",), resolve=_fails))
    plans = [Plan([chain().stage("cities"), one]) for one in (stage, stage, other)]
    one, same, changed = (plan.fingerprint for plan in plans)
    assert one == same != changed


def test_a_late_stage_can_be_pickled():
    stage = chain().stage("fetch")
    assert pickle.loads(pickle.dumps(stage.late)) == stage.late


def test_then_each_goes_on_from_a_single_value():
    with pytest.raises(OptionError, match=r"one for each of its tasks: use then\(\)"):
        Plan.map(fetch, "ab").then_each(fetch)


def test_call_takes_arguments_and_options():
    plan = Plan.call(pow, 2, 3, name="eight", memory="1MB")
    (stage,) = plan.stages
    assert (stage.shape, stage.name, stage.memory.projected_bytes) == ((), "eight", 10**6)
    assert stage.kernel((), *(given.values[0] for given in stage.inputs)) == 8


# -- text and pictures


def test_text_says_which_stage_gives_the_number():
    plan = chain()
    assert repr(plan) == "<Plan 'cities': 4 stages, at least 2 tasks>"
    assert "fetch           identity  map        as many as cities gives" in str(plan)
    assert "as many as cities gives" in plan.visualize().svg


# -- what is refused


def stage(name, shape=(), reads=(), **more):
    return Stage(name=name, kernel=fetch, shape=shape, inputs=tuple(reads), **more)


def test_what_reads_a_late_stage_must_be_late():
    plan = chain()
    with pytest.raises(RelationError, match=r"'x' .*'fetch', whose size is known only during"):
        Plan([*plan.stages, stage("x", (0,), [Read("fetch", identity((0,)))])])


def test_items_of_a_value_are_read_by_late_stages_of_single_values():
    read = Read("a", All((), (3,)), item=True)
    with pytest.raises(RelationError, match="an item each, the number of which"):
        Plan([stage("a"), stage("b", (3,), [read])])
    read = Read("a", All((2,), (0,)), item=True)
    with pytest.raises(RelationError, match="must be a single task"):
        Plan([stage("a", (2,)), stage("b", (0,), [read], late=sized_by("a"))])


def test_a_late_stage_waits_for_value_stages_that_are_there():
    with pytest.raises(UnknownInputError, match=r"'b' .*'citties'.* did you mean 'cities'"):
        Plan([stage("cities"), stage("b", (0,), late=sized_by("citties"))])
    with pytest.raises(OptionError, match="waits for no stage"):
        Plan([stage("b", (0,), late=LateSize(waits_for=(), resolve=_fails))])
    chunks = ChunkedOutput(location="x", shape=(), block=(), unit=(), dtype="u1")
    with pytest.raises(OptionError, match="puts out chunks"):
        Plan([stage("a", outputs=(chunks,)), stage("b", (0,), late=sized_by("a"))])


def test_stages_that_wait_for_each_other_are_a_cycle():
    with pytest.raises(CycleError, match="a -> b -> a"):
        Plan([stage("a", late=sized_by("b")), stage("b", late=sized_by("a"))])


def _fails(stage, values, shapes):
    raise ZeroDivisionError("no idea")


def _renames(stage, values, shapes):
    return replace(stage, name="other", late=None)


def _reads_more(stage, values, shapes):
    return replace(stage, inputs=(Read("a", All((), ())),), late=None)


def _misfits(stage, values, shapes):
    return replace(stage, shape=(3,), late=None)


@pytest.mark.parametrize(
    "how, error, message",
    [
        (_fails, StageSizeError, "plan 'p': the size of stage 'b', which 'a' gives.*no idea"),
        (_renames, StageSizeError, "returned another stage, 'other'"),
        (_reads_more, StageSizeError, "made it read stages"),
    ],
)
def test_a_resolve_that_fails_or_changes_more_than_the_size_is_named(how, error, message):
    late = stage("b", (0,), late=LateSize(waits_for=("a",), resolve=how))
    with pytest.raises(error, match=message):
        resolved("p", late, {"a": 1}, {"a": stage("a")})


def test_what_resolve_returns_must_fit_what_it_reads():
    late = LateSize(waits_for=("a",), resolve=_misfits)
    late = stage("b", (0,), [Read("a", All((), (0,)))], late=late)
    with pytest.raises(RelationError, match=r"'b' of plan 'p' has the index space \(3,\)"):
        resolved("p", late, {"a": 1}, {"a": stage("a")})


def test_a_relation_that_says_nothing_about_other_sizes_is_named():
    late = stage("b", (0,), [Read("a", block_reduce((0,), {0: 2}), many=True)], late=sized_by("n"))
    with pytest.raises(StageSizeError, match="does not say which tasks read which then"):
        resolved("p", late, {"n": "abc"}, {"a": stage("a", (6,)), "n": stage("n")})


def test_nothing_follows_a_stage_whose_size_is_known():
    assert following(stage("a", (3,))) is None
