"""Demands of users on workers: environment variables, named resources, memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from asyncexec.backends.contract import Backend
from asyncexec.engine import Engine
from asyncexec.errors import MemoryBudgetError, OptionError, ResourceError, TaskError
from asyncexec.plan import Plan
from asyncexec.testing import plan_functions
from asyncexec.testing.conformance.suite import Factory, Suite

type Configured = Callable[..., Backend]


class DemandRules(Suite):
    """An option does what it says, or is refused by name; what nobody has is an error before the run."""

    @pytest.fixture
    def configured(self) -> Configured:
        """Return a factory of backends that takes options; a suite that has ``options`` overrides it."""

        def refuse(**_options: object) -> Backend:
            pytest.skip("the suite has no fixture `configured`")

        return refuse

    async def test_env_vars_reach_the_tasks(self, configured: Configured) -> None:
        """And not the driver's own environment."""
        self.need("env_vars" in self.options, "it takes no env_vars")
        name = "ASYNCEXEC_CONFORMANCE"
        async with Engine(executor=configured(env_vars={name: "yes"})) as engine:
            result = await engine.execute(Plan.map(plan_functions.environ, [name] * 4))
        assert result.value == ["yes"] * 4
        assert name not in os.environ

    async def test_a_resource_that_nobody_has_is_an_error_at_once(self, backend: Factory) -> None:
        """Instead of a plan that waits for ever."""
        plan = Plan.map(abs, [1], name="wants", resources={"hamster_wheel": 1})
        async with Engine(executor=backend()) as engine:
            with pytest.raises(ResourceError, match="hamster_wheel"):
                await engine.execute(plan)
            assert (await engine.execute(Plan.map(abs, [-1]))).value == [1]

    async def test_a_resource_that_is_there_can_be_asked_for(self, configured: Configured) -> None:
        """And more of it than there is, cannot."""
        self.need("resources" in self.options, "it takes no resources")
        async with Engine(executor=configured(resources={"hamster_wheel": 2})) as engine:
            plan = Plan.map(abs, range(-8, 0), resources={"hamster_wheel": 1})
            assert (await engine.execute(plan)).value == list(range(8, 0, -1))
            with pytest.raises(ResourceError, match="hamster_wheel"):
                await engine.execute(Plan.map(abs, [1], resources={"hamster_wheel": 1000}))

    async def test_an_unknown_option_is_refused_by_name(self, configured: Configured) -> None:
        """With those it takes."""
        self.need(self.options, "it takes no options")
        made = type(configured())
        with pytest.raises(OptionError, match="no option 'hamster_wheels'"):
            Engine(executor=made, executor_options={"hamster_wheels": 1})

    async def test_a_task_that_may_use_more_than_a_worker_has_is_refused(
        self, backend: Factory
    ) -> None:
        """Before the run, where the memory of workers is known."""
        async with Engine(executor=backend(), memory="1000TB") as engine:
            known = engine.backend.capabilities.worker_bytes
            self.need(known is not None, "the memory of its workers is not known")
            plan = Plan.map(abs, [1], memory=(known or 0) + 1)
            with pytest.raises(MemoryBudgetError, match="worker"):
                await engine.execute(plan)

    async def test_a_task_over_its_memory_is_stopped_and_no_other(
        self, backend: Factory, files: Path
    ) -> None:
        """On a system that guards memory; the error names the task, and the backend goes on."""
        hungry = plan_functions.Hungry(bytes_=0)
        async with Engine(executor=backend(), straggler=False) as engine:
            can = engine.backend.capabilities
            self.need(can.guarantees_memory and can.worker_bytes, "it does not guard memory")
            hungry = plan_functions.Hungry(bytes_=2 * (can.worker_bytes or 0))
            with pytest.raises(TaskError) as caught:
                await engine.execute(Plan.map(hungry, [0], name="hungry"), retry=False)
            assert (caught.value.plan, caught.value.index) == ("hungry", (0,))
            assert (await engine.execute(Plan.map(abs, [-1]))).value == [1]
