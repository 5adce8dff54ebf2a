"""Things that tasks know of their run, and say; the initializer of workers."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from asyncexec.engine import Engine
from asyncexec.errors import WorkerInitializerError
from asyncexec.events.records import AnyEvent, AttemptEnded, TaskLogged, TaskProgressed
from asyncexec.plan import Plan
from asyncexec.testing import plan_functions
from asyncexec.testing.conformance.suite import Factory, Suite


class SayingRules(Suite):
    """The run context, notes and the initializer are the same everywhere."""

    async def test_a_task_knows_its_run(self, backend: Factory) -> None:
        """Its run, stage and index, and what was attached to the plan."""
        stages = (
            Plan.map(plan_functions.look, "ab", name="look")
            .then(plan_functions.look_again, name="again")
            .stages
        )
        plan = Plan(stages, "looks", context={"input": {"city": "Utrecht"}, "namespace": "weather"})
        async with Engine(executor=backend(), straggler=False) as engine:
            execution = engine.start(plan)
            result = await execution
        identity = execution.run_identity
        run = (identity.id, identity.name, "looks", {"city": "Utrecht"}, "weather")
        assert result.value == [[("look", t, 1, run), ("again", t, 1, run)] for t in range(2)]

    async def test_progress_is_reported_before_the_end_of_its_task(self, backend: Factory) -> None:
        """In its order, and with the task."""
        events: list[AnyEvent] = []
        async with Engine(executor=backend(), straggler=False) as engine:
            await engine.execute(
                Plan.map(plan_functions.progress, range(3)), observers=[events.append]
            )
        for task in range(3):
            mine = [
                event
                for event in events
                if isinstance(event, TaskProgressed | AttemptEnded) and event.attempt.task == task
            ]
            told = [(e.fraction, e.words) for e in mine if isinstance(e, TaskProgressed)]
            assert told == [(0.5, "half way"), (1.0, "")]
            assert isinstance(mine[-1], AttemptEnded)

    async def test_log_records_reach_the_driver(
        self, backend: Factory, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Formatted on the worker, with plan, stage, task and worker."""
        events: list[AnyEvent] = []
        async with Engine(executor=backend(), straggler=False) as engine:
            await engine.execute(
                Plan.map(plan_functions.log, [7], name="logs"), observers=[events.append]
            )
        (record,) = [r for r in caplog.records if r.name == "asyncexec.tasks"]
        task: Any = record
        assert (task.plan, task.stage, task.task, task.attempt) == ("logs", "logs", 0, 1)
        assert record.getMessage() == f"logs/logs[0] on {task.worker}: item 7 of <unlocked>"
        # Some systems run workers in the driver's process, though nothing depends on that.
        near = task.processName != task.worker
        assert sum(isinstance(event, TaskLogged) for event in events) == (0 if near else 1)

    async def test_a_worker_is_initialized_before_its_first_task(
        self, backend: Factory, files: Path
    ) -> None:
        """Once for all runs, in every process, or in every thread of this one."""
        prepare = partial(plan_functions.prepare, files / "calls")
        async with Engine(executor=backend(), straggler=False, initializer=prepare) as engine:
            for _ in range(2):
                result = await engine.execute(
                    Plan.map(partial(plan_functions.was_prepared, files / "calls"), range(8))
                )
                assert all(result.value)

    async def test_an_initializer_that_fails_ends_the_run(self, backend: Factory) -> None:
        """At once; and a run without it goes on there."""
        async with Engine(executor=backend(), straggler=False) as engine:
            with pytest.raises(WorkerInitializerError, match="no licence") as caught:
                await engine.execute(Plan.map(abs, range(4)), initializer=plan_functions.fail)
            assert (caught.value.stage, caught.value.attempt) == ("abs", 1)
            assert (await engine.execute(Plan.map(abs, [-1]))).value == [1]
