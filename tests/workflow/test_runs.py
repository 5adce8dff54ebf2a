"""Workflows give the same results, errors and event counts on every executor."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import asyncexec as ax
from asyncexec.errors import (
    MemoryBudgetError,
    OptionError,
    ResourceError,
    StageSizeError,
    TaskFailedError,
    UnknownInputError,
)
from asyncexec.events.records import StageCompleted, StageSized, TaskSucceeded
from asyncexec.plan.relations import Blockwise
from asyncexec.testing.fates import Visit
from asyncexec.testing.model_backend import ModelBackend
from asyncexec.testing.virtual_time import run
from asyncexec.workflow import StageSpec, Workflow, stage

pytestmark = pytest.mark.usefixtures("functions_by_value")

EXECUTORS = [
    "serial",
    "asyncio",
    "threads",
    "processes",
    pytest.param("dask", marks=pytest.mark.backend),
    pytest.param("ray", marks=pytest.mark.backend),
]
on_every_executor = pytest.mark.parametrize("executor", EXECUTORS)


@stage
def cities(country: str, n: int = 3) -> list[str]:
    return [f"{country}-{i}" for i in range(n)]


@stage(map_on="cities", retry=3, resources={"cpus": 1, "memory": "10MB"})
async def fetch(city: str, factor: int = 2) -> int:
    await asyncio.sleep(0)
    return factor * int(city.partition("-")[2])


@stage(map_on="fetch")
def parsed(item: int, cities: list[str], *, offset: int = 0) -> tuple[int, int]:
    return item + offset, len(cities)


@stage
def train(fetch: list[int], parsed: list[tuple[int, int]], country: str) -> Any:
    return country, fetch, parsed


@stage
def count(cities: list[str]) -> int:
    return len(cities)


FLOW = Workflow("nowcast", [train, parsed, count, fetch, cities])


@on_every_executor
async def test_all_last_stages_run_and_their_results_come_by_name(executor: str):
    async with ax.Engine(executor) as engine:
        result = await engine.execute(FLOW(country="NL", factor=5))
        none = await engine.execute(FLOW(country="NL", n=0))
        events = [event async for event in engine.stream(FLOW(country="NL", offset=1))]
    assert result.value == {
        "train": ("NL", [0, 5, 10], [(0, 3), (5, 3), (10, 3)]),
        "count": 3,
    }
    assert [(s.name, s.tasks, s.completed) for s in result.stages] == [
        ("cities", 1, 1),
        ("count", 1, 1),
        ("fetch", 3, 3),
        ("parsed", 3, 3),
        ("train", 1, 1),
    ]
    assert none.value == {"train": ("NL", [], []), "count": 0}
    counted = {k: sum(isinstance(e, k) for e in events) for k in (TaskSucceeded, StageCompleted)}
    assert counted == {TaskSucceeded: 9, StageCompleted: 5}
    assert {e.stage: e.tasks for e in events if isinstance(e, StageSized)} == {
        "fetch": 3,
        "parsed": 3,
        "train": 1,
    }


@on_every_executor
async def test_an_input_is_mapped_over_and_a_single_last_stage_is_the_value(executor: str):
    flow = Workflow("lengths", [StageSpec.of(len, name="sizes", map_on="words"), total])
    async with ax.Engine(executor) as engine:
        assert (await engine.execute(flow(words=("to", "be", "not")))).value == 7
        assert (await engine.execute(flow(words={"to": 1, "three": 2}))).value == 7
        assert (await engine.execute(flow(words=[]))).value == 0


def total(sizes: list[int]) -> int:
    return sum(sizes)


@stage(map_on="items")
def inverse(item: int) -> float:
    return 1 / item


@on_every_executor
async def test_the_error_of_a_function_is_the_cause_and_says_the_stage(executor: str):
    flow = Workflow("inverses", [inverse])
    async with ax.Engine(executor, retry=False) as engine:
        with pytest.raises(TaskFailedError, match="ZeroDivisionError") as caught:
            await engine.execute(flow(items=[1, 0]))
    assert (caught.value.plan, caught.value.stage, caught.value.index) == (
        "inverses",
        "inverse",
        (1,),
    )
    assert "ZeroDivisionError" in caught.value.remote_traceback


def number(n: int) -> int:
    return n


@on_every_executor
async def test_runs_at_once_and_stages_of_one_name_do_not_mix(executor: str):
    def other(number: int) -> int:
        return -number

    flow = Workflow("w", [number])
    # A second workflow of the same name, whose stages have the same names, and another function.
    same = Workflow("w", [StageSpec.of(lambda n: ("other", n), name="number")])
    async with ax.Engine(executor) as engine:
        runs = [engine.start(w(n=n)) for n in range(3) for w in (flow, same)]
        values = [(await one).value for one in runs]
    assert values == [v for n in range(3) for v in (n, ("other", n))]


async def test_what_no_workflow_may_ask_for_is_refused_before_anything_runs():
    calls: list[int] = []

    def first() -> int:
        calls.append(1)
        return 1

    def last(first: int) -> int:
        return first

    greedy = StageSpec.of(last, resources={"gpus": 1})
    large = StageSpec.of(last, resources={"memory": "2GB"})
    async with ax.Engine("threads", memory="1GB") as engine:
        with pytest.raises(ResourceError, match=r"stage 'last'.*'gpus'.*cpus"):
            await engine.execute(Workflow("w", [first, greedy])())
        with pytest.raises(MemoryBudgetError, match="stage 'last'"):
            await engine.execute(Workflow("w", [first, large])())
    assert calls == []


async def test_a_map_over_what_has_no_items_ends_the_run():
    same = StageSpec.of(lambda n: n, name="number")
    flow = Workflow("w", [same, stage(map_on="number", name="each")(lambda x: x)])
    async with ax.Engine("threads") as engine:
        with pytest.raises(StageSizeError, match="'each' maps over the value of 'number'"):
            await engine.execute(flow(n=3))


async def test_a_stage_that_only_waits_begins_when_the_other_is_complete():
    done: list[str] = []

    def a() -> None:
        done.append("a")

    def b() -> list[str]:
        return [*done]

    flow = Workflow("w", [stage(depends_on=a)(b), a])
    async with ax.Engine("threads") as engine:
        assert (await engine.execute(flow())).value == ["a"]


@on_every_executor
async def test_workflows_nest(executor: str):
    prepare = Workflow("prepare", [cities, fetch])

    @stage(map_on="prepare")
    def doubled(item: int) -> int:
        return 2 * item

    def summary(prepare: list[int], doubled: list[int], both: dict[str, Any]) -> Any:
        return prepare, doubled, both

    both = StageSpec.of(Workflow("two", [cities, count, fetch]), name="both", inputs={"n": "few"})
    flow = Workflow("outer", [prepare, doubled, both, summary])
    assert [s.name for s in flow.stages if "/" in s.name] == [
        "prepare/cities",
        "prepare/fetch",
        "both/cities",
        "both/count",
        "both/fetch",
    ]
    async with ax.Engine(executor) as engine:
        result = await engine.execute(flow(country="NL", few=2))
    assert result.value == ([0, 2, 4], [0, 4, 8], {"count": 2, "fetch": [0, 2]})


async def test_what_a_nested_workflow_maps_over_may_be_a_stage_of_the_outer_one():
    def half(item: int) -> float:
        return item / 2

    halves = Workflow("halves", [StageSpec.of(half, map_on="items")])
    of_list = StageSpec.of(halves, name="of_list", inputs={"items": "number_list"})
    of_tasks = StageSpec.of(halves, name="of_tasks", inputs={"items": "of_list"})
    of_input = StageSpec.of(halves, name="of_input", inputs={"items": "given"})

    def number_list(n: int) -> list[int]:
        return list(range(n))

    flow = Workflow("outer", [of_tasks, of_input, of_list, number_list])
    plan = flow.to_plan(n=3, given=(4,))
    reads = [read.relation for read in plan.stage("of_tasks/half").reads]
    assert [type(relation) for relation in reads] == [Blockwise]
    async with ax.Engine("threads") as engine:
        result = await engine.execute(plan)
    assert result.value == {"of_tasks/half": [0.0, 0.25, 0.5], "of_input/half": [2.0]}


# -- on virtual time: the course of a run


def seconds(**by_stage: float) -> Any:
    def fate(visit: Visit) -> float:
        return by_stage[visit.stage]

    return fate


def virtual_seconds(flow: Any, slots: int, fate: Any) -> float:
    async def main() -> float:
        async with ax.Engine(ModelBackend(fate, slots=slots, computes=False)) as engine:
            loop = asyncio.get_running_loop()
            begun = loop.time()
            await engine.execute(flow)
            return loop.time() - begun

    return run(main())


def test_a_run_takes_its_critical_path_and_not_the_sum_of_its_levels():
    def a() -> None: ...
    def b() -> None: ...
    def c(a: None) -> None: ...

    flow = Workflow("w", [a, b, c])
    assert virtual_seconds(flow(), 4, seconds(a=0.2, b=1.0, c=1.0)) == pytest.approx(1.2, abs=0.01)


def test_the_items_of_a_map_run_at_once():
    flow = Workflow("w", [inverse])
    assert virtual_seconds(flow(items=range(1, 5)), 4, seconds(inverse=0.5)) == pytest.approx(
        0.5, abs=0.01
    )


def test_a_map_over_a_mapped_stage_follows_it_item_by_item():
    def first_slow(visit: Visit) -> float:
        return 10.0 if visit.task == 0 and visit.stage == "inverse" else 1.0

    follows = stage(map_on="inverse", name="again")(lambda x: x)
    flow = Workflow("w", [inverse, follows])
    # Three slots: while one task of the first stage takes long, the other two do all that does not read it.
    assert virtual_seconds(flow(items=range(1, 8)), 3, first_slow) == pytest.approx(11.0, abs=0.01)


# -- what tasks know, what is kept, what goes first


def look() -> Any:
    context = ax.get_run_context()
    said = (context.workflow, context.input, context.namespace, context.config["depth"])
    return said, context.plan, context.stage


@on_every_executor
async def test_a_task_knows_its_workflow_and_its_inputs(executor: str):
    each = StageSpec.of(abs, name="each", map_on="items")
    flow = Workflow("where", [look, each, StageSpec.of(len, inputs={"obj": "names"})])
    run = flow(items=range(2_000), names=["a"]).with_context(
        namespace="weather", config={"depth": 3}
    )
    async with ax.Engine(executor) as engine:
        result = await engine.execute(run)
    assert result.value["look"] == (
        ("where", {"names": ["a"]}, "weather", 3),
        "where",
        "look",
    )


@on_every_executor
async def test_the_value_of_any_stage_is_there_by_name(executor: str):
    async with ax.Engine(executor) as engine:
        result = await engine.execute(FLOW(country="NL"))
        kept = Workflow("w", [cities, fetch, count], keeps=["cities"])
        few = await engine.execute(kept(country="NL"))
        assert result.values["fetch"] == [0, 2, 4]
        assert sorted(result.values) == ["cities", "count", "fetch", "parsed", "train"]
        assert sorted(few.values) == ["cities", "count", "fetch"]
        assert few.values["cities"] == ["NL-0", "NL-1", "NL-2"]
    with pytest.raises(UnknownInputError, match=r"keep 'citties'.*'cities'"):
        Workflow("w", [cities], keeps=["citties"])


def test_of_what_can_run_the_stage_of_the_highest_priority_goes_first():
    begun: list[str] = []

    def fate(visit: Visit) -> float:
        begun.append(visit.stage)
        return 1.0

    def low() -> None: ...
    def middle() -> None: ...
    def high() -> None: ...

    order = [low, stage(priority=1)(middle), StageSpec.of(high, priority=2.5)]
    virtual_seconds(Workflow("w", order)(), 1, fate)
    assert begun == ["high", "middle", "low"]
    with pytest.raises(OptionError, match=r"stage 'high' .*priority='much'"):
        Workflow("w", [StageSpec.of(high, priority="much")]).to_plan()


# -- policies of a stage


@stage(map_on="items", on_failure="keep")
def inverses(item: int) -> float:
    return 1 / item


@stage(map_on="inverses")
def rounded(inverse: float) -> int:
    return round(inverse)


def known(rounded: list[Any]) -> list[Any]:
    return [value if isinstance(value, int) else value.error.index for value in rounded]


@on_every_executor
async def test_a_failure_that_is_kept_holds_its_place(executor: str):
    async with ax.Engine(executor) as engine:
        result = await engine.execute(Workflow("w", [inverses, rounded, known])(items=[1, 0]))
    assert result.value == [1, (1,)]
    assert (result.failed_tasks, result.skipped_tasks) == (1, 1)


@stage(retry=ax.Retry(attempts=3, base_seconds=0.001, transient=(LookupError,)))
def flaky(folder: str) -> int:
    tries = len(list(Path(folder).iterdir()))
    Path(folder, str(tries)).touch()
    if tries < 2:
        raise LookupError("not there yet")
    return tries


@on_every_executor
async def test_a_stage_is_tried_again_as_it_says(executor: str, tmp_path: Path):
    async with ax.Engine(executor, retry=False) as engine:
        result = await engine.execute(Workflow("w", [flaky])(folder=str(tmp_path)))
    assert (result.value, result.retries) == (2, 2)
