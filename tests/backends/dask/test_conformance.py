"""The quick part of what the `dask` backend promises: a cluster within this process."""

import asyncio

import pytest

pytest.importorskip("distributed")

import dask
import distributed.utils
from distributed import LocalCluster

from asyncexec.backends.dask import DaskBackend, scaling, system
from asyncexec.engine import Engine
from asyncexec.events.outcome import Status
from asyncexec.plan import Plan
from asyncexec.plan.locality import Locality
from asyncexec.testing import kernels
from asyncexec.testing.conformance.placement import PlacementRules
from asyncexec.testing.driving import Driven
from asyncexec.testing.kernels import Held


@pytest.fixture(scope="module", autouse=True)
def thread_of_dask():
    """The one thread of Dask's that outlives any cluster."""
    distributed.utils._offload_executor.submit(int).result()


@pytest.fixture(autouse=True)
async def thread_of_the_loop():
    """Dask hands what blocks to the loop's own threads, which end with the loop."""
    await asyncio.to_thread(int)


class TestTwoWorkersInThisProcess(PlacementRules):
    @pytest.fixture
    def backend(self):
        return lambda: DaskBackend(cluster=two_workers)


def two_workers():
    return LocalCluster(
        n_workers=2,
        threads_per_worker=2,
        processes=False,
        dashboard_address="127.0.0.1:0",
        asynchronous=True,
    )


async def test_what_is_to_run_apart_waits_for_another_worker_but_not_for_ever(
    tmp_path, monkeypatch
):
    held = Held(directory=tmp_path, only=(0, 1, 2))
    async with Driven(DaskBackend(cluster=two_workers), patience=20) as driven:
        program = driven.program(held)
        attempts = [driven.send(program, [task])[0] for task in range(3)]
        names = [(await driven.started(attempt)).worker for attempt in attempts]
        (roomy,) = (name for name in names if names.count(name) == 1)
        (full,) = set(names) - {roomy}
        monkeypatch.setattr(system, "APART_SECONDS", 0.1)
        (backup,) = driven.send(program, [3], apart_from={roomy})
        outcome = await driven.outcome(backup)
        assert outcome.worker == roomy  # As the other's threads stayed busy.
        monkeypatch.setattr(system, "APART_SECONDS", 60)
        (backup,) = driven.send(program, [4], apart_from={roomy})
        while not driven.backend._system._unplaced:
            await asyncio.sleep(0.01)
        held.release()
        assert (await driven.outcome(backup)).worker == full
        await driven.finish()


async def test_leaving_does_not_wait_for_a_task_that_runs(tmp_path):
    held = Held(directory=tmp_path)
    async with Driven(DaskBackend(processes=False, max_workers=1), patience=20) as driven:
        (attempt,) = driven.send(driven.program(held), [0])
        await driven.started(attempt)
    size = held.traced(0)
    while held.traced(0) == size:
        await asyncio.sleep(0.01)
    held.release()


async def test_a_lent_cluster_in_this_process_shares_its_memory():
    unpicklable = (x for x in [7])
    async with LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        dashboard_address="127.0.0.1:0",
        worker_dashboard_address="127.0.0.1:0",
        asynchronous=True,
        silence_logs=50,
    ) as cluster:
        async with Engine(executor=DaskBackend(cluster=cluster)) as engine:
            assert engine.backend.capabilities.locality is Locality.SAME_PROCESS
            assert (await engine.execute(Plan.map(lambda _: next(unpicklable), [0]))).value == [7]
        assert cluster.status.name == "running"


@pytest.mark.parametrize("adaptive", [False, (1, 1)])
async def test_a_worker_that_is_gone_for_good_is_replaced_in_a_cluster_made_for_us(
    adaptive, monkeypatch
):
    monkeypatch.setattr(scaling, "RETRY_AFTER_SECONDS", 0.2)
    made = []

    def make():
        made.append(
            LocalCluster(
                n_workers=1,
                threads_per_worker=1,
                processes=False,
                dashboard_address="127.0.0.1:0",
                asynchronous=True,
            )
        )
        return made[0]

    with dask.config.set({"distributed.deploy.lost-worker-timeout": "100 ms"}):
        executor = DaskBackend(cluster=make, adaptive=adaptive, patience=20)
        async with Driven(executor, patience=30) as driven:
            program = driven.program(kernels.echo)
            (first,) = driven.send(program, [0])
            assert (await driven.outcome(first)).status is Status.SUCCEEDED
            (worker,) = made[0].workers.values()
            await worker.close()
            while made[0].workers:
                await asyncio.sleep(0.01)
            assert len(made[0].worker_spec) == 1  # The cluster believes that it has what it should.
            (second,) = driven.send(program, [1])
            assert (await driven.outcome(second)).status is Status.SUCCEEDED


async def test_that_a_worker_has_left_is_found_out_also_when_it_was_not_told(
    monkeypatch,
):
    monkeypatch.setattr(system, "REFRESH_SECONDS", 0.1)
    monkeypatch.setattr(distributed.Client, "subscribe_topic", lambda *_: None)
    monkeypatch.setattr(distributed.Client, "unsubscribe_topic", lambda *_: None)
    async with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            dashboard_address="127.0.0.1:0",
            asynchronous=True,
        ) as cluster,
        DaskBackend(cluster=cluster) as backend,
    ):
        assert backend.capabilities.worker_bytes is not None
        cluster.scale(0)
        while backend.capabilities.worker_bytes is not None:
            await asyncio.sleep(0.01)
