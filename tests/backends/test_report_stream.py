"""Batches and reports pass between scheduler and backend at once where both can, and in turns of the loop elsewhere."""

import anyio
import pytest

from asyncexec.backends.contract import AttemptSpec, Batch
from asyncexec.backends.report_stream import ReportStream
from asyncexec.events.outcome import Outcome, Status
from asyncexec.scheduler.batch_queue import BatchQueue


def batch(*attempts):
    return Batch(None, [AttemptSpec(a, 0, (), 1) for a in attempts], frozenset())


def ended(*attempts):
    return [Outcome(a, Status.SUCCEEDED) for a in attempts]


class Mapped:
    """A stream whose batches are noted."""

    def __init__(self, submit=None):
        self.queue, self.submitted = BatchQueue(), []
        self.stream = ReportStream.after(None, executor="test")
        self._submit = submit or self.submitted.append

    async def __aenter__(self):
        await self.stream.start(self._submit)
        self.feeding = True
        self.reports = self.stream.map(self.queue)
        await anyio.lowlevel.checkpoint()  # so that it begins to take batches
        return self

    async def __aexit__(self, *_):
        if self.feeding:
            await self.stream.stop_feeding()
        self.stream.end()


async def test_a_batch_is_submitted_without_a_turn_of_the_loop():
    async with Mapped() as mapped:
        mapped.queue.put(batch(1))
        assert [b.jobs[0].attempt for b in mapped.submitted] == [1]


async def test_what_a_submission_raises_reaches_the_reader_and_not_the_giver():
    def broken(_):
        raise OSError("no worker")

    async with Mapped(broken) as mapped:
        mapped.queue.put(batch(1))
        mapped.queue.put(batch(2))
        with pytest.raises(OSError, match="no worker"):
            await anext(mapped.reports)


async def test_no_batch_is_submitted_after_the_feeding_was_stopped():
    async with Mapped() as mapped:
        mapped.feeding = False
        await mapped.stream.stop_feeding()
        mapped.queue.put(batch(1))
        assert mapped.submitted == []


async def test_reports_are_taken_at_once_or_come_in_their_turn_where_they_are_refused():
    taken = []

    def take(reports):
        taken.extend(r.attempt for r in reports)
        return len(taken) < 3

    async with Mapped() as mapped:
        mapped.stream.give_to(take)
        mapped.queue.put(batch(1, 2, 3, 4))
        mapped.stream.give(ended(1, 2), 2)
        mapped.stream.give(ended(3), 1)
        mapped.stream.give(ended(4), 1)  # after others that wait, whoever would take it
        assert taken == [1, 2, 3]
        assert [r.attempt for r in await anext(mapped.reports)] == [3, 4]


async def test_the_stream_ends_after_reports_that_were_taken_at_once():
    async with Mapped() as mapped:
        mapped.stream.give_to(lambda _: True)
        mapped.queue.put(batch(1))
        mapped.queue.close()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.lowlevel.checkpoint)
            mapped.stream.give(ended(1), 1)
        with pytest.raises(StopAsyncIteration):
            await anext(mapped.reports)


async def test_reports_before_an_error_reach_the_reader_before_it():
    async with Mapped() as mapped:
        mapped.stream.give_to(lambda _: True)
        mapped.queue.put(batch(1, 2))
        mapped.stream.report(ended(1), 1)
        mapped.stream.fail(OSError("gone"))
        mapped.stream.give(ended(2), 1)
        assert [r.attempt for r in await anext(mapped.reports)] == [1, 2]
        with pytest.raises(OSError, match="gone"):
            await anext(mapped.reports)
