"""Coroutine tasks: many at once in a slot, on one loop of their worker, of which single ones can be stopped."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from pathlib import Path

import anyio
import pytest

from asyncexec.engine import Engine
from asyncexec.errors import TaskTimeoutError
from asyncexec.events.outcome import Status
from asyncexec.plan import Plan
from asyncexec.plan.locality import Locality
from asyncexec.policies.retry import Retry
from asyncexec.testing import plan_functions
from asyncexec.testing.conformance.suite import Factory, Suite
from asyncexec.testing.kernels import Held, HeldAwaiting
from asyncexec.testing.patience import scaled
from asyncexec.worker.attempt import decode


class CoroutineRules(Suite):
    """Tasks of a program with ``concurrency`` run at once, and each is still a task of its own."""

    async def test_coroutines_of_one_batch_run_at_once_on_one_loop(
        self, backend: Factory, files: Path
    ) -> None:
        """As many as the program says, and no more; a loop is a worker's, whichever batch comes."""
        self.need(self.runs_at_once, "it runs them one after another")
        held = Held(directory=files)
        kernel = HeldAwaiting(held=held)
        async with self.driven(backend) as driven:
            size = min(driven.backend.capabilities.batch_limit, 8)
            self.need(size >= 4, "batches hold fewer than 4 attempts")
            program = driven.program(kernel, concurrency=3)
            batch = driven.send(program, range(size))
            await self.until(lambda: sum(map(held.began, range(size))) >= 3, "three tasks at once")
            await anyio.sleep(0.05)  # In which more would start, if more could.
            assert sum(map(held.began, range(size))) <= 3 * driven.backend.slots
            held.release()
            ran = [decode(o.value) for o in await driven.outcomes_of(batch)]
            again = driven.send(driven.program(kernel), [size])
            ran += [decode(o.value) for o in await driven.outcomes_of(again)]
            await driven.finish()
        assert len({*ran}) == len({process for process, _ in ran})

    async def test_one_coroutine_of_many_is_cancelled(self, backend: Factory, files: Path) -> None:
        """The others go on, and each has its own outcome."""
        self.need(self.runs_at_once, "it runs them one after another")
        held = Held(directory=files)
        async with self.driven(backend) as driven:
            size = min(driven.backend.capabilities.batch_limit, 4)
            self.need(size >= 4, "batches hold fewer than 4 attempts")
            program = driven.program(HeldAwaiting(held=held), concurrency=3)
            first, second, third, waiting = driven.send(program, range(size))
            await self.until(lambda: held.traced(1) > 0, "the second task's trace")
            driven.cancel([second])
            assert (await driven.outcome(second)).status is Status.CANCELLED
            held.release()
            for attempt in (first, third, waiting):
                assert (await driven.outcome(attempt)).status is Status.SUCCEEDED
            await driven.finish()

    async def test_a_timeout_stops_one_coroutine_of_many(
        self, backend: Factory, files: Path
    ) -> None:
        """It is tried again, and the others are not."""
        held = Held(directory=files)
        async with Engine(executor=backend(), straggler=False) as engine:
            plan = Plan.map(partial(plan_functions.hang_once, held), range(6), concurrency=6)
            retry = Retry(base_seconds=0.0)
            # Time enough for a worker that has to be started anew, where workers are.
            here = engine.backend.capabilities.locality is Locality.SAME_PROCESS
            timeout = scaled(0.5 if here else 2.0)
            result = await engine.execute(plan, timeout=timeout, retry=retry)
        assert result.value == list(range(6))
        assert result.attempts >= 7

    async def test_a_run_of_coroutines_that_is_cancelled_stops(
        self, backend: Factory, files: Path
    ) -> None:
        """Their effects on the world end with it, on a backend that kills or in this process."""
        held = Held(directory=files)
        async with Engine(executor=backend(), straggler=False) as engine:
            can = engine.backend.capabilities
            plan = Plan.map(partial(plan_functions.trace, held), range(3), concurrency=3)
            execution = engine.start(plan)
            await self.until(lambda: held.traced(0) > 0, "the first task's trace")
            execution.cancel()
            with suppress(asyncio.CancelledError):
                await execution
            if can.kills or can.locality is Locality.SAME_PROCESS:
                for task in range(3):
                    await self.quiet(held, task)
            held.release()
            assert (await engine.execute(Plan.map(plan_functions.pass_on, [1]))).value == [1]

    async def test_a_coroutine_that_never_ends_fails_the_plan_by_its_timeout(
        self, backend: Factory, files: Path
    ) -> None:
        """With the error of any task."""
        held = Held(directory=files)
        async with Engine(executor=backend(), straggler=False) as engine:
            plan = Plan.map(partial(plan_functions.trace, held), range(3), concurrency=3)
            with pytest.raises(TaskTimeoutError):
                await engine.execute(plan, timeout=1.0, retry=False)
            held.release()
