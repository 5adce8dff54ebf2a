import os
import signal
import sys
import time
from pathlib import Path

import anyio
import pytest

pytest.importorskip("lithops")

from asyncexec.backends.lithops import LithopsBackend
from asyncexec.engine import Engine
from asyncexec.errors import BackendError
from asyncexec.events.outcome import Status
from asyncexec.plan import Plan
from asyncexec.testing import kernels
from asyncexec.testing.conformance import BackendConformance
from asyncexec.testing.driving import Driven
from asyncexec.testing.kernels import Held
from asyncexec.testing.patience import scaled
from tests.backends.shared_chunks import hands_chunks_over_in_memory

pytestmark = [
    pytest.mark.backend,
    # Lithops' threads start its processes by fork.
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]

PATIENCE = 60.0


def here(**options) -> LithopsBackend:
    return LithopsBackend(
        **{"config": {"lithops": {"backend": "localhost"}}, "max_workers": 2} | options
    )


class TestLithops(BackendConformance):
    patience = PATIENCE
    many = 2_000
    options = frozenset({"env_vars"})

    @pytest.fixture
    def backend(self):
        return here

    @pytest.fixture
    def configured(self):
        return here


def driven(**options) -> Driven:
    return Driven(here(**options), patience=PATIENCE)


def kept_by_lithops() -> set[Path]:
    """What jobs leave; Lithops' own code, logs and notes of runtimes are not theirs."""
    from lithops.constants import JOBS_DIR, LITHOPS_TEMP_DIR, LOGS_DIR, MODULES_DIR

    folders = [JOBS_DIR, LOGS_DIR, MODULES_DIR, f"{LITHOPS_TEMP_DIR}/storage/lithops.jobs"]
    return {path for folder in folders for path in Path(folder).rglob("*")}


async def test_nothing_is_left_of_what_ended_failed_or_was_killed(tmp_path):
    held = Held(directory=tmp_path)
    before = kept_by_lithops()
    async with driven() as drive:
        ended = [drive.send(drive.program(kernels.echo), [task])[0] for task in range(4)]
        await drive.outcomes_of(ended)
        await drive.outcomes_of(drive.send(drive.program(kernels.die), [0]))
        running = drive.send(drive.program(held), [0])
        await drive.started(running[0])
    assert kept_by_lithops() <= before


async def test_a_large_program_is_stored_once_and_fetched_by_each_call():
    ballast = os.urandom(300_000)

    async with driven() as drive:
        program = drive.program(lambda index: len(ballast))
        attempts = [drive.send(program, [task])[0] for task in range(4)]
        outcomes = await drive.outcomes_of(attempts)
    assert {o.status for o in outcomes} == {Status.SUCCEEDED}


async def test_a_batch_keeps_what_ended_before_a_task_that_kills_its_worker():
    def kernel(index):
        if index == (2,):
            os.kill(os.getpid(), signal.SIGKILL)
        return index

    async with driven() as drive:
        outcomes = await drive.outcomes_of(drive.send(drive.program(kernel), range(5)))
    assert [o.status for o in outcomes] == [Status.SUCCEEDED] * 2 + [Status.LOST] * 3
    assert [o.started for o in outcomes] == [True] * 3 + [False] * 2


async def test_a_job_whose_process_is_killed_from_outside_is_lost(tmp_path):
    def leader(index):
        """Tell the process that Lithops started for the job, and stay."""
        (tmp_path / "leader").write_text(str(os.getsid(0)))
        time.sleep(PATIENCE)

    async with driven() as drive:
        (attempt,) = drive.send(drive.program(leader), [0])
        with anyio.fail_after(scaled(PATIENCE)):
            while not (tmp_path / "leader").exists() or not (tmp_path / "leader").read_text():
                await anyio.sleep(0.01)
        os.killpg(int((tmp_path / "leader").read_text()), signal.SIGKILL)
        outcome = await drive.outcome(attempt)
        assert outcome.status is Status.LOST
        assert outcome.started
        assert "ended with code -9" in outcome.error.message
        (other,) = drive.send(drive.program(kernels.echo), [1])
        assert (await drive.outcome(other)).status is Status.SUCCEEDED


async def test_an_interpreter_without_this_package_fails_the_tasks(tmp_path):
    """With what it says itself."""
    script = tmp_path / "python3-elsewhere"
    script.write_text(
        f"#!/bin/sh\nexec {sys.executable} -c 'import runpy, sys\n"
        "class Hidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        '        if name.partition(".")[0] == "asyncexec":\n'
        '            raise ModuleNotFoundError("No module named asyncexec", name=name)\n'
        "sys.meta_path.insert(0, Hidden())\n"
        'sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name="__main__")\' "$@"\n'
    )
    script.chmod(0o755)
    async with driven(runtime=str(script)) as drive:
        (attempt,) = drive.send(drive.program(kernels.echo), [0])
        outcome = await drive.outcome(attempt)
    assert outcome.status is Status.FAILED
    assert "No module named asyncexec" in outcome.error.message


async def test_an_interpreter_that_is_not_there_is_an_error_that_names_it():
    with pytest.raises(BackendError, match="/nowhere/python3"):
        await driven(runtime="/nowhere/python3").__aenter__()


async def test_the_programs_signals_hooks_and_exits_are_left_alone():
    hook, handler = sys.excepthook, signal.getsignal(signal.SIGALRM)
    async with Engine(executor=here()) as engine:
        signal.setitimer(signal.ITIMER_REAL, 3600)
        try:
            assert (await engine.execute(Plan.map(abs, [-1]))).value == [1]
        finally:
            left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
    assert left > 0
    assert (sys.excepthook, signal.getsignal(signal.SIGALRM)) == (hook, handler)


async def test_version_2_of_lithops_on_this_machine_works_as_well():
    before = kept_by_lithops()
    async with Engine(
        executor=here(config={"localhost": {"version": 2}, "lithops": {"backend": "localhost"}})
    ) as engine:
        assert (await engine.execute(Plan.map(abs, range(-20, 0)))).value == list(range(20, 0, -1))
    assert kept_by_lithops() <= before


async def test_lithops_own_pool_works_through_futures():
    from lithops.concurrent.futures import ProcessPoolExecutor

    made = []

    def pool():
        config = {
            "lithops": {"backend": "localhost", "data_cleaner": False},
            "localhost": {"version": 1, "runtime": sys.executable, "worker_processes": 1},
        }
        made.append(ProcessPoolExecutor(config=config, log_level=None))
        return made[-1]

    options = {"executor": pool, "max_workers": 1}
    async with Engine(executor="futures", executor_options=options) as engine:
        assert (await engine.execute(Plan.map(abs, range(-50, 0)))).value == list(range(50, 0, -1))
    # Cleaning is not ours there, and Lithops would start a process for it that stays.
    lithops = made[0].lithops_executor
    storage = lithops.storage
    left = storage.list_keys(storage.bucket, f"lithops.jobs/{lithops.executor_id}")
    storage.delete_objects(storage.bucket, left)


async def test_workers_of_this_machine_hand_chunks_over_in_memory(tmp_path):
    await hands_chunks_over_in_memory(tmp_path, here())
