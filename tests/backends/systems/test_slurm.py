"""The ``slurm`` executor on a SLURM cluster of one node, started here."""

import asyncio
import os
import subprocess

import anyio
import pytest

import asyncexec as ax
from asyncexec.backends.slurm import SlurmBackend
from asyncexec.errors import OptionError
from asyncexec.events.outcome import Status
from asyncexec.testing.conformance import BackendConformance
from asyncexec.testing.driving import Driven
from asyncexec.testing.kernels import Held
from asyncexec.testing.patience import scaled
from asyncexec.worker.attempt import decode
from tests.backends.systems.slurm_here import SlurmHere, lacking

pytestmark = [
    pytest.mark.backend,
    pytest.mark.slow,
    pytest.mark.skipif(bool(lacking()), reason=f"no SLURM here: {lacking()}"),
]

ALIVE = "--states=pending,running,configuring"


@pytest.fixture(scope="module", autouse=True)
def cluster():
    with SlurmHere(cpus=8) as slurm:
        yield slurm


@pytest.fixture
def make(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jobs")
    settings = {"folder": folder, "max_workers": 4, "memory": "1GB", "poll_seconds": 0.5}
    yield lambda **options: SlurmBackend(**{**settings, **options})
    assert list(folder.iterdir()) == [], "it left files behind"


class TestSlurm(BackendConformance):
    patience = 60.0
    many = 1_000
    options = frozenset({"env_vars"})

    @pytest.fixture
    def backend(self, make):
        # Jobs stay that are avoided for a while.
        return lambda: make(linger_seconds=60.0)

    @pytest.fixture
    def configured(self, make):
        return make


async def test_tasks_that_are_ready_together_are_one_array(make):
    async with driven(make(max_workers=8)) as drive:
        program = drive.program(lambda index: os.environ.get("SLURM_ARRAY_JOB_ID"))
        attempts = [drive.send(program, [task])[0] for task in range(6)]
        arrays = {decode(o.value) for o in await drive.outcomes_of(attempts)}
    assert len(arrays) == 1
    assert None not in arrays


@pytest.mark.parametrize("linger, jobs", [(30.0, 1), (0.0, 3)])
async def test_a_job_is_kept_for_what_comes_next(make, linger, jobs):
    async with driven(make(linger_seconds=linger)) as drive:
        program = drive.program(lambda index: os.environ["SLURM_JOB_ID"])
        ids = set()
        for task in range(3):
            (attempt,) = drive.send(program, [task])
            ids.add(decode((await drive.outcome(attempt)).value))
    assert len(ids) == jobs


async def test_it_can_be_entered_again(make):
    backend = make(linger_seconds=60.0)
    for _ in range(2):
        async with driven(backend) as drive:
            (attempt,) = drive.send(drive.program(abs_of), [0])
            assert (await drive.outcome(attempt)).status is Status.SUCCEEDED


async def test_a_job_with_nothing_to_do_ends(make):
    async with driven(make(linger_seconds=0.3)) as drive:
        (attempt,) = drive.send(drive.program(abs_of), [0])
        await drive.outcome(attempt)
        with anyio.fail_after(scaled(60.0)):
            while await _run("squeue", "--noheader", ALIVE):
                await anyio.sleep(0.1)


def abs_of(index):
    return abs(index[0])


async def test_a_job_has_what_was_asked_for(make, tmp_path):
    options = {
        "partition": "long",
        "cpus": 2,
        "memory": "300MB",
        "time_limit": 120.0,
        "slurm_additional_parameters": {"comment": "from a test"},
    }
    async with driven(make(**options)) as drive:
        (attempt,) = drive.send(drive.program(_own_job), [0])
        told = decode((await drive.outcome(attempt)).value)
    for part in (
        "Partition=long",
        "NumCPUs=2",
        "MinMemoryNode=287M",
        "TimeLimit=00:02:00",
        "Requeue=0",
        "Comment=from a test",
    ):
        assert part in told, told


def _own_job(_index):
    command = ["scontrol", "show", "job", os.environ["SLURM_JOB_ID"]]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    "options, said",
    [
        ({"partition": "nowhere"}, "partition"),
        ({"memory": "900GB"}, "not available"),
        ({"cpus": 1_000}, "not available"),
        ({"gpus": 1}, "gres"),
        ({"slurm_additional_parameters": {"hamster-wheel": 1}}, "hamster-wheel"),
    ],
)
async def test_what_the_cluster_does_not_have_is_an_error_at_once(make, options, said):
    with pytest.raises(OptionError, match=said):
        async with make(**options):
            pass


async def test_a_job_that_would_wait_for_ever_is_an_error(make):
    async with ax.Engine(executor=make(partition="short", time_limit=7 * 3600)) as engine:
        with pytest.raises(ax.errors.BackendError, match="PartitionTimeLimit"):
            await engine.execute(ax.Plan.map(abs, [-1]))


async def test_a_job_that_somebody_else_cancels_is_lost(make, tmp_path):
    held = Held(directory=tmp_path)
    async with driven(make()) as drive:
        attempt, waiting = drive.send(drive.program(held), [0, 1])
        await drive.started(attempt)
        (job,) = (await _run("squeue", "--noheader", "--states=running", "--format=%i")).split()
        await _run("scancel", job)
        outcome = await drive.outcome(attempt)
        assert outcome.status is Status.LOST
        assert outcome.started
        assert "CANCELLED" in outcome.error.message
        assert not (await drive.outcome(waiting)).started


async def test_a_python_that_is_not_there_ends_the_run_with_the_log_of_the_job(make):
    async with ax.Engine(executor=make(python="/no/such/python")) as engine:
        with pytest.raises(ax.errors.TaskError, match="no/such/python"):
            await engine.execute(ax.Plan.map(abs, [-1]), retry=ax.Retry(attempts=2, base_seconds=0))


async def test_leaving_empties_the_queue(make, tmp_path):
    held = Held(directory=tmp_path)
    async with driven(make(max_workers=20)) as drive:
        attempts = [drive.send(drive.program(held), [task])[0] for task in range(20)]
        await drive.started(attempts[0])
    assert await _run("squeue", "--noheader", ALIVE) == ""


async def test_two_engines_share_a_cluster_and_a_folder(make):
    async with ax.Engine(executor=make()) as one, ax.Engine(executor=make()) as other:
        plans = [ax.Plan.map(lambda x, n=n: (n, x), range(5)) for n in range(2)]
        results = await asyncio.gather(one.execute(plans[0]), other.execute(plans[1]))
    assert [r.value for r in results] == [[(n, x) for x in range(5)] for n in range(2)]


def driven(backend) -> Driven:
    return Driven(backend, patience=60.0)


async def _run(*command: str) -> str:
    done = await anyio.run_process(command)
    return done.stdout.decode().strip()
