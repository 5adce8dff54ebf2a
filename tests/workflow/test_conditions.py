"""A stage whose condition does not hold is skipped, and so is what reads it; both are told."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

import asyncexec as ax
from asyncexec.errors import CycleError, OptionError, TaskFailedError, WorkflowInputError
from asyncexec.events.outcome import Status
from asyncexec.events.records import AttemptEnded, TaskSkipped
from asyncexec.histories import read_run
from asyncexec.simulation import simulate
from asyncexec.workflow import StageSpec, Workflow, stage

pytestmark = pytest.mark.usefixtures("functions_by_value")

EXECUTORS = ["serial", "asyncio", "threads", "processes"]


def numbers(n: int) -> list[int]:
    return list(range(n))


def is_even(number: int) -> bool:
    return number % 2 == 0


@stage(map_on="numbers", when=lambda numbers: len(numbers) > 2)
def doubled(number: int) -> int:
    return 2 * number


def total(doubled: list[int]) -> int:
    return sum(doubled)


def report(total: int) -> str:
    return f"total {total}"


@stage(takes_missing=True)
def always(report: Any, doubled: list[Any]) -> Any:
    return isinstance(report, ax.Skipped), doubled


FLOW = Workflow("conditions", [numbers, doubled, total, report, always])


@pytest.mark.parametrize("executor", EXECUTORS)
async def test_what_is_skipped_is_skipped_downstream_and_told(executor: str):
    events: list[Any] = []
    async with ax.Engine(executor, observers=[events.append]) as engine:
        held = await engine.execute(FLOW(n=3))
        events.clear()
        skipped = await engine.execute(FLOW(n=2))
    assert held.value == (False, [0, 2, 4])
    assert (held.skipped_tasks, held.tasks) == (0, 8)
    nothing = ax.Skipped("the condition of 'doubled' does not hold")
    assert skipped.value == (True, [nothing, nothing])
    assert {s.name: (s.completed, s.skipped_tasks, s.attempts > 0) for s in skipped.stages} == {
        "numbers": (1, 0, True),
        "doubled/when": (1, 1, True),
        "doubled": (2, 2, False),
        "total": (1, 1, False),
        "report": (1, 1, False),
        "always": (1, 0, True),
    }
    told = [(e.stage, e.reason) for e in events if isinstance(e, TaskSkipped)]
    assert told == [
        (name, nothing.reason) for name in ("doubled/when", "doubled", "doubled", "total", "report")
    ]
    assert (
        sum(e.outcome.status is Status.SKIPPED for e in events if isinstance(e, AttemptEnded)) == 1
    )
    assert (skipped.failures, skipped.skipped_tasks) == (0, 5)
    assert skipped.events["TaskSkipped"] == 5
    assert skipped.values["report"] == nothing
    assert sorted(skipped.values) == ["always", "doubled", "numbers", "report", "total"]


@pytest.mark.parametrize("executor", EXECUTORS)
async def test_a_condition_on_the_item_skips_items(executor: str):
    @stage(map_on="numbers", when=lambda number, least: number >= least)
    def halves(number: int) -> float:
        return number / 2

    @stage(map_on="halves")
    def text(half: float) -> str:
        return str(half)

    def listed(text: list[Any]) -> list[Any]:
        return [t or t.reason for t in text]

    flow = Workflow("w", [numbers, halves, text, listed])
    async with ax.Engine(executor) as engine:
        result = await engine.execute(flow(n=4, least=2))
    reason = "the condition of 'halves' does not hold"
    assert result.value == [reason, reason, "1.0", "1.5"]
    assert [s.skipped_tasks for s in result.stages] == [0, 2, 2, 0]


async def test_the_name_of_a_stage_or_an_input_is_a_condition():
    def check(numbers: list[int]) -> bool:
        return len(numbers) > 2

    small = StageSpec.of(lambda n: -n, name="small", when="check")
    asked = StageSpec.of(lambda n: n, name="asked", when="wanted")
    flow = Workflow("w", [numbers, check, small, asked])
    async with ax.Engine("threads") as engine:
        assert (await engine.execute(flow(n=3, wanted=True))).value == {"small": -3, "asked": 3}
        value = (await engine.execute(flow(n=2, wanted=False))).value
    assert value == {
        "small": ax.Skipped("'check', the condition of 'small', is not true"),
        "asked": ax.Skipped("'wanted', the condition of 'asked', is not true"),
    }
    with pytest.raises(WorkflowInputError, match=r"'wanted' is missing .*'asked/when'"):
        flow(n=3)


async def test_what_only_waits_for_a_skipped_stage_is_skipped():
    first = StageSpec.of(lambda: 1, name="first", when=lambda: False)
    after = StageSpec.of(lambda: 2, name="after", depends_on="first")
    last = StageSpec.of(lambda: 3, name="last", depends_on="after", takes_missing=True)
    async with ax.Engine("threads") as engine:
        result = await engine.execute(Workflow("w", [first, after, last])())
    assert (result.value, result.values["after"]) == (
        3,
        ax.Skipped("the condition of 'first' does not hold"),
    )


async def test_a_stage_that_takes_what_is_missing_has_its_own_condition_still():
    first = StageSpec.of(lambda: 1, name="first", when=lambda: False)
    last = StageSpec.of(
        lambda first: first, name="last", takes_missing=True, when=lambda first: first
    )
    async with ax.Engine("processes", executor_options={"max_workers": 1}) as engine:
        result = await engine.execute(Workflow("w", [first, last])())
    assert result.value == ax.Skipped("the condition of 'last' does not hold")


async def test_a_workflow_as_a_stage_has_a_condition_for_all_its_stages():
    inner = Workflow("inner", [numbers, StageSpec.of(is_even, map_on="numbers")])
    flow = Workflow(
        "w", [StageSpec.of(inner, when=lambda n: n > 1), StageSpec.of(len, inputs={"obj": "inner"})]
    )
    async with ax.Engine("threads") as engine:
        assert (await engine.execute(flow(n=2))).value == 2
        result = await engine.execute(flow(n=1))
    assert result.value == ax.Skipped("the condition of 'inner' does not hold")
    assert [s.attempts for s in result.stages] == [1, 0, 0, 0]


async def test_a_condition_that_raises_is_a_failure_of_its_own():
    flow = Workflow(
        "w", [numbers, StageSpec.of(lambda: 1, name="last", when=lambda numbers: 1 / 0)]
    )
    async with ax.Engine("threads", retry=False) as engine:
        with pytest.raises(TaskFailedError, match=r"stage 'last/when'.*ZeroDivisionError"):
            await engine.execute(flow(n=1))


def test_conditions_that_cannot_be_are_refused():
    async def later() -> bool:
        return True

    with pytest.raises(OptionError, match="'total': when is a plain function"):
        StageSpec.of(total, when=later)
    with pytest.raises(CycleError, match="'last' -> 'last/when'"):
        Workflow("w", [StageSpec.of(lambda: 1, name="last", when=lambda last: last)])


def test_a_conditional_workflow_is_shown_and_simulated():
    assert "  doubled(each of numbers)  when=<lambda>" in str(FLOW)
    assert "/when" not in str(FLOW)
    told = simulate(FLOW.to_plan(n=3), durations=1.0, late_tasks={"doubled": 5})
    assert told.makespan_seconds == 6.0


# -- skipping in any plan


def inverse(x: int) -> float:
    if x == 0:
        raise ax.SkippedError("zero has no inverse")
    return 1 / x


@pytest.mark.parametrize("executor", EXECUTORS)
async def test_a_function_can_say_that_there_is_nothing_to_do(executor: str):
    plan = ax.Plan.map(inverse, [2, 0, 4]).then(float)
    async with ax.Engine(executor, retry=4) as engine:
        result = await engine.execute(plan)
    assert result.value == [0.5, ax.Skipped("zero has no inverse"), 0.25]
    assert [(s.failures, s.retries, s.skipped_tasks) for s in result.stages] == [(0, 0, 1)] * 2


def test_what_is_skipped_can_be_pickled_and_is_false():
    skipped = ax.Skipped("no data")
    assert pickle.loads(pickle.dumps(skipped)) == skipped
    assert not skipped


async def test_a_recorded_run_with_what_was_skipped_can_be_simulated(tmp_path: Path):
    history = ax.History(tmp_path)
    async with ax.Engine("threads", observers=[history]) as engine:
        await engine.execute(ax.Plan.map(inverse, [1, 0]).reduce(len))
    [folder] = history.folders
    run = read_run(folder)
    assert [len(run.succeeded_seconds(stage.name)) for stage in run.stages] == [2, 1]
