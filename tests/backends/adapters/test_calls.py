import anyio
import anyio.lowlevel
import pytest

from asyncexec.backends.adapters.calls import CallsBackend
from asyncexec.backends.contract import Capabilities
from asyncexec.errors import BackendError, UsageError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.testing import kernels
from asyncexec.testing.driving import Driven
from asyncexec.worker.control import StopResult


class Scripted:
    """A system that does in a call what the test says; it tells no starts."""

    capabilities = Capabilities(name="scripted", kills=True, batch_limit=8)
    slots = 1

    def __init__(self, script) -> None:
        self.script = script
        self.batches = []
        self.open_now = False

    async def open(self):
        self.open_now = True

    async def close(self):
        self.open_now = False

    async def call(self, batch, context):
        self.batches.append([job.attempt for job in batch.jobs])
        return await self.script(batch, context)


def driven(script) -> Driven:
    return Driven(CallsBackend(Scripted(script)), patience=20)


def succeeded(batch):
    return [Outcome(job.attempt, Status.SUCCEEDED, "far", 1.0) for job in batch.jobs]


async def test_a_call_need_not_tell_more_than_its_outcomes():
    async def all_well(batch, context):
        return succeeded(batch)

    async with driven(all_well) as drive:
        outcomes = await drive.outcomes_of(drive.send(drive.program(kernels.echo), range(3)))
    assert {o.status for o in outcomes} == {Status.SUCCEEDED}


async def test_what_a_call_forgets_is_lost():
    async def forgetful(batch, context):
        return succeeded(batch)[:1]

    async with driven(forgetful) as drive:
        kept, *lost = await drive.outcomes_of(drive.send(drive.program(kernels.echo), range(3)))
    assert kept.status is Status.SUCCEEDED
    assert {o.status for o in lost} == {Status.LOST}


async def test_what_a_call_raises_is_why_its_attempts_are_lost():
    async def unreachable(batch, context):
        context.started(batch.jobs[0].attempt, "far-1")
        raise ConnectionResetError("connection reset by peer")

    async with driven(unreachable) as drive:
        first, second = await drive.outcomes_of(drive.send(drive.program(kernels.echo), range(2)))
    assert (first.status, second.status) == (Status.LOST, Status.LOST)
    assert (first.started, second.started) == (True, False)
    assert first.worker == "far-1"
    assert first.error.message == "connection reset by peer"


async def test_a_system_that_is_broken_breaks_the_backend():
    async def broken(batch, context):
        raise BackendError("the account is closed")

    async with driven(broken) as drive:
        (attempt,) = drive.send(drive.program(kernels.echo), [0])
        assert (await drive.outcome(attempt)).status is Status.LOST
        with pytest.raises(BackendError, match="the account is closed"):
            await drive.until(lambda: False, "the end")


async def test_outcomes_nobody_asked_for_are_ignored():
    async def chatty(batch, context):
        context.ended(Outcome(99, Status.SUCCEEDED))
        assert not context.started(99, "far")
        return succeeded(batch) * 2

    async with driven(chatty) as drive:
        (attempt,) = drive.send(drive.program(kernels.echo), [0])
        assert (await drive.outcome(attempt)).status is Status.SUCCEEDED
        await drive.finish()


async def test_a_cancelled_call_passes_the_rest_of_its_batch_on():
    async def first_hangs(batch, context):
        for job in batch.jobs:
            if context.started(job.attempt, "far"):
                if job.task == 0:
                    await anyio.sleep_forever()
                context.ended(Outcome(job.attempt, Status.SUCCEEDED, "far", 1.0))
        return []

    async with driven(first_hangs) as drive:
        batch = drive.send(drive.program(kernels.echo), [0, 1, 2, 3])
        await drive.started(batch[0])
        drive.cancel([batch[0], batch[2]])
        outcomes = await drive.outcomes_of(batch)
        calls = drive.backend._system.batches
    assert [o.status for o in outcomes] == [
        Status.CANCELLED,
        Status.SUCCEEDED,
        Status.CANCELLED,
        Status.SUCCEEDED,
    ]
    assert [o.started for o in outcomes] == [True, True, False, True]
    assert calls == [batch, [batch[1], batch[3]]]


async def test_leaving_cancels_calls_and_then_closes_the_system():
    ends = []

    async def hangs(batch, context):
        context.started(batch.jobs[0].attempt, "far")
        try:
            await anyio.sleep_forever()
        finally:
            ends.append(system.open_now)

    system = Scripted(hangs)
    async with Driven(CallsBackend(system), patience=20) as drive:
        (attempt,) = drive.send(drive.program(kernels.echo), [0])
        drive.send(drive.program(kernels.echo), [1])
        await drive.started(attempt)
    assert ends == [True]
    assert not system.open_now
    assert len(system.batches) == 1


async def test_outside_its_context_it_maps_nothing():
    async def never(batch, context):
        return []

    backend = CallsBackend(Scripted(never))
    with pytest.raises(UsageError, match="outside its `async with` block"):
        backend.map(None)
    backend.cancel([1])


class Stoppable:
    """A batch that runs its first attempt and can leave it behind."""

    def __init__(self, running) -> None:
        self.running = running
        self.asked = []

    def stop(self, attempts):
        self.asked.append(attempts)
        return StopResult(
            [a for a in attempts if a != self.running], [a for a in attempts if a == self.running]
        )


async def test_a_batch_that_stops_attempts_itself_is_not_interrupted():
    stoppable = Stoppable(running=None)

    async def call(batch, context):
        first, _second, third, _fourth = (job.attempt for job in batch.jobs)
        stoppable.running = third
        context.started(first, "far")
        context.ended(Outcome(first, Status.SUCCEEDED, "far", 1.0))
        with context.stopped_by(stoppable):
            while len(context.pending) > 1:
                await anyio.lowlevel.checkpoint()
        return [Outcome(a, Status.SUCCEEDED, "far", 1.0) for a in context.pending]

    async with driven(call) as drive:
        batch = drive.send(drive.program(kernels.echo), [0, 1, 2, 3])
        await drive.started(batch[0])
        drive.cancel(batch[:3])
        outcomes = await drive.outcomes_of(batch)
        assert len(drive.backend._system.batches) == 1
    assert stoppable.asked == [frozenset(batch[1:3])]
    assert [o.status for o in outcomes] == [
        Status.SUCCEEDED,
        Status.CANCELLED,
        Status.CANCELLED,
        Status.SUCCEEDED,
    ]
    assert [o.started for o in outcomes] == [True, False, True, True]


async def test_a_call_without_a_stoppable_batch_is_interrupted_again():
    async def call(batch, context):
        with context.stopped_by(Stoppable(running=None)):
            pass
        context.started(batch.jobs[0].attempt, "far")
        await anyio.sleep_forever()

    async with driven(call) as drive:
        (attempt,) = drive.send(drive.program(kernels.echo), [0])
        await drive.started(attempt)
        drive.cancel([attempt])
        assert (await drive.outcome(attempt)).status is Status.CANCELLED


async def test_where_a_batch_tells_of_its_first_start_only_a_later_attempt_that_is_cancelled_counts_as_started():
    async def first_told(batch, context):
        context.started(batch.jobs[0].attempt, "far")
        await anyio.sleep_forever()

    system = Scripted(first_told)
    system.capabilities = Capabilities(
        name="scripted", kills=True, batch_limit=8, tells_progress=False
    )
    async with Driven(CallsBackend(system), patience=20) as drive:
        first, second = drive.send(drive.program(kernels.echo), range(2))
        await drive.started(first)
        drive.cancel([second])
        cancelled = await drive.outcome(second)
    assert (cancelled.status, cancelled.started) == (Status.CANCELLED, True)


def overlapping(drive):
    """A program of whose attempts many load and save at once."""
    return drive.program(kernels.echo, concurrency=4, overlaps=True)


async def test_one_of_many_that_load_at_once_is_stopped_with_its_call_and_no_other_is_charged():
    async def hangs(batch, context):
        for job in batch.jobs[:3]:
            context.started(job.attempt, "far")
        await anyio.sleep_forever()

    async with driven(hangs) as drive:
        first, *others = drive.send(overlapping(drive), range(3))
        await drive.started(others[-1])
        drive.cancel([first])
        assert (await drive.outcome(first)).status is Status.CANCELLED
        for outcome in await drive.outcomes_of(others):
            assert (outcome.status, outcome.started) == (Status.LOST, False)


@pytest.mark.parametrize("tasks, worker", [(3, ""), (1, "far")])
async def test_a_worker_that_dies_is_named_to_the_only_task_that_ran_there(tasks, worker):
    async def dies(batch, context):
        for job in batch.jobs:
            context.started(job.attempt, "far")
        raise ConnectionResetError("gone")

    async with driven(dies) as drive:
        for outcome in await drive.outcomes_of(drive.send(overlapping(drive), range(tasks))):
            assert (outcome.status, outcome.worker, outcome.started) == (Status.LOST, worker, True)
