"""Workers that die, and backends that are left."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import anyio
import pytest

from asyncexec.errors import UsageError
from asyncexec.events.outcome import Status
from asyncexec.plan.locality import Locality
from asyncexec.testing import kernels
from asyncexec.testing.conformance.suite import Factory, Suite
from asyncexec.testing.kernels import Files, Held
from asyncexec.worker.attempt import decode


class EndRules(Suite):
    """A dead worker costs its own attempt; a left context leaves nothing behind."""

    @pytest.mark.parametrize("death", ["exit", "kill"])
    async def test_a_worker_that_dies_loses_its_attempt(self, backend: Factory, death: str) -> None:
        """The attempt is lost and counts as started; those after it in its batch do not; others run on."""

        def kill_yourself(_index: object) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        async with self.driven(backend) as driven:
            self.need(driven.backend.capabilities.isolated, "workers share the driver's process")
            lethal = driven.program(kernels.die if death == "exit" else kill_yourself)
            batch = driven.send(
                lethal, list(range(min(3, driven.backend.capabilities.batch_limit)))
            )
            first, *rest = await driven.outcomes_of(batch)
            assert first.status is Status.LOST
            assert first.started
            assert first.worker or not driven.backend.capabilities.tells_progress
            for outcome in rest:
                assert outcome.status is Status.LOST
                # Which of a batch it was may not be known.
                assert not outcome.started or not driven.backend.capabilities.tells_progress
            again = [driven.send(driven.program(kernels.echo), [task])[0] for task in range(4)]
            for outcome in await driven.outcomes_of(again):
                assert outcome.status is Status.SUCCEEDED
            await driven.finish()

    async def test_each_death_has_a_worker_of_its_own(self, backend: Factory) -> None:
        """A task that kills two workers is known to have killed two."""
        async with self.driven(backend) as driven:
            self.need(driven.backend.capabilities.isolated, "workers share the driver's process")
            workers: set[str] = set()
            for task in range(2):
                (attempt,) = driven.send(driven.program(kernels.die), [task])
                outcome = await driven.outcome(attempt)
                assert outcome.status is Status.LOST
                workers.add(outcome.worker)
            assert len(workers) == 2

    async def test_leaving_ends_what_it_started(self, backend: Factory, files: Path) -> None:
        """Running, queued or idle: nothing goes on, nothing starts, and its threads and processes are gone."""
        held, io = Held(directory=files), Files(directory=files)
        before = self.threads()
        async with self.driven(backend) as driven:
            can, slots = driven.backend.capabilities, driven.backend.slots
            probes = [
                driven.send(driven.program(kernels.process), [t])[0] for t in range(2 * slots)
            ]
            pids = {decode(outcome.value) for outcome in await driven.outcomes_of(probes)}
            program = driven.program(held, io=io)
            busy = [driven.send(program, [task])[0] for task in range(slots)]
            for attempt in busy:
                await driven.started(attempt)
            for extra in range(5):
                driven.send(program, [slots + extra])
        if not can.kills:
            held.release()
        await self.until_threads_end(before)
        if can.locality.on_this_host and can.isolated and self.owns_workers:
            await self.until(lambda: not any(map(_alive, pids)), "the end of its processes")
        assert not any(held.began(slots + extra) for extra in range(5))
        if can.kills or can.locality is Locality.SAME_PROCESS:
            assert not any(io.saved(task).exists() for task in range(slots + 5))
        if can.kills:
            for task in range(slots):
                await self.quiet(held, task)

    async def test_what_is_open_is_not_opened_again(self, backend: Factory) -> None:
        """A backend that two would use at once refuses the second; the first goes on, and it can be entered later."""
        async with self.driven(backend) as driven:
            with pytest.raises(UsageError, match="open already"):
                await driven.backend.__aenter__()
            [attempt] = driven.send(driven.program(kernels.echo), [1])
            assert (await driven.outcome(attempt)).status is Status.SUCCEEDED
            await driven.finish()

    async def test_leaving_on_a_cancellation_ends_it_too(
        self, backend: Factory, files: Path
    ) -> None:
        """The cancellation goes through, and its threads are gone."""
        held = Held(directory=files)
        before = self.threads()
        with anyio.CancelScope() as scope:
            async with self.driven(backend) as driven:
                (attempt,) = driven.send(driven.program(held), [0])
                await driven.started(attempt)
                scope.cancel()
                await anyio.sleep_forever()
        assert scope.cancelled_caught
        held.release()
        await self.until_threads_end(before)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
