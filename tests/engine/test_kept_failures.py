"""Failures that are kept: a ``Failed`` holds the task's place, and the run goes on."""

from __future__ import annotations

import copyreg
import math
import pickle
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.backends.threads import ThreadsBackend
from asyncexec.errors import (
    OptionError,
    PoisonTaskError,
    TaskFailedError,
    TaskTimeoutError,
    WorkerLostError,
)
from asyncexec.events.outcome import Status
from asyncexec.events.records import TaskFailed, TaskSkipped
from asyncexec.plan import Items, Plan, Read, Stage
from asyncexec.plan.relations import All, identity
from asyncexec.policies.retry import Retry
from asyncexec.testing.fates import Fate, RandomFates, Visit
from asyncexec.testing.model_backend import ModelBackend
from asyncexec.testing.virtual_time import virtual_time


def even(item: int) -> int:
    if item % 2:
        raise ValueError(f"{item} is odd")
    return item


def numbers(values: list[Any]) -> list[Any]:
    return [v for v in values if not isinstance(v, ax.Failed)]


@pytest.mark.parametrize("barriers", [False, True])
async def test_a_failure_holds_its_place_and_what_reads_it_is_not_run(barriers: bool) -> None:
    called: list[int] = []

    def half(x: int) -> float:
        called.append(x)
        return x / 2

    plan = Plan.map(even, range(5), on_failure="keep").then(half)
    async with ax.Engine("threads", executor_options={"max_workers": 1}) as engine:
        result = await engine.execute(plan, barriers=barriers)
    zero, first, one, second, two = result.value
    assert (zero, one, two, sorted(called)) == (0.0, 1.0, 2.0, [0, 2, 4])
    for place, failed in ((1, first), (3, second)):
        assert isinstance(failed, ax.Failed)
        assert isinstance(failed.error, TaskFailedError)
        error = failed.error
        assert (error.plan, error.stage, error.index) == ("even", "even", (place,))
        assert error.attempt == 1
        assert error.worker
        assert isinstance(error.__cause__, ValueError)
        assert not failed
    assert [(s.completed, s.failed_tasks, s.skipped_tasks) for s in result.stages] == [
        (5, 2, 0),
        (5, 0, 2),
    ]
    assert (result.failed_tasks, result.skipped_tasks) == (2, 2)
    assert "2 failed, 2 skipped" in repr(result)


async def test_events_say_what_failed_and_what_was_skipped() -> None:
    events: list[Any] = []
    plan = Plan.map(even, [1, 2], on_failure="keep").then(float, name="float")
    async with ax.Engine("serial", observers=[events.append]) as engine:
        result = await engine.execute(plan)
    (failed,) = (e for e in events if isinstance(e, TaskFailed))
    (skipped,) = (e for e in events if isinstance(e, TaskSkipped))
    assert (failed.kept, failed.attempt.task, "1 is odd" in failed.error) == (True, 0, True)
    assert (skipped.stage, skipped.task, skipped.reason) == ("float", 0, failed.error)
    kinds = Counter(type(event).__name__ for event in events)
    assert {kind: kinds[kind] for kind in result.events} == result.events
    assert kinds["PlanSucceeded"] == 1


async def test_a_function_that_takes_what_is_missing_is_called_with_it() -> None:
    def or_zero(value: Any) -> Any:
        return 0 if isinstance(value, ax.Failed) else value

    plan = Plan.map(even, range(4), on_failure="keep").then(or_zero, takes_missing=True).reduce(sum)
    async with ax.Engine("threads") as engine:
        result = await engine.execute(plan)
    assert (result.value, result.skipped_tasks) == (2, 0)


async def test_a_reduce_gets_the_list_and_a_map_over_it_passes_failures_on() -> None:
    reduced = Plan.map(even, range(4), on_failure="keep").reduce(numbers)
    mapped = Plan.map(even, range(4), on_failure="keep").reduce(list).then_each(str)
    async with ax.Engine("threads") as engine:
        assert (await engine.execute(reduced)).value == [0, 2]
        result = await engine.execute(mapped)
    assert [value or value.error.index for value in result.value] == ["0", (1,), "2", (3,)]


async def test_a_map_over_a_value_that_is_missing_has_one_missing_value() -> None:
    plan = Plan.call(even, 3, on_failure="keep").then_each(str).then(len).reduce(list)
    async with ax.Engine("threads") as engine:
        result = await engine.execute(plan)
    (failed,) = result.value
    assert failed.error.stage == "even"
    assert [(s.tasks, s.skipped_tasks) for s in result.stages] == [(1, 0), (1, 1), (1, 1), (1, 0)]


async def test_a_call_that_fails_is_the_value() -> None:
    async with ax.Engine("serial") as engine:
        result = await engine.execute(Plan.call(even, 3, on_failure="keep"))
    assert isinstance(result.value, ax.Failed)


async def test_late_stages_keep_their_failures_too() -> None:
    plan = Plan.call(range, 5).then_each(even, on_failure="keep").then(float).reduce(numbers)
    async with ax.Engine("processes", executor_options={"max_workers": 2}) as engine:
        result = await engine.execute(plan)
    assert (result.value, result.failed_tasks, result.skipped_tasks) == ([0.0, 2.0, 4.0], 2, 2)


async def test_a_task_with_one_input_missing_of_two_waits_for_both() -> None:
    def add(index: Any, x: int, y: int) -> int:
        return x + y

    shape = (6,)
    evens = Stage(
        name="evens", kernel=lambda i, x: even(x), shape=shape, inputs=(Items(range(6)),),
        on_failure="keep",
    )  # fmt: skip
    others = Stage(
        name="others", kernel=lambda i, x: even(x // 2), shape=shape, inputs=(Items(range(6)),),
        on_failure="keep",
    )  # fmt: skip
    read = (Read("evens", identity(shape)), Read("others", identity(shape)))
    total = Stage(name="total", kernel=add, shape=shape, inputs=read)
    ends = Stage(
        name="ends",
        kernel=lambda i, values: [bool(v) or v == 0 for v in values],
        shape=(),
        inputs=(Read("total", All(shape, ()), many=True),),
    )
    async with ax.Engine("threads") as engine:
        result = await engine.execute(Plan([evens, others, total, ends]))
    assert result.value == [True, False, False, False, True, False]
    assert result.skipped_tasks == 4


@pytest.mark.parametrize("others", [False, True], ids=["plain", "as other libraries pickle it"])
def test_a_failure_travels_with_its_cause_where_that_can(
    monkeypatch: pytest.MonkeyPatch, others: bool
) -> None:
    if others:  # tblib does that for Dask.
        monkeypatch.setitem(
            copyreg.dispatch_table, TaskFailedError, lambda e: (type(e), ("", e.__cause__))
        )

    class Unknown(Exception):  # noqa: N818 - what cannot be pickled
        pass

    def raises(item: int) -> None:
        raise Unknown if item else KeyError("here")

    plan = Plan.map(raises, [0, 1], on_failure="keep")
    known, unknown = pickle.loads(pickle.dumps(ax.sync.execute(plan).value))
    assert repr(known.error.__cause__) == "KeyError('here')"
    assert (known.error.stage, known.error.index, known.error.attempt) == ("raises", (0,), 1)
    assert isinstance(unknown.error.__cause__, ax.RemoteError)
    assert unknown.error.__cause__.exception_type.endswith("Unknown")
    assert "Unknown" in unknown.error.__notes__[0]
    assert "KeyError: 'here'" in repr(known)


def test_a_failure_holds_no_variables_of_the_call_that_failed() -> None:
    held = np.ones(3)

    def raises(item: int) -> None:
        big = held
        raise ValueError(big.size)

    (failed,) = ax.sync.execute(Plan.map(raises, [0], on_failure="keep")).value
    frame = failed.error.__cause__.__traceback__
    while frame.tb_next is not None:
        frame = frame.tb_next
    assert "big" not in frame.tb_frame.f_locals


@virtual_time
async def test_what_fails_in_other_ways_is_kept_too() -> None:
    def fate(visit: Visit) -> Fate | float:
        match visit.task:
            case 0:
                return Fate(seconds=math.inf)  # until its timeout
            case 1:
                return Fate(seconds=1.0, status=Status.LOST)  # a poison task
            case 2 if visit.number == 1:
                return Fate(seconds=1.0, status=Status.FAILED, error=ConnectionError("once"))
            case _:
                return 1.0

    async with ax.Engine(ModelBackend(fate, slots=2), straggler="off") as engine:
        plan = Plan.map(abs, range(5), on_failure="keep")
        result = await engine.execute(plan, retry=Retry(attempts=3), timeout=10.0)
        lost = await engine.execute(Plan.map(abs, range(5), on_failure="keep"), retry=1, timeout=10)
    assert result.value[2:] == [2, 3, 4]
    assert type(result.value[0].error) is TaskTimeoutError
    assert type(result.value[1].error) is PoisonTaskError
    assert (result.failed_tasks, result.value[0].error.attempt) == (2, 3)
    assert type(lost.value[1].error) is WorkerLostError
    assert lost.failed_tasks == 2  # the third task succeeds: it has failed in the run before


@virtual_time
async def test_a_budget_of_retries_that_is_spent_ends_the_retries_and_not_the_run() -> None:
    def fate(visit: Visit) -> Fate | float:
        error = ConnectionError("always")
        return 1.0 if visit.task % 2 else Fate(seconds=1.0, status=Status.FAILED, error=error)

    retry = Retry(attempts=4, budget=0.01)
    async with ax.Engine(ModelBackend(fate, slots=4)) as engine:
        plan = Plan.map(abs, range(80), on_failure="keep")
        result = await engine.execute(plan, retry=retry)
    failures = [value for value in result.value if isinstance(value, ax.Failed)]
    assert len(failures) == 40
    assert result.retries <= retry.retries_allowed(80)
    notes = [note for value in failures for note in getattr(value.error, "__notes__", ())]
    assert any("the plan's budget" in note for note in notes)


@given(seed=st.integers(0, 10_000), stages=st.integers(1, 3), slots=st.integers(1, 5))
@virtual_time
async def test_every_task_has_a_value_or_a_failure_whatever_happens(
    seed: int, stages: int, slots: int
) -> None:
    fates = RandomFates(
        sigma=1.0,
        failing=0.3,
        lost=0.1,
        slow=0.1,
        error=ValueError("no"),
        spared_after=9,
        seed=seed,
    )
    plan = Plan.map(int, range(20), on_failure="keep", retry=2)
    for _ in range(stages - 1):
        plan = plan.then(int, on_failure="keep")
    async with ax.Engine(ModelBackend(fates, slots=slots)) as engine:
        result = await engine.execute(plan)
    assert len(result.value) == 20
    for place, value in enumerate(result.value):
        assert value.error.index == (place,) if isinstance(value, ax.Failed) else value == place
    missing = sum(isinstance(value, ax.Failed) for value in result.value)
    last = result.stages[-1]
    assert (last.failed_tasks + last.skipped_tasks, last.completed) == (missing, 20)
    for before, after in zip(result.stages, result.stages[1:], strict=False):
        assert after.skipped_tasks == before.failed_tasks + before.skipped_tasks


@pytest.mark.parametrize(
    "options, says",
    [
        ({"on_failure": "kep"}, "on_failure must be 'fail' or 'keep', not 'kep'"),
        ({"on_failure": True}, "on_failure must be"),
        ({"takes_missing": "yes"}, "takes_missing must be True or False"),
        ({"idempotent": "yes"}, "idempotent must be True or False"),
        ({"onfailure": "keep"}, "did you mean 'on_failure'"),
    ],
)
def test_wrong_options_are_refused(options: Any, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        Plan.map(even, [1], **options)


def test_arrays_cannot_miss_a_chunk() -> None:
    plan = xp.sum(xp.ones(4, chunks=2)).to_plan()
    kept = [s if s.holds_values else _keeping(s) for s in plan.stages]
    with pytest.raises(OptionError, match="nothing can take the place of a chunk"):
        Plan(kept, workspace=plan.workspace)


def _keeping(stage: Stage) -> Stage:
    from dataclasses import replace

    return replace(stage, on_failure="keep")


async def test_a_failure_without_keep_ends_the_run_as_ever() -> None:
    async with ax.Engine(ThreadsBackend(max_workers=1)) as engine:
        with pytest.raises(TaskFailedError):
            await engine.execute(Plan.map(even, [1, 2]).then(float, on_failure="keep"))
