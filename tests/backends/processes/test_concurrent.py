"""Many coroutine tasks at once in worker processes: stopped one by one, killed only where they do not stop."""

import asyncio
import os
import time
from functools import partial

import pytest

import asyncexec as ax
from asyncexec.backends.contract import AttemptSpec, StageProgram, Started
from asyncexec.backends.processes import ProcessesBackend
from asyncexec.backends.processes.assignment import Assignment, WorkerExit
from asyncexec.backends.processes.concurrent_work import (
    STOP_ALL_SECONDS,
    STOP_SECONDS,
    ConcurrentWork,
)
from asyncexec.errors import PoisonTaskError, TaskTimeoutError
from asyncexec.events.outcome import ErrorInfo, Outcome, Status
from asyncexec.testing.patience import scaled
from asyncexec.worker.awaited_attempt import CANCELLED

pytestmark = pytest.mark.usefixtures("functions_by_value")

AT_ONCE = ax.Retry(base_seconds=0.0)
LOST = ErrorInfo("lost")


def engine(workers=1):
    return ax.Engine(executor=ProcessesBackend(max_workers=workers), straggler=False)


async def pid(item):
    await asyncio.sleep(0.001)
    return os.getpid(), id(asyncio.get_running_loop())


async def test_each_worker_has_one_loop_for_all_stages():
    plan = ax.Plan.map(pid, range(200), concurrency=20)
    async with engine(workers=2) as e:
        ran = (await e.execute(plan)).value + (await e.execute(ax.Plan.map(pid, range(20)))).value
    assert len({*ran}) == len({process for process, _ in ran}) == 2


async def hang_once(folder, item):
    """The item 0 awaits for ever, the first time; all return the process."""
    if item == 0 and not (folder / "tried").exists():
        (folder / "tried").touch()
        await asyncio.sleep(120)
    await asyncio.sleep(0.1)
    return os.getpid()


async def test_a_task_that_obeys_does_not_cost_its_worker(tmp_path):
    plan = ax.Plan.map(partial(hang_once, tmp_path), range(20), concurrency=20)
    async with engine() as e:
        result = await e.execute(plan, timeout=scaled(1.5), retry=AT_ONCE)
    assert len({*result.value}) == 1
    assert result.attempts == 21


async def ignore_once(folder, blocking, item):
    """The item 0 cannot be cancelled, the first time."""
    if item == 0 and not (folder / "tried").exists():
        (folder / "tried").touch()
        while True:
            try:
                if blocking:
                    time.sleep(120)  # noqa: ASYNC251 - what it must not do
                await asyncio.sleep(120)
            except asyncio.CancelledError:
                continue
    await asyncio.sleep(0.01)
    return item


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_worker_whose_task_ignores_being_cancelled_is_killed(tmp_path, blocking):
    plan = ax.Plan.map(partial(ignore_once, tmp_path, blocking), range(5), concurrency=5)
    async with engine() as e:
        result = await e.execute(plan, timeout=scaled(1.0), retry=AT_ONCE)
        assert result.abandoned == 0
    assert result.value == list(range(5))


async def die_once(folder, item):
    if item == 3 and not (folder / "tried").exists():
        (folder / "tried").touch()
        os._exit(3)
    await asyncio.sleep(0.05)
    return item


async def test_a_worker_that_dies_loses_what_ran_and_it_is_run_again(tmp_path):
    plan = ax.Plan.map(partial(die_once, tmp_path), range(50), concurrency=10)
    async with engine() as e:
        result = await e.execute(plan, retry=AT_ONCE)
    assert result.value == list(range(50))
    assert 1 <= result.stages[0].retries <= 10


async def always_die(item):
    if item == 1:
        await asyncio.sleep(0.01)
        os._exit(3)
    await asyncio.sleep(0.1)
    return item


async def test_a_task_that_kills_every_worker_is_the_one_that_is_blamed():
    plan = ax.Plan.map(always_die, range(3), concurrency=3)
    async with engine() as e:
        with pytest.raises(PoisonTaskError) as caught:
            await e.execute(plan, retry=ax.Retry(base_seconds=0.0, attempts=9))
    assert caught.value.index == (1,)


async def test_a_value_and_an_error_that_cannot_travel_fail_their_own_task():
    async def odd(item):
        return (n for n in range(item)) if item == 1 else item

    async with engine() as e:
        with pytest.raises(ax.TaskError, match="cannot be pickled"):
            await e.execute(ax.Plan.map(odd, range(3), concurrency=3), retry=False)


async def test_plain_and_coroutine_stages_share_the_workers():
    plan = ax.Plan.map(abs, range(-40, 0)).then(pid, concurrency=10).then(str)
    async with engine() as e:
        assert len((await e.execute(plan)).value) == 40


async def test_a_timeout_that_no_retry_helps_fails_the_plan_and_leaves_the_worker():
    async def wait(item):
        await asyncio.sleep(120)

    async with engine() as e:
        before = (await e.execute(ax.Plan.map(pid, [1]))).value[0][0]
        plan = ax.Plan.map(wait, range(4), concurrency=4)
        with pytest.raises(TaskTimeoutError):
            await e.execute(plan, timeout=0.3, retry=False)
        assert (await e.execute(ax.Plan.map(pid, [1]))).value[0][0] == before


def work(*attempts, overlaps=False):
    made = ConcurrentWork()
    program = StageProgram(
        key="k", plan="p", stage="s", kernel=pid, shape=(9,), concurrency=3, overlaps=overlaps
    )
    made.add(Assignment(program, [AttemptSpec(attempt, attempt) for attempt in attempts]))
    return made


def ends(made, kind, running, kernel=0):
    (released,) = [released for _, released in made.end(kind, running, "w", LOST, kernel=kernel)]
    return (
        [(o.attempt, o.status, o.started) for o in released.outcomes],
        [job.attempt for job in released.requeued],
    )


def test_what_ran_in_a_worker_that_died_is_known_from_its_page():
    assert ends(work(1, 2, 3), WorkerExit.DIED, {2}) == (
        [(1, Status.LOST, False), (2, Status.LOST, True), (3, Status.LOST, False)],
        [],
    )


def test_what_had_not_started_in_a_worker_that_was_killed_goes_back():
    made = work(1, 2, 3)
    made.stop([2], 0.0)
    assert ends(made, WorkerExit.KILLED, {1, 2}) == (
        [(1, Status.LOST, True), (2, Status.CANCELLED, True)],
        [3],
    )
    assert len(made) == 0


def test_what_loads_or_saves_is_not_charged_with_the_end_of_its_worker():
    """Another ran its kernel when the worker died, or was stopped, for which the worker was killed."""
    died = work(1, 2, overlaps=True)
    assert ends(died, WorkerExit.DIED, {1, 2}, kernel=2) == (
        [(1, Status.LOST, False), (2, Status.LOST, True)],
        [],
    )
    killed = work(1, 2, 3, overlaps=True)
    killed.stop([2], 0.0)
    assert ends(killed, WorkerExit.KILLED, {1, 2, 3}, kernel=3) == (
        [(1, Status.LOST, False), (2, Status.CANCELLED, True), (3, Status.LOST, False)],
        [],
    )
    alone = work(1, overlaps=True)
    assert ends(alone, WorkerExit.DIED, {1}) == ([(1, Status.LOST, True)], [])
    ended_by_us = work(1, 2, overlaps=True)
    assert ends(ended_by_us, WorkerExit.KILLED, {1, 2}, kernel=2) == (
        [(1, Status.LOST, False), (2, Status.LOST, False)],
        [],
    )


def test_an_attempt_that_does_not_end_in_time_makes_the_work_overdue():
    made = work(1, 2)
    assert made.stop([1, 7], 10.0) == [1]
    assert made.stop([1], 11.0) == []
    assert not made.is_overdue(10.0 + STOP_SECONDS)
    assert made.is_overdue(10.1 + STOP_SECONDS)
    made.take([Outcome(1, Status.CANCELLED, "w", 1.0, error=CANCELLED)])
    assert not made.is_overdue(99.0)


def test_a_worker_all_of_whose_overlapping_attempts_are_stopped_is_overdue_sooner():
    made = work(1, 2, overlaps=True)
    made.stop([1], 10.0)
    assert not made.is_overdue(10.0 + STOP_SECONDS)
    made.stop([2], 10.0)
    assert not made.is_overdue(10.0 + STOP_ALL_SECONDS)
    assert made.is_overdue(10.1 + STOP_ALL_SECONDS)


def test_an_attempt_that_was_left_behind_is_told_from_one_that_has_ended():
    made = work(1, 2)
    assert made.take([Started(1, "w"), Outcome(9, Status.SUCCEEDED)]) == (
        [Started(1, "w")],
        [],
        False,
    )
    ended = Outcome(1, Status.CANCELLED, "w", 1.0, error=CANCELLED)
    left = Outcome(2, Status.CANCELLED, "w", 1.0)
    assert made.take([ended]) == ([], [ended], False)
    assert made.take([left]) == ([], [left], True)


def test_a_start_that_was_read_from_the_page_is_not_reported_again():
    from asyncexec.backends.contract import AttemptSpec, Started
    from asyncexec.backends.processes.assignment import Assignment
    from asyncexec.backends.processes.concurrent_work import ConcurrentWork

    work = ConcurrentWork()
    work.add(Assignment(None, [AttemptSpec(1, 0), AttemptSpec(2, 1)]))
    assert work.unreported({1}) == [1]
    said, outcomes, _ = work.take([Started(1, "w"), Started(2, "w")])
    assert (said, outcomes) == ([Started(2, "w")], [])
    assert work.unreported({1, 2}) == []
