"""Options of Cubed's executors mean the same on every executor."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import pytest

import asyncexec as ax
from asyncexec.backends.serial import SerialBackend
from asyncexec.errors import MemoryBudgetError, OptionError, ResourceError, TaskFailedError
from tests.instant_backend import InstantBackend


def engine(executor: Any = "threads", **options: Any) -> ax.Engine:
    return ax.Engine(executor, executor_options=options)


class Failing:
    """Fails every time, and counts."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, item: int) -> int:
        self.calls += 1
        raise ConnectionError("again")


@pytest.mark.parametrize("attempts", [1, 3])
async def test_the_number_of_retries_counts_attempts_in_all_as_an_option_and_as_an_argument(
    attempts,
):
    by_option, by_argument = Failing(), Failing()
    async with engine(retries=attempts) as running:
        with pytest.raises(TaskFailedError):
            await running.execute(ax.Plan.map(by_option, [0]))
        with pytest.raises(TaskFailedError):
            await running.execute(ax.Plan.map(by_argument, [0]), retry=attempts)
    assert by_option.calls == by_argument.calls == attempts


async def test_an_argument_goes_before_the_option():
    failing = Failing()
    async with ax.Engine("threads", executor_options={"retries": 5}, retry=False) as running:
        with pytest.raises(TaskFailedError):
            await running.execute(ax.Plan.map(failing, [0]))
    assert failing.calls == 1


async def test_timeout_is_for_each_task():
    async with engine(timeout=0.05, retries=1) as running:
        with pytest.raises(ax.errors.TaskTimeoutError):
            await running.execute(ax.Plan.map(lambda _: time.sleep(0.5), [0]))


async def test_batch_size_is_how_many_tasks_are_with_the_executor():
    most, now, lock = 0, 0, threading.Lock()

    def count(item: int) -> int:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.002)
        with lock:
            now -= 1
        return item

    async with engine(max_workers=6, batch_size=2) as running:
        await running.execute(ax.Plan.map(count, range(40)))
    assert most == 2


async def test_arrays_are_computed_one_at_a_time_where_that_is_asked_for():
    order: list[str] = []

    def logged(name: str) -> Any:
        def kernel(item: int) -> int:
            order.append(name)
            return item

        return kernel

    plan = ax.Plan.map(logged("a"), range(20)).then(logged("b"))
    async with engine(max_workers=2, compute_arrays_in_parallel=False) as running:
        await running.execute(plan)
    assert order == ["a"] * 20 + ["b"] * 20


@pytest.mark.parametrize(
    "option, value",
    [
        ("retries", -1),
        ("retries", 0),
        ("retries", "3"),
        ("timeout", "long"),
        ("timeout", 0),
        ("use_backups", "yes"),
        ("batch_size", 0),
        ("compute_arrays_in_parallel", 1),
    ],
)
def test_a_wrong_value_is_refused_by_name(option, value):
    with pytest.raises(OptionError, match=option.partition("_")[0]):
        engine(**{option: value})


@pytest.mark.parametrize("options", [["max_workers"], "max_workers=2", {2: "max_workers"}])
def test_options_that_map_no_names_to_values_are_refused(options):
    with pytest.raises(OptionError, match="executor_options must map names to values"):
        ax.Engine("threads", executor_options=options)


def test_an_option_of_other_executors_says_whose_it_is():
    with pytest.raises(OptionError, match=r"has no option 'executor'; it is one of futures"):
        ax.Engine("threads", executor_options={"executor": 3})


def test_a_constructor_that_names_an_option_gets_it_as_well():
    got = []

    class Timed(SerialBackend):
        def __init__(self, *, timeout: float) -> None:
            got.append(timeout)
            super().__init__()

    engine(Timed, timeout=3.0, retries=1)
    assert got == [3.0]


class Small(InstantBackend):
    """Says that its workers are small, and that it has two hamsters."""

    def __init__(self) -> None:
        super().__init__()
        self.capabilities = replace(
            self.capabilities, name="small", worker_bytes=1_000_000, resources={"hamsters": 2.0}
        )


async def test_a_task_that_may_use_more_than_a_worker_has_is_refused_before_the_run():
    async with ax.Engine(Small()) as running:
        with pytest.raises(
            MemoryBudgetError, match=r"projected to need 2.0 MB.*'small' has 1.0 MB"
        ):
            running.start(ax.Plan.map(abs, [1], memory="2MB"))
        running.start(ax.Plan.map(abs, [1], memory="1MB")).cancel()


async def test_what_the_backend_has_can_be_asked_for_and_no_more():
    async with ax.Engine(Small()) as running:
        running.start(ax.Plan.map(abs, [1], resources={"hamsters": 2})).cancel()
        with pytest.raises(ResourceError, match="there are only 2 in all"):
            running.start(ax.Plan.map(abs, [1], resources={"hamsters": 3}))
        with pytest.raises(ResourceError, match=r"'hamster'.*known: hamsters"):
            running.start(ax.Plan.map(abs, [1], resources={"hamster": 1}))


async def test_what_the_user_says_of_resources_stands():
    async with ax.Engine(Small(), resources={"hamsters": 5}) as running:
        running.start(ax.Plan.map(abs, [1], resources={"hamsters": 4})).cancel()


@pytest.mark.parametrize("executor", ["threads", "processes"])
async def test_tasks_may_ask_for_as_many_cpus_as_run_at_once(executor: str) -> None:
    async with ax.Engine(executor, executor_options={"max_workers": 2}) as engine:
        plan = ax.Plan.map(abs, [-1, -2, -3], resources={"cpus": 2})
        assert (await engine.execute(plan)).value == [1, 2, 3]
        with pytest.raises(ResourceError, match="there are only 2 in all"):
            await engine.execute(ax.Plan.map(abs, [-1], resources={"cpus": 3}))


def test_an_option_of_the_executor_among_those_of_the_engine_is_told_where_it_goes():
    with pytest.raises(OptionError, match=r"executor_options=\{'max_workers': \.\.\.\}"):
        ax.Engine("threads", max_workers=2)
