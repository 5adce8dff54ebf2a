"""Calls of services that are busy, or take no large requests."""

import random

import anyio
import pytest

from asyncexec.backends.adapters.calls import CallsBackend
from asyncexec.backends.adapters.service_calls import (
    CAP_SECONDS,
    BusyError,
    Congestion,
    ServiceCaller,
    TooLargeError,
)
from asyncexec.backends.contract import Capabilities
from asyncexec.errors import BackendError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.testing import kernels
from asyncexec.testing.driving import Driven


class Service:
    """Takes calls as ``answer`` says: it gets a batch, and returns outcomes or raises."""

    capabilities = Capabilities(name="service", batch_limit=100)

    def __init__(self, answer, most=8) -> None:
        self._caller = ServiceCaller(most)
        self._answer = answer
        self.calls = []

    @property
    def slots(self):
        return self._caller.slots

    async def open(self):
        pass

    async def close(self):
        pass

    async def call(self, batch, context):
        return await self._caller.call(batch, context, self._run)

    async def _run(self, batch, context):
        self.calls.append(len(batch.jobs))
        return self._answer(batch)


def succeeded(jobs):
    return [Outcome(job.attempt, Status.SUCCEEDED, "w", 1.0) for job in jobs]


def driven(service) -> Driven:
    return Driven(CallsBackend(service), patience=20)


async def outcomes_of(service, jobs):
    async with driven(service) as drive:
        return await drive.outcomes_of(drive.send(drive.program(kernels.echo), range(jobs)))


async def test_what_is_too_large_travels_in_halves():
    def answer(batch):
        if len(batch.jobs) > 2:
            raise TooLargeError("too much")
        return succeeded(batch.jobs)

    service = Service(answer)
    outcomes = await outcomes_of(service, 7)
    assert {o.status for o in outcomes} == {Status.SUCCEEDED}
    assert service.calls == [7, 3, 1, 2, 4, 2, 2]


async def test_one_task_that_is_too_large_fails_alone():
    def answer(batch):
        if any(job.task == 2 for job in batch.jobs):
            raise TooLargeError("say where it may go")
        return succeeded(batch.jobs)

    outcomes = await outcomes_of(Service(answer), 4)
    statuses = [o.status for o in outcomes]
    assert statuses == [*[Status.SUCCEEDED] * 2, Status.FAILED, Status.SUCCEEDED]
    assert outcomes[2].error.type == "asyncexec.errors.SerializationError"
    assert outcomes[2].error.message == "say where it may go"


async def test_what_an_answer_had_no_room_for_is_called_again():
    service = Service(lambda batch: succeeded(batch.jobs[:2]))
    outcomes = await outcomes_of(service, 5)
    assert {o.status for o in outcomes} == {Status.SUCCEEDED}
    assert service.calls == [5, 3, 1]


async def test_an_answer_about_nothing_breaks_the_backend():
    async with driven(Service(lambda batch: [])) as drive:
        drive.send(drive.program(kernels.echo), [0])
        with pytest.raises(BackendError, match="without the outcome of any"):
            await drive.finish()


async def test_busy_is_lost_before_it_started_and_keeps_its_slot_for_a_pause():
    def answer(batch):
        raise BusyError("not now")

    async with driven(Service(answer, most=1)) as drive:
        first = drive.send(drive.program(kernels.echo), range(2))
        began = anyio.current_time()
        for outcome in await drive.outcomes_of(first):
            assert (outcome.status, outcome.started) == (Status.LOST, False)
            assert outcome.error.message == "not now"
        for _ in range(3):
            (attempt,) = drive.send(drive.program(kernels.echo), [0])
            await drive.outcome(attempt)
        assert anyio.current_time() - began > 0.1  # The pauses of three, of a tenth and more each.


def test_refusals_of_one_moment_count_once_and_halve_the_slots():
    congestion = Congestion(100, random.Random(1))
    for _ in range(50):
        congestion.refused(10.0)
    assert congestion.slots == 50
    congestion.refused(10.2)
    assert congestion.slots == 25


def test_pauses_grow_to_a_limit_and_begin_anew_after_a_success():
    congestion, now, pauses = Congestion(64, random.Random(1)), 0.0, []
    for _ in range(20):
        pauses.append(congestion.refused(now))
        now += CAP_SECONDS
    assert 0.05 <= pauses[0] <= 0.1
    assert max(pauses) <= CAP_SECONDS
    assert pauses[-1] >= CAP_SECONDS / 2
    assert congestion.slots == 1
    congestion.accepted()
    assert congestion.refused(now) <= 0.1


def test_a_pause_that_is_asked_for_is_kept_within_reason():
    congestion = Congestion(64, random.Random(1))
    assert congestion.refused(0.0, 3.0) == 3.0
    assert congestion.refused(0.0, 3600.0) == CAP_SECONDS


def test_slots_come_back_slowly_and_no_further_than_they_were():
    congestion = Congestion(16, random.Random(1))
    congestion.refused(0.0)
    calls = 0
    while congestion.slots < 16:
        congestion.accepted()
        calls += 1
    assert calls > 16
    congestion.accepted()
    assert congestion.slots == 16
