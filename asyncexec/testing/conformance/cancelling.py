"""Cancelling what waits, what runs and what has just ended."""

from __future__ import annotations

from pathlib import Path

import anyio

from asyncexec.events.outcome import Status
from asyncexec.plan.locality import Locality
from asyncexec.testing import kernels
from asyncexec.testing.conformance.suite import Factory, Suite
from asyncexec.testing.kernels import Files, Held


class CancelRules(Suite):
    """A cancelled attempt ends at once, and does not save."""

    async def test_what_waits_is_cancelled_before_it_starts(
        self, backend: Factory, files: Path
    ) -> None:
        """At once, while everything is busy; and it never runs."""
        held = Held(directory=files)
        async with self.driven(backend) as driven:
            program, slots = driven.program(held), driven.backend.slots
            busy = [driven.send(program, [task])[0] for task in range(slots)]
            for attempt in busy:
                await driven.started(attempt)
            waiting = [driven.send(program, [slots + extra])[0] for extra in range(3)]
            await anyio.sleep(0.05)  # On their way, or not: both must do.
            driven.cancel(waiting[:2])
            for outcome in await driven.outcomes_of(waiting[:2]):
                assert outcome.status is Status.CANCELLED
                assert not outcome.started
            assert not driven.outcomes.keys() & set(busy)
            held.release()
            assert (await driven.outcome(waiting[2])).status is Status.SUCCEEDED
            await driven.finish()
        assert not held.began(slots)
        assert not held.began(slots + 1)
        assert held.began(slots + 2)

    async def test_what_has_not_started_in_a_batch_is_cancelled(
        self, backend: Factory, files: Path
    ) -> None:
        """The batch goes on without it."""
        held = Held(directory=files, only=(0,))
        async with self.driven(backend) as driven:
            can = driven.backend.capabilities
            self.need(can.batch_limit >= 4, "batches hold fewer than 4 attempts")
            self.need(can.tells_progress, "what has started in a batch is not known")
            first, second, third, fourth = driven.send(driven.program(held), [0, 1, 2, 3])
            await driven.started(first)
            driven.cancel([second, fourth])
            for outcome in await driven.outcomes_of([second, fourth]):
                assert outcome.status is Status.CANCELLED
                assert not outcome.started
            assert driven.outcomes.keys() == {second, fourth}
            held.release()
            assert (await driven.outcome(third)).status is Status.SUCCEEDED
            await driven.finish()
        assert [held.began(task) for task in range(4)] == [True, False, True, False]

    async def test_what_runs_is_cancelled(self, backend: Factory, files: Path) -> None:
        """Its outcome comes at once, its batch goes on, and its slot is free again."""
        held = Held(directory=files, only=(0,))
        async with self.driven(backend) as driven:
            program = driven.program(held)
            batch = driven.send(
                program, list(range(min(3, driven.backend.capabilities.batch_limit)))
            )
            await driven.started(batch[0])
            slots = driven.backend.slots
            driven.cancel([batch[0]])
            outcome = await driven.outcome(batch[0])
            assert outcome.status is Status.CANCELLED
            assert outcome.started
            if driven.backend.slots < slots:
                held.release()  # Its worker is not to be had until its kernel returns.
            for attempt in batch[1:]:
                ended = await driven.outcome(attempt)
                # Killed with their worker before they started, or passed on to another.
                assert ended.status is Status.SUCCEEDED or not ended.started
            again = [driven.send(program, [10 + extra])[0] for extra in range(driven.backend.slots)]
            for ended in await driven.outcomes_of(again):
                assert ended.status is Status.SUCCEEDED
            held.release()
            await driven.finish()

    async def test_what_waits_does_not_start_because_others_are_cancelled(
        self, backend: Factory, files: Path
    ) -> None:
        """A worker that is freed by a cancel does not take up what the same cancel was about."""
        held = Held(directory=files)
        async with self.driven(backend) as driven:
            program, slots = driven.program(held), driven.backend.slots
            attempts = [driven.send(program, [task])[0] for task in range(slots + 10)]
            for attempt in attempts[:slots]:
                await driven.started(attempt)
            driven.cancel(attempts)
            for outcome in await driven.outcomes_of(attempts[slots:]):
                assert outcome.status is Status.CANCELLED
                assert not outcome.started
            held.release()
            await driven.finish()
        assert not any(held.began(slots + extra) for extra in range(10))

    async def test_a_killed_task_stops(self, backend: Factory, files: Path) -> None:
        """Its effects on the world end with the cancel."""
        self.need(backend().capabilities.kills, "it cannot kill")
        held = Held(directory=files)
        async with self.driven(backend) as driven:
            (attempt,) = driven.send(driven.program(held), [0])
            await driven.started(attempt)
            await self.until(lambda: held.traced(0) > 0, "the task's trace")
            driven.cancel([attempt])
            assert (await driven.outcome(attempt)).status is Status.CANCELLED
            await self.quiet(held, 0)

    async def test_a_task_that_was_given_up_does_not_save(
        self, backend: Factory, files: Path
    ) -> None:
        """A worker that cannot be killed computes on, and its late result is thrown away."""
        held, io = Held(directory=files), Files(directory=files)
        before = self.threads()
        async with self.driven(backend) as driven:
            can = driven.backend.capabilities
            self.need(
                can.locality is Locality.SAME_PROCESS or can.kills,
                "a worker far away cannot be kept from saving",
            )
            (attempt,) = driven.send(driven.program(held, io=io), [0])
            await driven.started(attempt)
            driven.cancel([attempt])
            assert (await driven.outcome(attempt)).status is Status.CANCELLED
            held.release()
            (other,) = driven.send(driven.program(held, io=io), [1])
            assert (await driven.outcome(other)).status is Status.SUCCEEDED
        await self.until_threads_end(before)
        assert io.saved(1).exists()
        assert not io.saved(0).exists()

    async def test_cancelling_races_with_ending(self, backend: Factory, files: Path) -> None:
        """Cancelled in full flight, each attempt has one outcome, and has saved if it says so."""
        io = Files(directory=files)
        async with self.driven(backend) as driven:
            attempts = driven.send_all(driven.program(kernels.echo, io=io), range(300), size=16)
            await driven.until(lambda: len(driven.outcomes) >= 5, "the first outcomes")
            driven.cancel(attempts)
            driven.cancel(attempts)
            await driven.finish()
            same_process = driven.backend.capabilities.locality is Locality.SAME_PROCESS
        for task, attempt in enumerate(attempts):
            outcome = driven.outcomes[attempt]
            assert outcome.status in {Status.SUCCEEDED, Status.CANCELLED}
            if outcome.status is Status.SUCCEEDED or same_process or not outcome.started:
                assert io.saved(task).exists() == (outcome.status is Status.SUCCEEDED)

    async def test_cancelling_strangers_does_nothing(self, backend: Factory) -> None:
        """Ids that ended or never were are ignored."""
        async with self.driven(backend) as driven:
            driven.cancel([987_654_321])
            (attempt,) = driven.send(driven.program(kernels.echo), [0])
            await driven.outcome(attempt)
            driven.cancel([attempt, 987_654_321])
            (other,) = driven.send(driven.program(kernels.echo), [1])
            assert (await driven.outcome(other)).status is Status.SUCCEEDED
            await driven.finish()
