"""Tasks whose arrays are in stores elsewhere: loaded and saved while others of their slot compute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncexec.backends.contract import Capabilities
from asyncexec.engine import Engine
from asyncexec.events.outcome import Outcome, Status
from asyncexec.plan.locality import Locality
from asyncexec.policies.retry import Retry
from asyncexec.testing import plan_functions
from asyncexec.testing.conformance.sameness import AT_ONCE, array_job, stored_files
from asyncexec.testing.conformance.suite import Factory, Suite
from asyncexec.testing.driving import Driven
from asyncexec.testing.faults import Die, Fail, Faults, Hang, Moment, Slow
from asyncexec.testing.injection import inject
from asyncexec.testing.kernels import FarFiles, Held
from asyncexec.testing.patience import scaled

REQUESTS = 6


class OverlapRules(Suite):
    """Many tasks of a slot load and save at once, and one computes; each is still a task of its own."""

    async def test_tasks_are_loaded_while_another_computes(
        self, backend: Factory, files: Path
    ) -> None:
        """A slot runs one kernel at a time."""
        held, io = Held(directory=files), FarFiles(directory=files)
        self._need_overlap(backend)
        async with self.driven(backend) as driven:
            kernels = self._kernels(driven)
            program = driven.program(held, io=io, concurrency=8, overlaps=True)
            batch = driven.send(program, range(4 * kernels))
            tasks = range(len(batch))
            await self.until(lambda: any(map(held.began, tasks)), "a kernel that runs")
            await self.until(
                lambda: any(io.asked(t).exists() and not held.began(t) for t in tasks),
                "a load beside it",
            )
            await anyio.sleep(0.05)  # In which more would start, if more could.
            assert sum(map(held.began, tasks)) <= kernels
            held.release()
            for outcome in await driven.outcomes_of(batch):
                assert (outcome.status, outcome.written_bytes) == (Status.SUCCEEDED, 16)
            await driven.finish()

    async def test_one_of_many_that_load_is_cancelled(self, backend: Factory, files: Path) -> None:
        """The others go on, or are lost without a charge where only the end of their worker stops it."""
        io = FarFiles(directory=files)
        io.away.touch()
        self._need_overlap(backend)
        async with self.driven(backend) as driven:
            program = driven.program(plan_functions.nothing, io=io, concurrency=8, overlaps=True)
            batch = driven.send(program, range(2))
            await self.until(lambda: io.asked(0).exists() and io.asked(1).exists(), "two loads")
            driven.cancel(batch[:1])
            assert (await driven.outcome(batch[0])).status is Status.CANCELLED
            io.away.unlink()
            other = await driven.outcome(batch[1])
            assert _succeeded_or_is_not_charged(other)
            if other.status is not Status.SUCCEEDED:
                again = driven.send(program, [1])
                assert (await driven.outcome(again[0])).status is Status.SUCCEEDED
            await driven.finish()
        self._did_not_save(driven, io)

    async def test_one_that_computes_is_cancelled(self, backend: Factory, files: Path) -> None:
        """It does not save; others of its slot go on, or are lost without a charge, and go elsewhere."""
        held, io = Held(directory=files, only=(0,)), FarFiles(directory=files)
        self._need_overlap(backend)
        async with self.driven(backend) as driven:
            program = driven.program(held, io=io, concurrency=8, overlaps=True)
            batch = driven.send(program, range(3))
            await self.until(lambda: held.traced(0) > 0, "the first task's trace")
            driven.cancel(batch[:1])
            assert (await driven.outcome(batch[0])).status is Status.CANCELLED
            for outcome in await driven.outcomes_of(batch[1:]):
                assert _succeeded_or_is_not_charged(outcome)
            again = driven.send(program, [3])
            assert (await driven.outcome(again[0])).status is Status.SUCCEEDED
            held.release()
            await driven.finish()
        self._did_not_save(driven, io)

    @pytest.mark.slow  # A timeout has to pass, and a worker to be killed.
    @pytest.mark.parametrize("moment", [Moment.LOAD, Moment.SAVE])
    async def test_one_that_hangs_in_a_store_is_stopped_by_its_timeout(
        self, backend: Factory, files: Path, moment: Moment
    ) -> None:
        """It is tried again, and others are not charged, but for the first of a batch that reports nothing."""
        can = self._need_overlap(backend)
        self.need(can.kills or moment is Moment.LOAD, "what saves is waited for")
        (files / "faults").mkdir()
        job = array_job(files, "ours")
        chosen: dict[Any, Any] = {(job.stages[0].name, (0, 3)): [Hang(moment=moment), None]}
        faults = Faults(folder=files / "faults", chosen=chosen)
        async with Engine(executor=backend(), straggler=False) as engine:
            plan = inject(job, faults, requests=REQUESTS)
            retry = Retry(attempts=2, base_seconds=0)
            result = await engine.execute(plan, timeout=scaled(0.5), retry=retry)
            # Of a batch that tells nothing, the first task is taken for the one that hangs; the rest is tried alone.
            assert result.failures == 1 or (not can.tells_progress and result.failures == 2)
            faults.release()

    async def test_chunks_are_those_of_serial_whatever_happens(
        self, backend: Factory, files: Path
    ) -> None:
        """Attempts fail, are slow, or (on isolated workers) take a worker with them."""
        can = self._need_overlap(backend)
        rates: list[tuple[float, Any]] = [
            (0.05, Fail()),
            (0.05, Fail(moment=Moment.SAVE)),
            (0.05, Fail(moment=Moment.LOAD)),
            (0.1, Slow(seconds=0.02)),
        ]
        (files / "faults").mkdir()
        chosen: dict[Any, Any] = {}
        if can.isolated and can.loss_seconds is not None and can.loss_seconds < self.patience:
            chosen = {(array_job(files, "ours").stages[0].name, (0, 2)): [Die()]}
        faults = Faults(folder=files / "faults", chosen=chosen, rates=rates, seed=3)
        async with Engine(executor=backend(), straggler=False) as engine:
            plan = inject(array_job(files, "ours"), faults, requests=REQUESTS)
            await engine.execute(plan, retry=AT_ONCE)
        async with Engine("serial") as serial:
            await serial.execute(array_job(files, "theirs"))
        for part in range(4):
            assert stored_files(files, "ours", part) == stored_files(files, "theirs", part)

    def _need_overlap(self, backend: Factory) -> Capabilities:
        """Return the capabilities of a backend that overlaps; one that does not need not be opened for that."""
        can = backend().capabilities
        self.need(can.overlaps, "a slot runs one task after another")
        return can

    @staticmethod
    def _did_not_save(driven: Driven, io: FarFiles) -> None:
        """Check that the first task, which was cancelled, has not saved where its executor can prevent that."""
        can = driven.backend.capabilities
        if can.kills or can.locality is Locality.SAME_PROCESS:
            assert not io.saved(0).exists()

    @staticmethod
    def _kernels(driven: Driven) -> int:
        """Return how many kernels the backend runs at once, as far as it says."""
        return int(driven.backend.capabilities.resources.get("cpus", driven.backend.slots))


def _succeeded_or_is_not_charged(outcome: Outcome) -> bool:
    return outcome.status is Status.SUCCEEDED or not outcome.started
