"""Starts, order and parallelism."""

from __future__ import annotations

import time
from pathlib import Path

from asyncexec.events.outcome import Status
from asyncexec.testing.conformance.suite import Factory, Suite
from asyncexec.testing.kernels import Held, Meeting


class StartRules(Suite):
    """Running attempts are known while they run."""

    async def test_the_start_of_a_long_task_is_reported(
        self, backend: Factory, files: Path
    ) -> None:
        """While it runs; and its outcome has the same worker's figures."""
        held = Held(directory=files)
        async with self.driven(backend) as driven:
            (attempt,) = driven.send(driven.program(held), [0])
            started = await driven.started(attempt)
            assert started.worker
            assert attempt not in driven.outcomes
            held.release()
            assert (await driven.outcome(attempt)).status is Status.SUCCEEDED

    async def test_a_batch_tells_how_far_it_is(self, backend: Factory, files: Path) -> None:
        """Short tasks before a long one are reported while the long one runs, and so is its start."""
        held = Held(directory=files, only=(2,))
        async with self.driven(backend) as driven:
            can = driven.backend.capabilities
            self.need(can.batch_limit >= 4, "batches hold fewer than 4 attempts")
            self.need(can.tells_progress, "it tells of a batch when it has ended")
            first, second, long, last = driven.send(driven.program(held), [0, 1, 2, 3])
            await driven.started(long)
            assert (await driven.outcome(first)).status is Status.SUCCEEDED
            assert (await driven.outcome(second)).status is Status.SUCCEEDED
            assert not held.began(3)
            assert driven.outcomes.keys() == {first, second}
            held.release()
            assert (await driven.outcome(last)).status is Status.SUCCEEDED

    async def test_a_batch_runs_in_order_on_one_worker(self, backend: Factory) -> None:
        """One after another, whatever else is free."""
        async with self.driven(backend) as driven:
            size = min(driven.backend.capabilities.batch_limit, 20)
            attempts = driven.send(driven.program(lambda index: time.sleep(0.001)), range(size))
            outcomes = await driven.outcomes_of(attempts)
        assert len({o.worker for o in outcomes}) == 1
        # Starts are wall-clock times: allow for a clock that is set while the test runs.
        starts = [o.started_at for o in outcomes]
        assert starts == sorted(starts)

    async def test_slots_run_at_the_same_time(self, backend: Factory, files: Path) -> None:
        """As many batches as there are slots meet while they run."""
        async with self.driven(backend) as driven:
            slots = min(driven.backend.slots, 8)
            meeting = driven.program(Meeting(directory=files, tasks=slots))
            attempts = [driven.send(meeting, [task])[0] for task in range(slots)]
            for outcome in await driven.outcomes_of(attempts):
                assert outcome.status is Status.SUCCEEDED
