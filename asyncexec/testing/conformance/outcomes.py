"""Capabilities that a backend declares, and its reports about attempts."""

from __future__ import annotations

import time

import pytest

from asyncexec.backends.contract import Backend
from asyncexec.events.outcome import Status
from asyncexec.plan.locality import Locality
from asyncexec.testing import kernels
from asyncexec.testing.conformance.suite import Factory, Suite
from asyncexec.worker.attempt import decode


class OutcomeRules(Suite):
    """The end of an attempt is data, complete and the same everywhere."""

    async def test_it_is_a_backend_that_knows_itself(self, backend: Factory) -> None:
        """Capabilities and slots can be read before and inside the context."""
        made = backend()
        assert isinstance(made, Backend)
        assert made.capabilities.name
        assert made.capabilities.batch_limit >= 1
        async with made:
            assert made.slots >= 1

    async def test_a_context_without_work_comes_and_goes(self, backend: Factory) -> None:
        """It ends when nothing was ever mapped, and leaves no thread."""
        before = self.threads()
        async with backend():
            pass
        await self.until_threads_end(before)

    async def test_the_map_ends_after_its_input(self, backend: Factory) -> None:
        """Without input it ends at once."""
        async with self.driven(backend) as driven:
            await driven.finish()
            assert driven.outcomes == {}

    async def test_every_attempt_has_one_outcome(self, backend: Factory) -> None:
        """Of 500 attempts in batches, each is reported once, and then the map ends."""
        async with self.driven(backend) as driven:
            attempts = driven.send_all(driven.program(kernels.echo), range(500))
            await driven.finish()
            outcomes = [driven.outcomes[attempt] for attempt in attempts]
        assert {o.status for o in outcomes} == {Status.SUCCEEDED}
        assert [decode(o.value) for o in outcomes] == [((task,),) for task in range(500)]

    async def test_a_task_gets_its_index_in_the_shape_of_its_stage(self, backend: Factory) -> None:
        """The flat index is unravelled, row-major; a stage of shape () has one task."""
        async with self.driven(backend) as driven:
            (in_plane,) = driven.send(driven.program(kernels.echo, shape=(3, 4)), [7])
            (alone,) = driven.send(driven.program(kernels.echo, shape=()), [0])
            assert decode((await driven.outcome(in_plane)).value) == ((1, 3),)
            assert decode((await driven.outcome(alone)).value) == ((),)

    async def test_figures_come_from_the_worker(self, backend: Factory) -> None:
        """An outcome names its worker, when it started there, how long it ran and what it held."""
        before = time.time()
        async with self.driven(backend) as driven:
            # Long enough to be worth a measurement.
            (attempt,) = driven.send(driven.program(lambda index: time.sleep(0.02)), [0])
            outcome = await driven.outcome(attempt)
        assert outcome.worker
        assert outcome.started
        # A worker elsewhere has a clock of its own.
        assert abs(outcome.started_at - before) < 60 + self.patience
        assert 0.02 <= outcome.seconds < self.patience
        measured = driven.backend.capabilities.measures_memory
        assert (outcome.peak_bytes > 0) == measured

    async def test_a_task_that_raises_is_an_outcome(self, backend: Factory) -> None:
        """Type, bases, message and traceback arrive as text, and the worker goes on."""
        async with self.driven(backend) as driven:
            (bad,) = driven.send(driven.program(kernels.refuse), [5])
            (good,) = driven.send(driven.program(kernels.echo), [6])
            outcome = await driven.outcome(bad)
            assert (await driven.outcome(good)).status is Status.SUCCEEDED
        assert outcome.status is Status.FAILED
        assert outcome.started
        assert outcome.error is not None
        assert outcome.error.type == "asyncexec.testing.kernels.RefusedError"
        assert outcome.error.bases == (
            "builtins.ValueError",
            "builtins.Exception",
            "builtins.BaseException",
        )
        assert outcome.error.message == "(5,) refused: no"
        assert "in refuse" in outcome.error.traceback
        assert "RefusedError: (5,) refused: no" in outcome.error.traceback
        same_process = driven.backend.capabilities.locality is Locality.SAME_PROCESS
        assert (outcome.error.exception is not None) == same_process

    @pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
    async def test_a_task_that_exits_has_failed(
        self, backend: Factory, kind: type[BaseException]
    ) -> None:
        """An error that would end a script does not end the worker."""

        def leave(_index: object) -> None:
            raise kind("bye")

        async with self.driven(backend) as driven:
            (bad,) = driven.send(driven.program(leave), [0])
            (good,) = driven.send(driven.program(kernels.echo), [1])
            outcome = await driven.outcome(bad)
            assert (await driven.outcome(good)).status is Status.SUCCEEDED
        assert outcome.status is Status.FAILED
        assert outcome.error is not None
        assert outcome.error.type == f"builtins.{kind.__name__}"

    async def test_a_coroutine_function_is_awaited(self, backend: Factory) -> None:
        """An async kernel is a kernel."""
        async with self.driven(backend) as driven:
            (attempt,) = driven.send(driven.program(kernels.echo_later), [3])
            assert decode((await driven.outcome(attempt)).value) == (3,)
