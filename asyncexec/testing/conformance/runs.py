"""Whole runs, through an engine: what users see must be the same on every backend."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest

from asyncexec.engine import Engine
from asyncexec.errors import PoisonTaskError, SerializationError, TaskFailedError, TaskTimeoutError
from asyncexec.events.missing import Failed
from asyncexec.plan import Plan
from asyncexec.plan.locality import Locality
from asyncexec.policies.retry import Retry
from asyncexec.testing import kernels, plan_functions
from asyncexec.testing.conformance.suite import Factory, Suite
from asyncexec.testing.kernels import Held, Stumbling

AT_ONCE = Retry(base_seconds=0.0)


class RunRules(Suite):
    """Results, retries, timeouts, errors and cancellation, whatever the work runs on."""

    many: ClassVar[int] = 10_000
    """Tasks of the largest run."""

    def engine(self, backend: Factory, **options: Any) -> Engine:
        """Return an engine on the backend, not yet entered; without backups, so that attempts can be counted."""
        return Engine(executor=backend(), straggler=False, **options)

    async def test_many_tasks_give_their_results_in_order(self, backend: Factory) -> None:
        """10,000 tasks, each run once."""
        async with self.engine(backend) as engine:
            result = await engine.execute(Plan.map(lambda x: x + 1, range(self.many)))
        assert result.value == list(range(1, self.many + 1))
        assert (result.tasks, result.attempts, result.failures) == (self.many, self.many, 0)

    async def test_stages_hand_values_on(self, backend: Factory) -> None:
        """From task to task, and from all tasks to one."""
        plan = Plan.map(lambda x: [x] * 10, range(50)).then(sum).reduce(sum)
        async with self.engine(backend) as engine:
            assert (await engine.execute(plan)).value == 10 * sum(range(50))

    async def test_two_runs_at_once_keep_apart(self, backend: Factory) -> None:
        """They share the backend, and each gets its own results."""
        async with self.engine(backend) as engine:
            first = engine.start(Plan.map(lambda x: ("first", x), range(300)))
            second = engine.start(Plan.map(lambda x: ("second", x), range(300)))
            assert (await first).value == [("first", x) for x in range(300)]
            assert (await second).value == [("second", x) for x in range(300)]

    async def test_a_failure_says_what_where_and_why(self, backend: Factory) -> None:
        """Plan, stage, task, attempt, worker, cause and the traceback from the worker."""

        def fails_on_seven(item: int) -> int:
            if item == 7:
                raise ZeroDivisionError(f"item {item}")
            return item

        async with self.engine(backend) as engine:
            plan = Plan.map(fails_on_seven, range(20), name="sevens")
            with pytest.raises(TaskFailedError) as caught:
                await engine.execute(
                    plan, retry=Retry(attempts=2, base_seconds=0.0, transient=(ZeroDivisionError,))
                )
        error = caught.value
        assert (error.plan, error.stage, error.index, error.attempt) == (
            "sevens",
            "sevens",
            (7,),
            2,
        )
        assert error.worker
        assert "in fails_on_seven" in error.remote_traceback
        assert "ZeroDivisionError: item 7" in error.remote_traceback
        for part in ("plan 'sevens'", "stage 'sevens'", "task (7,)", "attempt 2", error.worker):
            assert part in str(error)
        assert "ZeroDivisionError: item 7" in str(error)
        assert error.exception_type == "builtins.ZeroDivisionError"
        assert error.exception_message == "item 7"
        assert repr(error.__cause__) == "ZeroDivisionError('item 7')"

    async def test_a_failure_that_is_kept_holds_its_place(self, backend: Factory) -> None:
        """In results, and for the tasks that read it: passed on from task to task, and among the items of a list."""

        def fails_on_odd(item: int) -> int:
            if item % 2:
                raise ZeroDivisionError(f"item {item}")
            return item

        def places(values: list[Any]) -> list[Any]:
            return [value.error.index if isinstance(value, Failed) else value for value in values]

        each = Plan.map(fails_on_odd, range(6), name="even", on_failure="keep").then(float)
        async with self.engine(backend) as engine:
            listed = await engine.execute(each, retry=False)
            reduced = await engine.execute(each.reduce(places), retry=False)
        assert places(listed.value) == reduced.value == [0.0, (1,), 2.0, (3,), 4.0, (5,)]
        assert (reduced.failed_tasks, reduced.skipped_tasks, reduced.attempts) == (3, 3, 10)
        assert all(str(value.error).count("ZeroDivisionError") for value in listed.value[1::2])

    async def test_a_run_goes_on_after_a_failure(self, backend: Factory, files: Path) -> None:
        """A task that stumbles is tried again, and counted."""
        stumbling = Stumbling(directory=files, deed=kernels.lose_connection, only=(3, 11))
        async with self.engine(backend) as engine:
            result = await engine.execute(Plan.map(stumbling, range(20)), retry=AT_ONCE)
        assert result.value == list(range(20))
        assert (result.retries, result.failures) == (2, 2)

    async def test_a_run_goes_on_after_a_death(self, backend: Factory, files: Path) -> None:
        """A worker that dies is replaced, and only its attempt counts as failed."""
        stumbling = Stumbling(directory=files, deed=kernels.exit_process, only=(4,))
        async with self.engine(backend) as engine:
            self.need(engine.backend.capabilities.isolated, "workers share the driver's process")
            result = await engine.execute(Plan.map(stumbling, range(40)), retry=AT_ONCE)
        assert result.value == list(range(40))
        assert result.failures >= 1

    async def test_a_task_that_kills_every_worker_ends_the_run(
        self, backend: Factory, files: Path
    ) -> None:
        """After the second death it is known to be poison."""
        poison = Stumbling(directory=files, deed=kernels.exit_process, only=(0,), always=True)
        async with self.engine(backend) as engine:
            self.need(engine.backend.capabilities.isolated, "workers share the driver's process")
            with pytest.raises(PoisonTaskError) as caught:
                await engine.execute(Plan.map(poison, [0], name="poison"), retry=AT_ONCE)
        assert (caught.value.plan, caught.value.index) == ("poison", (0,))
        assert caught.value.attempt <= 3

    async def test_a_task_over_its_time_is_stopped(self, backend: Factory, files: Path) -> None:
        """The timeout runs from the start on a worker, and the error says so."""
        held = Held(directory=files)
        async with self.engine(backend) as engine:
            plan = Plan.map(partial(plan_functions.hold, held), [0], name="long")
            with pytest.raises(TaskTimeoutError) as caught:
                await engine.execute(plan, timeout=0.2, retry=False)
            if engine.backend.capabilities.kills:
                await self.quiet(held, 0)
            held.release()
            assert (await engine.execute(Plan.map(abs, range(-5, 0)))).value == [5, 4, 3, 2, 1]
        assert (caught.value.plan, caught.value.index) == ("long", (0,))

    @pytest.mark.parametrize("how", ["cancel", "timeout", "leave"])
    async def test_a_run_that_is_cancelled_stops(
        self, backend: Factory, files: Path, how: str
    ) -> None:
        """Running attempts are stopped or given up, waiting ones never start, and the engine is free."""
        held, tasks = Held(directory=files), 50
        async with self.engine(backend) as engine:
            can, slots = engine.backend.capabilities, engine.backend.slots
            execution = engine.start(Plan.map(partial(plan_functions.hold, held), range(tasks)))
            await self.until(lambda: _began(held, tasks) >= 1, "the first task")
            if how == "cancel":
                execution.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await execution
            elif how == "timeout":
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(execution, 0.05)
            if how != "leave":
                assert execution.done
                if not can.kills:
                    held.release()
                assert (await engine.execute(Plan.map(abs, range(-5, 0)))).value == [5, 4, 3, 2, 1]
        assert execution.done
        with suppress(asyncio.CancelledError):
            await execution
        began = _began(held, tasks)
        assert 1 <= began <= slots
        if can.kills:
            for task in range(tasks):
                if held.began(task):
                    await self.quiet(held, task)
        held.release()
        assert _began(held, tasks) == began

    async def test_a_function_that_cannot_travel_is_refused(self, backend: Factory) -> None:
        """Before anything runs, with the reason."""
        generator = (x for x in [1, 2, 3])
        async with self.engine(backend) as engine:
            locality = engine.backend.capabilities.locality
            self.need(
                locality is not Locality.SAME_PROCESS, "nothing is pickled in the same process"
            )
            with pytest.raises(SerializationError, match="generator"):
                await engine.execute(Plan.map(lambda x: next(generator, x), range(3), name="stuck"))


def _began(held: Held, tasks: int) -> int:
    return sum(map(held.began, range(tasks)))
