"""The public face: what users write works, and what they must not do is an error that says what to write."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from typing import Any, Self

import pytest

import asyncexec as ax
from asyncexec.backends.contract import Batch, Capabilities, Report
from asyncexec.backends.threads import ThreadsBackend
from asyncexec.errors import (
    BackendError,
    EngineClosedError,
    MemoryBudgetError,
    OptionError,
    ResourceError,
    RunningLoopError,
    TaskFailedError,
    TaskTimeoutError,
    UnknownExecutorError,
    UsageError,
    WorkDirError,
)
from asyncexec.events.outcome import Outcome, Status
from asyncexec.plan.locality import Locality
from asyncexec.plan.relations import identity
from asyncexec.plan.stage import Read, Stage
from asyncexec.policies.retry import Retry
from tests.instant_backend import InstantBackend

QUICK = Retry(base_seconds=0.001)


def double(item: int) -> int:
    return item * 2


def fail_at_three(item: int) -> int:
    if item == 3:
        raise ValueError("three is not liked")
    return item


class Flaky:
    """Fails at its first call for each item."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def __call__(self, item: int) -> int:
        if item not in self.seen:
            self.seen.add(item)
            raise ConnectionError("try again")
        return item


class Gate:
    """Counts calls, each of which waits until the gate is opened."""

    def __init__(self) -> None:
        self.calls = 0
        self.entered = threading.Event()
        self.open = threading.Event()

    def __call__(self, item: int) -> int:
        self.calls += 1
        self.entered.set()
        self.open.wait(30)
        return item


async def entered(gate: Gate) -> None:
    """Wait until a task is inside ``gate``."""
    while not gate.entered.is_set():
        await asyncio.sleep(0.001)


async def test_results_come_in_the_order_of_the_items() -> None:
    async with ax.Engine("threads") as engine:
        result = await engine.execute(ax.Plan.map(double, range(1000)))
    assert result.value == [i * 2 for i in range(1000)]
    assert (result.tasks, result.attempts, result.retries, result.backups) == (1000, 1000, 0, 0)
    assert result.events["TaskSucceeded"] == 1000


async def test_one_engine_runs_several_plans_at_once() -> None:
    async with ax.Engine("threads", executor_options={"max_workers": 2}) as engine:
        results = await asyncio.gather(
            *(engine.execute(ax.Plan.map(double, range(n))) for n in (1, 10, 300))
        )
    assert [r.tasks for r in results] == [1, 10, 300]


async def test_a_short_plan_is_not_kept_waiting_by_a_long_one() -> None:
    finished: list[str] = []

    async def run(engine: ax.Engine, name: str, tasks: int) -> None:
        await engine.execute(ax.Plan.map(time.sleep, [0.002] * tasks))
        finished.append(name)

    async with (
        ax.Engine("threads", executor_options={"max_workers": 2}) as engine,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(run(engine, "long", 400))
        await asyncio.sleep(0.02)
        tasks.create_task(run(engine, "short", 10))
    assert finished == ["short", "long"]


async def test_plans_chain_value_by_value() -> None:
    plan = ax.Plan.map(double, range(20)).then(double).reduce(sum)
    async with ax.Engine("threads") as engine:
        result = await engine.execute(plan)
    assert result.value == sum(i * 4 for i in range(20))


async def test_an_error_says_plan_stage_task_attempt_and_worker() -> None:
    async with ax.Engine("threads") as engine:
        with pytest.raises(TaskFailedError) as caught:
            await engine.execute(ax.Plan.map(fail_at_three, range(10), name="picky"))
    error = caught.value
    assert (error.plan, error.index, error.attempt) == ("picky", (3,), 1)
    assert error.worker
    assert isinstance(error.__cause__, ValueError)
    assert "three is not liked" in str(error)
    assert "fail_at_three" in error.remote_traceback


async def test_a_transient_failure_is_tried_again() -> None:
    async with ax.Engine("threads", retry=QUICK) as engine:
        result = await engine.execute(ax.Plan.map(Flaky(), range(5)))
    assert result.value == list(range(5))
    assert (result.retries, result.failures, result.attempts) == (5, 5, 10)


async def test_after_a_failure_nothing_more_is_started() -> None:
    calls: list[int] = []

    def work(item: int) -> None:
        calls.append(item)
        if item == 0:
            raise ValueError("at once")
        time.sleep(0.001)

    async with ax.Engine("threads", executor_options={"max_workers": 2}) as engine:
        with pytest.raises(TaskFailedError):
            await engine.execute(ax.Plan.map(work, range(1000)))
        seen = len(calls)
        await asyncio.sleep(0.05)
        assert len(calls) == seen
    assert seen < 100


async def test_cancelling_the_caller_stops_the_work() -> None:
    gate = Gate()
    async with ax.Engine("threads", executor_options={"max_workers": 2}) as engine:
        task = asyncio.create_task(engine.execute(ax.Plan.map(gate, range(100))))
        await entered(gate)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        calls = gate.calls
        gate.open.set()
        await asyncio.sleep(0.02)
        assert gate.calls == calls, "no task starts after the cancellation"


async def test_a_timeout_around_the_call_stops_the_work() -> None:
    gate = Gate()
    async with ax.Engine("threads", executor_options={"max_workers": 1}) as engine:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await engine.execute(ax.Plan.map(gate, range(100)))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(engine.start(ax.Plan.map(gate, range(100))), 0.1)
        assert "0 executions" in repr(engine)
        gate.open.set()


async def test_leaving_the_context_stops_the_work() -> None:
    gate = Gate()
    async with ax.Engine("threads", executor_options={"max_workers": 1}) as engine:
        execution = engine.start(ax.Plan.map(gate, range(100)))
        await entered(gate)
        assert not execution.done
    assert execution.done
    gate.open.set()
    assert gate.calls == 1
    with pytest.raises(asyncio.CancelledError):
        await execution


async def test_an_execution_tells_its_progress_and_can_be_cancelled() -> None:
    gate = Gate()
    async with ax.Engine("threads", executor_options={"max_workers": 1}) as engine:
        execution = engine.start(ax.Plan.map(gate, range(10)))
        await entered(gate)
        assert (execution.progress.tasks, execution.progress.completed) == (10, 0)
        assert "running, 0 of 10" in repr(execution)
        execution.cancel()
        with pytest.raises(asyncio.CancelledError):
            await execution
        assert "cancelled" in repr(execution)
        gate.open.set()
        done = engine.start(ax.Plan.map(double, range(10)))
        await done
        assert done.progress.fraction == 1.0


async def test_errors_of_the_caller_pass_through_unwrapped() -> None:
    with pytest.raises(KeyError, match="mine"):
        async with ax.Engine("threads"):
            raise KeyError("mine")


async def test_an_engine_may_be_entered_and_left_in_different_tasks() -> None:
    engine = ax.Engine("threads")
    await asyncio.create_task(engine.__aenter__())
    result = await engine.execute(ax.Plan.map(double, [1]))
    await asyncio.create_task(engine.__aexit__(None, None, None))
    assert result.value == [2]


async def test_events_are_streamed_in_order_and_end() -> None:
    async with ax.Engine("threads") as engine:
        kinds = [
            type(event).__name__ async for event in engine.stream(ax.Plan.map(double, range(3)))
        ]
    assert kinds[:2] == ["PlanStarted", "StageStarted"]
    assert kinds[-2:] == ["StageCompleted", "PlanSucceeded"]
    assert (
        kinds.count("AttemptStarted")
        == kinds.count("AttemptEnded")
        == kinds.count("TaskSucceeded")
        == 3
    )


class Unwritable:
    """A workspace that cannot be opened."""

    def open(self, stages: object, opening: object) -> Any:
        raise WorkDirError("the disk is read-only")


async def test_a_run_that_cannot_open_its_storage_begins_and_fails() -> None:
    plan = ax.Plan(ax.Plan.map(double, [1]).stages, "p", workspace=Unwritable())
    heard: list[object] = []
    async with ax.Engine("threads") as engine:
        with pytest.raises(WorkDirError, match="read-only"):
            await engine.execute(plan, observers=[heard.append])
    assert [type(event).__name__ for event in heard] == ["PlanStarted", "PlanFailed"]


async def test_leaving_a_stream_stops_the_work() -> None:
    gate = Gate()
    async with ax.Engine("threads", executor_options={"max_workers": 1}) as engine:
        stream = engine.stream(ax.Plan.map(gate, range(100)))
        async for _ in stream:
            break
        await stream.aclose()  # type: ignore[attr-defined]  # an async generator, typed as what users need of it
        assert "0 executions" in repr(engine)
        gate.open.set()


async def test_a_stream_raises_what_the_run_raises_after_its_last_event() -> None:
    kinds: list[str] = []
    async with ax.Engine("threads") as engine:
        stream = engine.stream(ax.Plan.map(fail_at_three, range(10)))
        with pytest.raises(TaskFailedError):
            await _drain(stream, kinds)
    assert kinds[-1] == "PlanFailed"
    assert "TaskFailed" in kinds


async def test_an_observer_that_fails_is_dropped_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(event: object) -> None:
        raise RuntimeError("observer is broken")

    heard: list[object] = []
    async with ax.Engine("threads", observers=[heard.append]) as engine:
        result = await engine.execute(ax.Plan.map(double, range(10)), observers=[broken])
    assert result.value == [i * 2 for i in range(10)]
    assert len(heard) == 34
    assert len(caplog.records) == 1


@pytest.mark.parametrize("observers", [print, 3])
async def test_observers_that_are_no_list_are_refused_and_none_are_none(observers: Any) -> None:
    async with ax.Engine("serial") as engine:
        plan = ax.Plan.map(double, iter([1]))
        with pytest.raises(OptionError, match="observers are a list, not"):
            await engine.execute(plan, observers=observers)
        assert (await engine.execute(plan, observers=None)).value == [2]
    with pytest.raises(OptionError, match="observers are a list"):
        ax.Engine("serial", observers=observers)


class LosesTheFirst(InstantBackend):
    """Loses the first batch that it gets, before it has started."""

    async def map(self, batches: AsyncIterable[Batch]) -> AsyncIterator[Sequence[Report]]:
        iterator = aiter(batches)
        lost = await anext(iterator)
        yield [Outcome(job.attempt, Status.LOST) for job in lost.jobs]
        async for reports in super().map(iterator):
            yield reports


async def test_the_result_counts_the_events_of_attempts_that_never_started() -> None:
    kinds: Counter[str] = Counter()
    plan = ax.Plan.map(double, range(10))
    async with ax.Engine(LosesTheFirst(computes=True)) as engine:
        result = await engine.execute(plan, observers=[lambda e: kinds.update([type(e).__name__])])
    assert result.stages[0].unstarted == result.attempts - 10 > 0
    assert {kind: kinds[kind] for kind in result.events} == result.events


async def test_a_failure_that_nobody_awaits_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with ax.Engine("threads") as engine:
        execution = engine.start(ax.Plan.map(fail_at_three, [3]))
        while not execution.done:
            await asyncio.sleep(0.001)
    assert "nobody awaited" in caplog.text


async def test_a_hanging_task_is_ended_by_its_timeout() -> None:
    gate = Gate()
    async with ax.Engine("threads", executor_options={"max_workers": 1}, retry=1) as engine:
        with pytest.raises(TaskTimeoutError, match=r"0\.05 s"):
            await engine.execute(ax.Plan.map(gate, [1]), timeout=0.05)
        assert (await engine.execute(ax.Plan.map(double, [4]))).value == [8], "the slot works again"
        gate.open.set()


async def test_a_stage_may_have_policies_of_its_own() -> None:
    async with ax.Engine("threads", retry=False) as engine:
        result = await engine.execute(ax.Plan.map(Flaky(), range(3), retry=QUICK))
    assert result.retries == 3


@pytest.mark.parametrize(
    "options,error,says",
    [
        ({"executor": "thread"}, UnknownExecutorError, "threads"),
        ({"executor": "threads", "executor_options": {"workers": 2}}, OptionError, "max_workers"),
        ({"executor": "threads", "memory": "lots"}, OptionError, "2GB"),
        ({"executor": "threads", "straggler": "sometimes"}, OptionError, "two_phase"),
        ({"executor": "threads", "retry": -1}, OptionError, "at least 1"),
        ({"executor": "threads", "timeout": 0}, OptionError, "above 0"),
        ({"executor": "threads", "observers": [Gate]}, OptionError, "instances"),
        ({"executor": "threads", "observers": ax.Progress()}, OptionError, "are a list"),
    ],
)
def test_wrong_options_are_errors_that_say_what_is_right(
    options: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        ax.Engine(**options)


async def test_what_cannot_run_is_refused_before_anything_runs() -> None:
    calls: list[int] = []
    async with ax.Engine("threads", memory="1GB", resources={"gpus": 1}) as engine:
        with pytest.raises(MemoryBudgetError, match=r"2\.0 GB.*Have tasks need less"):
            await engine.execute(ax.Plan.map(calls.append, [1], memory="2GB"))
        with pytest.raises(ResourceError, match="hamster_wheel"):
            await engine.execute(ax.Plan.map(calls.append, [1], resources={"hamster_wheel": 1}))
        with pytest.raises(ResourceError, match="only 1"):
            await engine.execute(ax.Plan.map(calls.append, [1], resources={"gpus": 2}))
        with pytest.raises(OptionError, match="to_plan"):
            await engine.execute([1, 2])  # type: ignore[arg-type]  # the mistake under test
    assert not calls


async def test_an_engine_is_used_in_the_event_loop_that_it_was_opened_in() -> None:
    def elsewhere(engine: ax.Engine) -> None:
        asyncio.run(engine.execute(ax.Plan.map(abs, [-1])))

    async with ax.Engine(executor="threads") as engine:
        with pytest.raises(UsageError, match="the event loop in which it was opened"):
            await asyncio.to_thread(elsewhere, engine)
        with pytest.raises(UsageError, match="the event loop in which it was opened"):
            await asyncio.to_thread(engine.start, ax.Plan.map(abs, [-1]))
        assert (await engine.execute(ax.Plan.map(abs, [-1]))).value == [1]


async def test_a_backend_belongs_to_one_engine_at_a_time() -> None:
    backend = ThreadsBackend(max_workers=1)
    async with ax.Engine(executor=backend) as engine:
        with pytest.raises(UsageError, match="open already"):
            async with ax.Engine(executor=backend):
                pass
        assert (await engine.execute(ax.Plan.map(abs, [-1]))).value == [1]
    async with ax.Engine(executor=backend) as engine:
        assert (await engine.execute(ax.Plan.map(abs, [-1]))).value == [1]


async def test_an_engine_that_is_not_open_says_so() -> None:
    engine = ax.Engine("threads")
    with pytest.raises(EngineClosedError, match="async with"):
        await engine.execute(ax.Plan.map(double, [1]))
    async with engine:
        with pytest.raises(EngineClosedError, match="open already"):
            await engine.__aenter__()
    with pytest.raises(EngineClosedError):
        engine.start(ax.Plan.map(double, [1]))


async def _drain(stream: AsyncIterator[object], kinds: list[str]) -> None:
    async for event in stream:
        kinds.append(type(event).__name__)  # noqa: PERF401 - kept also when the stream raises


class BrokenBackend:
    """Breaks at the first batch, or ends its map early."""

    capabilities = Capabilities(name="broken", locality=Locality.SAME_PROCESS)
    slots = 2

    def __init__(self, *, ends: bool) -> None:
        self._ends = ends

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def cancel(self, attempts: object) -> None:
        raise AssertionError("nothing can be cancelled on a broken backend")

    async def map(self, batches: AsyncIterator[Batch]) -> AsyncIterator[Sequence[Outcome]]:
        async for _ in batches:
            if self._ends:
                return
            raise ConnectionError("the cluster went away")
            yield ()


@pytest.mark.parametrize("ends,says", [(False, "went away"), (True, "ended its map")])
async def test_a_broken_backend_ends_every_execution(ends: bool, says: str) -> None:
    backend: Any = BrokenBackend(ends=ends)
    async with ax.Engine(backend) as engine:
        first = engine.start(ax.Plan.map(double, range(5)))
        second = engine.start(ax.Plan.map(double, range(5)))
        for execution in (first, second):
            with pytest.raises(BackendError, match=says):
                await execution
        with pytest.raises(BackendError, match=says):
            await engine.execute(ax.Plan.map(double, [1]))


def test_blocking_callers_need_no_loop() -> None:
    assert ax.sync.execute(ax.Plan.map(double, range(3)), executor="threads").value == [0, 2, 4]
    with ax.sync.SyncEngine("serial") as engine:
        assert engine.execute(ax.Plan.map(double, [1])).value == [2]
        with pytest.raises(TaskFailedError):
            engine.execute(ax.Plan.map(fail_at_three, [3]))


async def test_blocking_inside_a_loop_is_an_error_that_says_what_to_write() -> None:
    with pytest.raises(RunningLoopError, match=r"await ax\.execute"):
        ax.sync.execute(ax.Plan.map(double, [1]))
    with pytest.raises(RunningLoopError, match="async with"):
        ax.sync.SyncEngine("threads").__enter__()


async def test_pipelining_and_barriers_give_the_same_result() -> None:
    n = 40
    first = Stage(name="a", kernel=lambda index: index[0], shape=(n,))
    second = Stage(
        name="b", kernel=lambda index, x: x + 1, shape=(n,), inputs=(Read("a", identity((n,))),)
    )
    plan = ax.Plan((first, second))
    async with ax.Engine("threads") as engine:
        values = [(await engine.execute(plan, barriers=b)).value for b in (False, True)]
    assert values[0] == values[1] == list(range(1, n + 1))


@pytest.mark.parametrize("function", [double, lambda item: item * 2])
async def test_async_functions_are_awaited(function: Callable[[int], int]) -> None:
    async def later(item: int) -> int:
        await asyncio.sleep(0)
        return function(item)

    async with ax.Engine("threads") as engine:
        assert (await engine.execute(ax.Plan.map(later, range(4)))).value == [0, 2, 4, 6]


@pytest.mark.parametrize(
    "options, says",
    [
        ({"retrys": 3}, "did you mean 'retry'"),
        ({"observer": []}, "did you mean 'observers'"),
        ({"barriers": "yes"}, "barriers must be True or False"),
        ({"resume": 1}, "resume must be True or False"),
    ],
)
async def test_options_of_a_run_that_cannot_be_are_refused_before_it_starts(
    options: Any, says: str
) -> None:
    async with ax.Engine("serial") as engine:
        for run in (engine.execute, engine.start):
            with pytest.raises(OptionError, match=says):
                await run(ax.Plan.map(double, [1]), **options)
        with pytest.raises(OptionError, match=says):
            async for _ in engine.stream(ax.Plan.map(double, [1]), **options):
                pass
    with pytest.raises(OptionError, match=says):
        await asyncio.to_thread(
            ax.sync.execute, ax.Plan.map(double, [1]), executor="serial", **options
        )
