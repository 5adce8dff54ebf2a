"""A backend that answers at once, so that the scheduler alone is left."""

import pytest

from asyncexec.backends.contract import AttemptSpec, Backend, Batch, StageProgram
from asyncexec.engine import Engine
from asyncexec.errors import TaskFailedError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.plan import Plan
from asyncexec.testing.virtual_time import virtual_time
from tests.instant_backend import InstantBackend


async def reports_of(backend, *batches):
    async def stream():
        for batch in batches:
            yield batch

    async with backend:
        return [report async for reports in backend.map(stream()) for report in reports]


def batch(kernel, tasks=5):
    program = StageProgram(key="p", plan="p", stage="s", kernel=kernel, shape=(tasks,))
    return Batch(program, [AttemptSpec(100 + task, task) for task in range(tasks)])


def test_it_is_a_backend():
    assert isinstance(InstantBackend(), Backend)


@virtual_time
async def test_every_attempt_succeeds_without_its_kernel_being_called():
    backend = InstantBackend()
    outcomes = await reports_of(backend, batch(pytest.fail), batch(pytest.fail, 3))
    assert len(outcomes) == backend.attempts == 8
    assert {type(o) for o in outcomes} == {Outcome}
    assert {o.status for o in outcomes} == {Status.SUCCEEDED}
    assert all(o.started for o in outcomes)
    assert [o.attempt for o in outcomes[:5]] == [100, 101, 102, 103, 104]


@virtual_time
async def test_outcomes_made_quickly_are_those_made_properly():
    (outcome,) = await reports_of(InstantBackend(), batch(str, 1))
    assert outcome == Outcome(100, Status.SUCCEEDED, "instant", outcome.started_at)


@virtual_time
async def test_kernels_are_called_where_asked():
    async with Engine(executor=InstantBackend(computes=True)) as engine:
        assert (await engine.execute(Plan.map(lambda x: 2 * x, range(1000)))).value == [
            2 * x for x in range(1000)
        ]
        with pytest.raises(TaskFailedError, match="ZeroDivisionError"):
            await engine.execute(Plan.map(lambda x: 1 / x, range(2)))
