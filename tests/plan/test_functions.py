"""Plans of plain functions."""

import functools
import inspect
from collections import deque
from typing import get_args, get_type_hints

import numpy as np
import pytest

from asyncexec import sync
from asyncexec.errors import DuplicateStageError, OptionError
from asyncexec.plan import Items, Plan, Read, Stage
from asyncexec.plan.box import unravel
from asyncexec.plan.functions import map_stage
from asyncexec.plan.relations import All
from asyncexec.plan.stage_options import StageOptions


def square(x):
    return x * x


def run(plan):
    """What the plan returns, computed one task after another."""
    values = {}
    for stage in plan.stages:
        results = values[stage.name] = []
        for task in range(stage.tasks):
            index = unravel(task, stage.shape)
            results.append(
                stage.kernel(index, *(take(i, index, task, values) for i in stage.inputs))
            )
    return [values[name] for name in plan.returns]


def take(given, index, task, values):
    if isinstance(given, Items):
        return given.values[task]
    box = given.relation.reads(tuple(range(i, i + 1) for i in index))
    read = [values[given.stage][i] for i in (box[0] if box else [0])]
    return read if given.many else read[0]


def test_map_calls_the_function_with_each_item_in_order():
    plan = Plan.map(square, range(5))
    assert (plan.name, plan.tasks, plan.returns) == ("square", 5, ("square",))
    assert run(plan) == [[0, 1, 4, 9, 16]]


def test_map_takes_several_sequences_side_by_side():
    assert run(Plan.map(pow, [2, 3], (3, 2))) == [[8, 9]]


def test_starmap_calls_the_function_with_the_arguments_that_each_item_holds():
    plan = Plan.starmap(pow, [(2, 3), [3, 2]])
    assert (plan.name, plan.tasks) == ("pow", 2)
    assert run(plan) == [[8, 9]]


def test_starmap_takes_items_of_generators():
    plan = Plan.starmap(pow, ((n, 2) for n in range(3)))
    assert sync.execute(plan.then(str), executor="serial").value == ["0", "1", "4"]


def test_starmap_awaits_coroutine_functions():
    async def total(x, y):
        return x + y

    assert sync.execute(Plan.starmap(total, [(1, 3), (2, 4)])).value == [4, 6]


def test_an_async_function_is_left_to_the_worker_to_await():
    async def later(x):
        return x

    result = Plan.map(later, [1]).stages[0].kernel((0,), 1)
    assert inspect.isawaitable(result)
    result.close()


@pytest.mark.parametrize(
    "items",
    [
        lambda: {1: "a", 2: "b"},
        {1: "a", 2: "b"}.keys,
        lambda: deque([1, 2]),
        lambda: np.array([1, 2]),
        lambda: bytes([1, 2]),
    ],
)
def test_whatever_has_a_length_and_can_be_gone_through_can_be_mapped_over(items):
    assert run(Plan.map(square, items())) == [[1, 4]]


def test_rows_of_an_array_are_its_items():
    assert run(Plan.map(np.sum, np.arange(6).reshape(3, 2))) == [[1, 5, 9]]


def test_sequences_are_not_copied():
    items = range(10**12)
    assert Plan.map(square, items).stages[0].inputs == (Items(items),)


@pytest.mark.parametrize("items", [5, None, np.array(1)])
def test_what_cannot_be_gone_through_is_refused(items):
    with pytest.raises(OptionError, match="items must be a sequence"):
        Plan.map(square, items)


def test_map_needs_items_of_equal_length_and_a_function():
    with pytest.raises(OptionError, match="at least one sequence"):
        Plan.map(square)
    with pytest.raises(OptionError, match=r"equal length, not \[2, 3\]"):
        Plan.map(pow, [1, 2], [1, 2, 3])
    with pytest.raises(OptionError, match="'square' cannot be called"):
        Plan.map("square", [1])


@pytest.mark.parametrize(
    "function, name",
    [
        (square, "square"),
        (lambda x: x, "map"),
        (functools.partial(pow, 2), "map"),
        (np.add, "add"),
        (str.upper, "upper"),
    ],
)
def test_a_stage_is_called_as_its_function(function, name):
    assert map_stage(function, [1]).name == name
    assert map_stage(function, [1], name="mine").name == "mine"


def test_options_go_to_the_stage():
    stage = map_stage(
        square,
        [1],
        retry=2,
        timeout=3.5,
        straggler="off",
        resources={"gpus": 1},
        memory="2GB",
        idempotent=False,
        on_failure="keep",
        takes_missing=True,
    )
    assert (stage.on_failure, stage.takes_missing) == ("keep", True)
    assert stage.overrides == {"retry": 2, "timeout": 3.5, "straggler": "off"}
    assert stage.resources == {"gpus": 1}
    assert stage.memory.projected_bytes == 2 * 10**9
    assert not stage.idempotent
    plain = map_stage(square, [1])
    assert (plain.overrides, plain.resources, plain.memory.projected_bytes) == ({}, {}, 0)
    assert plain.idempotent


def test_a_policy_may_be_switched_off_for_a_stage():
    assert map_stage(square, [1], retry=False).overrides == {"retry": False}


def test_a_memory_that_is_no_size_is_refused():
    with pytest.raises(OptionError, match="memory='much' is not a size"):
        Plan.map(square, [1], memory="much")


@pytest.mark.parametrize("method", ["map", "then", "reduce"])
def test_an_unknown_option_is_refused_with_the_known_ones(method):
    plan = Plan.map(square, [1])
    arguments = (square, [1]) if method == "map" else (square,)
    with pytest.raises(
        OptionError, match=r"'retires'.*did you mean 'retry'.*idempotent, .*memory, name"
    ):
        getattr(plan, method)(*arguments, retires=3)


@pytest.mark.parametrize("make", [Plan.map, Plan.call, Plan.starmap])
def test_an_argument_of_the_function_among_the_options_is_told_how_it_is_given(make):
    def area(width, height=1):
        return width * height

    with pytest.raises(OptionError, match=r"functools\.partial\(area, height=\.\.\.\)"):
        make(area, [1], height=2)


@pytest.mark.parametrize("method", [Plan.map, Plan.starmap, Plan.then, Plan.reduce, map_stage])
def test_editors_and_type_checkers_see_every_option(method):
    (options,) = get_args(get_type_hints(method)["options"])
    assert get_type_hints(options) == get_type_hints(StageOptions)
    assert {"name", "retry", "memory", "idempotent", "on_failure"} <= get_type_hints(options).keys()


def test_then_goes_on_task_by_task():
    plan = Plan.map(square, range(4)).then(str).then(len)
    assert [s.name for s in plan.stages] == ["square", "str", "len"]
    assert [r.relation.barrier for s in plan.stages for r in s.reads] == [False, False]
    assert run(plan) == [[1, 1, 1, 1]]
    assert plan.name == "square"


def test_reduce_gets_the_list_of_all_results():
    plan = Plan.map(square, range(4)).reduce(sum)
    assert (plan.returns, plan.stage("sum").shape) == (("sum",), ())
    assert plan.stage("sum").inputs == (Read("square", All((4,), ()), many=True),)
    assert run(plan) == [[14]]
    assert run(plan.then(square)) == [[196]]


def test_a_name_that_is_taken_gets_a_number_unless_it_was_asked_for():
    plan = Plan.map(square, [3]).then(square).then(square)
    assert [s.name for s in plan.stages] == ["square", "square-2", "square-3"]
    assert run(plan) == [[3**8]]
    with pytest.raises(DuplicateStageError):
        plan.then(square, name="square")


def test_the_plan_gone_on_from_stays_as_it_was():
    plan = Plan.map(square, [1, 2])
    plan.then(str, timeout=3)
    assert (len(plan.stages), plan.returns) == (1, ("square",))


def test_going_on_needs_one_result():
    stages = [Stage(name=n, kernel=print, shape=(1,)) for n in "ab"]
    with pytest.raises(OptionError, match=r"then\(\) .* has 2: a, b"):
        Plan(stages).then(square)
    with pytest.raises(OptionError, match=r"reduce\(\) .* has 0"):
        Plan(()).reduce(square)
    assert Plan(stages, returns=("b",)).reduce(len).returns == ("len",)


def test_no_items_make_a_plan_without_tasks():
    plan = Plan.map(square, []).then(str).reduce(len)
    assert [s.tasks for s in plan.stages] == [0, 0, 1]
    assert run(plan) == [[0]]
