"""The `dask` executor on Dask workers that are SLURM jobs, made by dask-jobqueue."""

import asyncio
import os
import sys

import pytest

pytest.importorskip("dask_jobqueue")

import dask
import distributed.utils
from dask_jobqueue import SLURMCluster

from asyncexec.backends.dask import DaskBackend
from asyncexec.engine import Engine
from asyncexec.plan import Plan
from asyncexec.testing import kernels
from asyncexec.testing.driving import Driven
from asyncexec.testing.kernels import Held
from tests.backends.systems.slurm_here import SlurmHere, lacking

pytestmark = [
    pytest.mark.backend,
    pytest.mark.slow,
    pytest.mark.skipif(bool(lacking()), reason=f"no SLURM here: {lacking()}"),
]


@pytest.fixture(scope="module", autouse=True)
def slurm():
    distributed.utils._offload_executor.submit(int).result()
    with SlurmHere(cpus=4) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
async def thread_of_the_loop():
    await asyncio.to_thread(int)


@pytest.fixture
def jobs(tmp_path):
    def make():
        return SLURMCluster(
            queue="short",
            cores=1,
            processes=1,
            memory="1GB",
            walltime="00:10:00",
            python=sys.executable,
            local_directory=str(tmp_path),
            log_directory=str(tmp_path),
            job_script_prologue=[f"export PYTHONPATH={os.pathsep.join(filter(None, sys.path))}"],
            scheduler_options={"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"},
            asynchronous=True,
        )

    return make


async def test_jobs_come_when_work_waits_and_end_with_the_engine(jobs, slurm):
    executor = DaskBackend(cluster=jobs, adaptive=(0, 2), patience=60)
    async with Engine(executor=executor, straggler=False) as engine:
        result = await engine.execute(Plan.map(abs, range(-1_000, 0)))
        assert result.value == list(range(1_000, 0, -1))
        told = await run("squeue", "--noheader", "--states=running", "--format=%j")
        assert told.split() in (["dask-worker"], ["dask-worker"] * 2)
    while await run("squeue", "--noheader", "--states=running,pending", "--format=%i"):
        await asyncio.sleep(0.2)


async def test_a_job_that_dies_costs_its_attempt_and_a_task_can_be_killed(jobs, tmp_path):
    held = Held(directory=tmp_path)
    executor = DaskBackend(cluster=jobs, adaptive=(1, 1), kill_workers=True, patience=60)
    async with Driven(executor, patience=90) as driven:
        (lethal,) = driven.send(driven.program(kernels.die), [0])
        assert (await driven.outcome(lethal)).status.name == "LOST"
        (long,) = driven.send(driven.program(held), [0])
        await driven.started(long)
        driven.cancel([long])
        assert (await driven.outcome(long)).status.name == "CANCELLED"
        size = held.traced(0)
        (again,) = driven.send(driven.program(kernels.echo), [1])
        assert (await driven.outcome(again)).status.name == "SUCCEEDED"
        assert held.traced(0) == size
        await driven.finish()


async def test_a_job_that_is_ended_from_outside_is_followed_by_another(jobs):
    def one_job():
        cluster = jobs()
        cluster.scale(1)
        return cluster

    with dask.config.set({"distributed.deploy.lost-worker-timeout": "1s"}):
        async with Driven(DaskBackend(cluster=one_job, patience=60), patience=90) as driven:
            program = driven.program(kernels.echo)
            (before,) = driven.send(program, [0])
            assert (await driven.outcome(before)).status.name == "SUCCEEDED"
            (job,) = (await run("squeue", "--noheader", "--states=running", "--format=%i")).split()
            await run("scancel", job)
            while job in (await run("squeue", "--noheader", "--format=%i")).split():
                await asyncio.sleep(0.2)
            (after,) = driven.send(program, [1])
            assert (await driven.outcome(after)).status.name == "SUCCEEDED"
            await driven.finish()


async def run(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return output.decode()
