"""Which worker process gets what: nothing more if it is avoided, and no backup of what it runs already."""

import os
import signal
import time

import pytest

import asyncexec as ax
from asyncexec.backends.processes import ProcessesBackend
from asyncexec.events.outcome import Status
from asyncexec.testing import kernels
from asyncexec.testing.driving import Driven
from asyncexec.testing.kernels import Held

PATIENCE = 60.0
TASK_SECONDS = 0.08


def driven(**options):
    return Driven(ProcessesBackend(**{"max_workers": 2, **options}), patience=PATIENCE)


def pid_of(worker):
    return int(worker.removeprefix("process-"))


async def hold_two(driven, held):
    """Have each of two workers run a task that waits, and return the workers' names."""
    program = driven.program(held)
    attempts = [driven.send(program, [task])[0] for task in (0, 1)]
    return [(await driven.started(attempt)).worker for attempt in attempts]


def held_in(directory, *tasks):
    directory.mkdir()
    return Held(directory=directory, only=tasks)


async def test_a_backup_does_not_wait_behind_the_attempt_it_is_for(tmp_path):
    """Nor does it keep others from the worker that it does not want."""
    slow, other = held_in(tmp_path / "slow", 0), held_in(tmp_path / "other", 1)
    async with driven() as drive:
        (first,) = drive.send(drive.program(slow), [0])
        worker = (await drive.started(first)).worker
        (second,) = drive.send(drive.program(other), [1])
        elsewhere = (await drive.started(second)).worker
        program = drive.program(kernels.echo)
        # One waits behind what the other worker runs; there is no room for the next one there.
        backups = [drive.send(program, [task], apart_from={worker})[0] for task in range(2)]
        (anywhere,) = drive.send(program, [2])
        other.release()
        outcomes = await drive.outcomes_of([*backups, anywhere])
        assert [o.status for o in outcomes] == [Status.SUCCEEDED] * 3
        assert {o.worker for o in outcomes} == {elsewhere} != {worker}
        assert first not in drive.outcomes
        slow.release()
        await drive.finish()


async def test_a_backup_takes_a_worker_it_is_to_be_apart_from_when_that_has_nothing_to_do(tmp_path):
    """It does not run the other attempt any more."""
    held = held_in(tmp_path / "held", 0)
    async with driven() as drive:
        (first,) = drive.send(drive.program(held), [0])
        busy = (await drive.started(first)).worker
        (other,) = drive.send(drive.program(kernels.process), [1])
        idle = (await drive.outcome(other)).worker
        assert idle != busy
        (backup,) = drive.send(drive.program(kernels.echo), [2], apart_from={idle})
        assert (await drive.outcome(backup)).worker == idle
        held.release()
        await drive.finish()


async def test_a_worker_that_is_avoided_ends_what_it_runs_and_what_waits_there_goes_elsewhere(
    tmp_path,
):
    held = held_in(tmp_path / "held", 0, 1)
    async with driven() as drive:
        program = drive.program(held)
        running, behind = drive.send(program, [0, 2])
        avoided = (await drive.started(running)).worker
        (blocking,) = drive.send(program, [1])
        await drive.started(blocking)
        waiting = [drive.send(program, [task])[0] for task in range(3, 9)]
        drive.backend.avoid({avoided})
        assert drive.backend.slots == 1
        drive.cancel([blocking])  # Its worker is killed, and another comes.
        outcomes = await drive.outcomes_of([behind, *waiting])
        assert {o.status for o in outcomes} == {Status.SUCCEEDED}
        assert avoided not in {o.worker for o in outcomes}
        assert running not in drive.outcomes
        held.release()
        assert (await drive.outcome(running)).worker == avoided
        await drive.finish()


async def test_a_worker_takes_work_again_when_it_is_not_avoided_any_more(tmp_path):
    before, after = held_in(tmp_path / "before", 0, 1), held_in(tmp_path / "after", 0, 1)
    async with driven() as drive:
        names = await hold_two(drive, before)
        before.release()
        drive.backend.avoid({names[0]})
        assert drive.backend.slots == 1
        drive.backend.avoid(())
        assert drive.backend.slots == 2
        assert set(await hold_two(drive, after)) == set(names)
        after.release()
        await drive.finish()


async def test_who_takes_the_place_of_an_avoided_worker_is_not_avoided(tmp_path):
    before, after = held_in(tmp_path / "before", 0, 1), held_in(tmp_path / "after", 0, 1)
    async with driven() as drive:
        names = await hold_two(drive, before)
        drive.backend.avoid({names[0]})
        os.kill(pid_of(names[0]), signal.SIGKILL)
        await drive.until(lambda: any(o.status is Status.LOST for o in drive.outcomes.values()), "")
        assert drive.backend.slots == 2
        before.release()
        workers = set(await hold_two(drive, after))
        assert names[1] in workers
        assert names[0] not in workers
        after.release()
        await drive.finish()


async def test_avoiding_all_or_nobody_that_is_there_leaves_every_slot(tmp_path):
    held = held_in(tmp_path / "held", 0, 1)
    async with driven() as drive:
        drive.backend.avoid({"process-0", "elsewhere"})
        assert drive.backend.slots == 2
        drive.backend.avoid(await hold_two(drive, held))
        assert drive.backend.slots == 2
        held.release()
        await drive.outcomes_of(drive.send_all(drive.program(kernels.echo), range(4), size=1))
        await drive.finish()


async def test_an_avoided_worker_that_has_done_all_it_may_is_replaced():
    async with driven(max_tasks_per_worker=1) as drive:
        program = drive.program(kernels.echo)
        workers: set[str] = set()
        for some in range(3):
            attempts = drive.send_all(program, range(4), size=1)
            workers |= {o.worker for o in await drive.outcomes_of(attempts)}
            assert len(workers) == 4 * (some + 1)
            # The last of them is there still, as long as nothing is sent.
            drive.backend.avoid(workers)
            assert 1 <= drive.backend.slots <= 2
        await drive.finish()


async def test_a_run_finds_its_slow_worker_and_gives_it_none_of_the_last_tasks(tmp_path):
    """The first task's process takes five times as long as the others for everything."""
    file = tmp_path / "slow"

    def work(task):
        if task == 0:
            file.write_text(str(os.getpid()))
        is_slow = file.exists() and file.read_text() == str(os.getpid())
        time.sleep(TASK_SECONDS * (5 if is_slow else 1))
        return os.getpid()

    tasks = 160
    async with ax.Engine(executor="processes", executor_options={"max_workers": 4}) as engine:
        result = await engine.execute(ax.Plan.map(work, range(tasks)))
    slow = int(file.read_text())
    assert list(result.slow_workers) == [f"process-{slow}"]
    assert result.slow_workers[f"process-{slow}"] == pytest.approx(5.0, rel=0.5)
    # The others take five tasks each while it takes one.
    assert result.value.count(slow) >= 3
    assert slow not in result.value[-4:]
