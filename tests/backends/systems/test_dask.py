"""The `dask` executor on real clusters on this machine: worker processes, lent clusters, what goes wrong."""

import asyncio
import contextlib
import json
import os
import time

import pytest

pytest.importorskip("distributed")

import distributed.utils
from distributed import Client, LocalCluster

from asyncexec.backends.dask import DaskBackend
from asyncexec.engine import Engine
from asyncexec.errors import BackendError, ResourceError, TaskMemoryError
from asyncexec.events.outcome import Status
from asyncexec.events.records import AttemptEnded
from asyncexec.plan import Plan
from asyncexec.testing import kernels
from asyncexec.testing.conformance import BackendConformance
from asyncexec.testing.conformance.coroutines import CoroutineRules
from asyncexec.testing.driving import Driven
from asyncexec.testing.kernels import Files, Held
from asyncexec.testing.patience import scaled
from asyncexec.worker.attempt import decode
from tests.backends.brief import Again
from tests.backends.shared_chunks import hands_chunks_over_in_memory

pytestmark = [pytest.mark.backend]


@pytest.fixture(scope="module", autouse=True)
def thread_of_dask():
    """The one thread of Dask's that outlives any cluster."""
    distributed.utils._offload_executor.submit(int).result()


@pytest.fixture(autouse=True)
async def thread_of_the_loop():
    """Dask hands what blocks to the loop's own threads, which end with the loop."""
    await asyncio.to_thread(int)


class TestDaskProcesses(BackendConformance):
    many = 2_000
    patience = 40.0
    options = frozenset({"env_vars", "resources"})

    @pytest.fixture
    def configured(self):
        return lambda **options: DaskBackend(max_workers=2, **options)

    @pytest.fixture
    def backend(self, configured):
        return configured


class TestDaskInThisProcess(Again, CoroutineRules):
    many = 2_000
    # Dask's own for large messages, and the event loop's, in which it looks addresses up.
    library_threads = ("Dask-Offload", "asyncio_")

    @pytest.fixture
    def backend(self):
        return lambda: DaskBackend(processes=False, max_workers=2)


async def values_of(engine, plan):
    return (await engine.execute(plan)).value


async def test_threads_of_a_process_give_up_what_runs_and_it_does_not_save(tmp_path):
    held, io = Held(directory=tmp_path), Files(directory=tmp_path)
    async with Driven(DaskBackend(max_workers=2, threads=2), patience=40) as driven:
        assert not driven.backend.capabilities.kills
        first, second, third = driven.send(driven.program(held, io=io), [0, 1, 2])
        await driven.started(first)
        driven.cancel([first, third])
        given_up = await driven.outcome(first)
        assert (given_up.status, given_up.started) == (Status.CANCELLED, True)
        dropped = await driven.outcome(third)
        assert (dropped.status, dropped.started) == (Status.CANCELLED, False)
        await driven.started(second)  # The rest of the batch goes on while the first still runs.
        assert driven.backend.slots == 2
        held.release()
        assert (await driven.outcome(second)).status is Status.SUCCEEDED
        await driven.finish()
    assert io.saved(1).exists()
    assert not io.saved(0).exists()
    assert not held.began(2)


async def test_a_worker_that_is_slow_is_found_out_and_left_idle(tmp_path):
    """The process of the first task takes five times as long as the others for everything."""
    file, tasks = tmp_path / "slow", 160

    def work(task):
        if task == 0:
            file.write_text(str(os.getpid()))
        is_slow = file.exists() and file.read_text() == str(os.getpid())
        time.sleep(0.5 if is_slow else 0.1)
        return os.getpid()

    ended = []
    async with Engine(executor=DaskBackend(max_workers=4), observers=[ended.append]) as engine:
        result = await engine.execute(Plan.map(work, range(tasks)))
    slow = int(file.read_text())
    (name,) = {
        e.outcome.worker
        for e in ended
        if isinstance(e, AttemptEnded) and decode(e.outcome.value) == slow
    }
    assert list(result.slow_workers) == [name]
    # The others take five tasks each while it takes one.
    assert result.value.count(slow) >= 3
    assert slow not in result.value[-4:]


async def test_the_memory_of_a_task_is_its_own_and_not_that_of_the_one_before(tmp_path):
    def hold(index):
        return len(bytearray(os.urandom(1)) * (200_000_000 if index == (0,) else 1))

    async with Driven(DaskBackend(max_workers=1), patience=40) as driven:
        assert driven.backend.capabilities.measures_memory
        attempts = driven.send(driven.program(hold, io=Files(directory=tmp_path)), [0, 1, 2])
        much, *little = [o.peak_bytes for o in await driven.outcomes_of(attempts)]
    assert much > 200_000_000
    assert all(0 < bytes_ < much - 150_000_000 for bytes_ in little)


async def test_memory_is_not_measured_where_tasks_share_a_process():
    async with Driven(DaskBackend(max_workers=2, threads=2), patience=40) as driven:
        assert not driven.backend.capabilities.measures_memory
        (attempt,) = driven.send(driven.program(lambda _: time.sleep(0.02)), [0])
        assert (await driven.outcome(attempt)).peak_bytes == 0


class TestLentCluster:
    @pytest.fixture
    async def cluster(self):
        async with LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            asynchronous=True,
            silence_logs=50,
            resources={"licence": 1},
        ) as cluster:
            yield cluster

    @pytest.mark.parametrize("how", ["cluster_address", "scheduler_file", "client", "cluster"])
    async def test_it_is_used_and_not_closed(self, cluster, how, tmp_path):
        async with Client(cluster, asynchronous=True, set_as_default=False) as client:
            (tmp_path / "file.json").write_text(json.dumps(client.scheduler_info(n_workers=-1)))
            given = {
                "cluster_address": cluster.scheduler_address,
                "scheduler_file": str(tmp_path / "file.json"),
                "client": client,
                "cluster": cluster,
            }[how]
            async with Engine(executor=DaskBackend(**{how: given})) as engine:
                assert not engine.backend.capabilities.kills
                assert engine.backend.capabilities.resources == {"licence": 2}
                assert engine.backend.capabilities.worker_bytes > 0
                assert engine.backend.slots == 2
                assert await values_of(engine, Plan.map(abs, range(-50, 0))) == [*range(50, 0, -1)]
            assert await client.submit(abs, -3) == 3  # It lives on, and so does the client.
            said = await client.run_on_scheduler(
                lambda dask_scheduler: [
                    t
                    for t in dask_scheduler._broker._topics
                    if t.startswith("asyncexec")
                    if dask_scheduler._broker._topics[t].events
                ]
            )
            assert said == []

    async def test_a_death_is_one_lost_attempt_though_dask_would_try_again(self, cluster):
        assert cluster.scheduler.allowed_failures == 3
        async with Driven(DaskBackend(cluster=cluster), patience=40) as driven:
            before = set(driven.backend._system._table.workers)
            batch = driven.send(driven.program(kernels.die), [0, 1, 2])
            first, *rest = await driven.outcomes_of(batch)
            assert (first.status, first.started) == (Status.LOST, True)
            assert first.worker in before
            assert [(o.status, o.started) for o in rest] == [(Status.LOST, False)] * 2
            (again,) = driven.send(driven.program(kernels.echo), [3])
            assert (await driven.outcome(again)).status is Status.SUCCEEDED
            await driven.finish()
        # One worker had to be started anew, and none for a second try.
        assert len(before - set(cluster.scheduler.workers)) == 1

    async def test_its_workers_are_killed_where_that_is_allowed(self, cluster, tmp_path):
        held = Held(directory=tmp_path)
        async with Driven(DaskBackend(cluster=cluster, kill_workers=True), patience=40) as driven:
            assert driven.backend.capabilities.kills
            assert driven.backend.capabilities.measures_memory
            (attempt,) = driven.send(driven.program(held), [0])
            await driven.started(attempt)
            driven.cancel([attempt])
            assert (await driven.outcome(attempt)).status is Status.CANCELLED
            size = held.traced(0)
            await asyncio.sleep(0.3)
            assert held.traced(0) == size

    async def test_named_resources_run_where_they_are(self, cluster):
        async with Engine(executor=DaskBackend(cluster=cluster), straggler=False) as engine:
            plan = Plan.map(abs, range(-6, 0), resources={"licence": 1})
            assert await values_of(engine, plan) == [6, 5, 4, 3, 2, 1]
            with pytest.raises(ResourceError, match="licence"):
                await engine.execute(Plan.map(abs, [1], resources={"licence": 3}))
            # There are two, but no worker has both: an error at once, and not a task that waits for ever.
            with pytest.raises(BackendError, match="no worker of the cluster has alone"):
                await engine.execute(Plan.map(abs, [1], resources={"licence": 2}))


async def test_a_function_that_makes_a_cluster_has_it_closed():
    made = []

    def make():
        made.append(
            LocalCluster(
                n_workers=1,
                threads_per_worker=1,
                dashboard_address="127.0.0.1:0",
                asynchronous=True,
                silence_logs=50,
            )
        )
        return made[0]

    async with Engine(executor=DaskBackend(cluster=make)) as engine:
        assert await values_of(engine, Plan.map(abs, [-1])) == [1]
        assert made[0].status.name == "running"
    assert made[0].status.name == "closed"


async def test_workers_come_while_work_waits():
    async with Engine(executor=DaskBackend(adaptive=(1, 3)), straggler=False) as engine:
        assert engine.backend.slots == 1
        plan = Plan.map(lambda item: time.sleep(0.3) or os.getpid(), range(60))
        execution = engine.start(plan)
        while engine.backend.slots < 2 and not execution.done:
            await asyncio.sleep(0.05)
        assert len(set((await execution).value)) >= 2


async def test_the_first_worker_comes_with_the_first_task():
    async with Engine(executor=DaskBackend(adaptive=(0, 1))) as engine:
        assert await values_of(engine, Plan.map(abs, [-1])) == [1]


async def test_a_cluster_without_workers_is_given_up_after_a_while():
    empty = LocalCluster(
        n_workers=0, dashboard_address="127.0.0.1:0", asynchronous=True, silence_logs=50
    )
    async with empty as cluster:
        executor = DaskBackend(cluster=cluster, patience=0.3)
        async with Engine(executor=executor) as engine:
            with pytest.raises(BackendError, match=r"no worker for 0\.3 s"):
                await engine.execute(Plan.map(abs, [1]))


async def test_to_count_no_workers_again_is_no_reason_to_wait_longer(monkeypatch):
    monkeypatch.setattr("asyncexec.backends.dask.system.REFRESH_SECONDS", 0.05)
    empty = LocalCluster(n_workers=0, dashboard_address=None, asynchronous=True, silence_logs=50)
    async with (
        empty as cluster,
        Engine(executor=DaskBackend(cluster=cluster, patience=0.5)) as engine,
    ):
        with pytest.raises(BackendError, match=r"no worker for 0\.5 s"):
            await asyncio.wait_for(engine.execute(Plan.map(abs, [1])), scaled(20))


async def test_an_address_where_nobody_answers_is_named():
    with pytest.raises(BackendError, match=r"tcp://127\.0\.0\.1:9"):
        async with DaskBackend(cluster_address="tcp://127.0.0.1:9", connect_timeout=0.5):
            pass


async def test_a_scheduler_file_that_does_not_come_is_named(tmp_path):
    with pytest.raises(BackendError, match=r"none\.json"):
        async with DaskBackend(scheduler_file=str(tmp_path / "none.json"), connect_timeout=0.1):
            pass


async def test_a_worker_over_its_memory_is_lost_and_replaced():
    async with Driven(DaskBackend(max_workers=1, memory="400MB"), patience=60) as driven:
        assert driven.backend.capabilities.worker_bytes == 400_000_000

        def hoard(_index):
            hoarded = [bytearray(os.urandom(1)) * 50_000_000 for _ in range(12)]
            time.sleep(60)
            return len(hoarded)

        (attempt,) = driven.send(driven.program(hoard), [0])
        assert (await driven.outcome(attempt)).status is Status.LOST
        (again,) = driven.send(driven.program(kernels.echo), [1])
        assert (await driven.outcome(again)).status is Status.SUCCEEDED


def hoard(index):
    if index == 1:
        hoarded = [bytearray(os.urandom(1)) * 50_000_000 for _ in range(12)]
        time.sleep(60)
        return len(hoarded)
    return index


@pytest.mark.parametrize("lent", [False, True])
async def test_a_task_over_the_memory_of_its_worker_is_out_of_memory_and_not_poison(lent):
    with contextlib.ExitStack() as stack:
        options = {"max_workers": 1, "memory": "400MB"}
        if lent:
            cluster = LocalCluster(
                n_workers=1,
                threads_per_worker=1,
                memory_limit="400MB",
                dashboard_address="127.0.0.1:0",
                host="127.0.0.1",
            )
            options = {"cluster_address": stack.enter_context(cluster).scheduler_address}
        async with Engine(executor=DaskBackend(**options)) as engine:
            with pytest.raises(TaskMemoryError, match=r"task \(1,\).*memory limit of 400"):
                await engine.execute(Plan.map(hoard, range(3)))


async def test_large_values_of_a_batch_come_while_it_runs(tmp_path):
    held = Held(directory=tmp_path, only=(2,))

    def kernel(index):
        held(index)
        return bytes(100_000)

    async with Driven(DaskBackend(max_workers=1), patience=40) as driven:
        first, second, third = driven.send(driven.program(kernel), [0, 1, 2])
        assert (await driven.outcome(first)).status is Status.SUCCEEDED
        assert (await driven.outcome(second)).status is Status.SUCCEEDED
        held.release()
        assert len(await driven.value(third)) == 100_000


async def test_the_environment_of_this_process_stays_as_it_was():
    before = dict(os.environ)
    async with DaskBackend(max_workers=1, env_vars={"OMP_NUM_THREADS": "3"}):
        pass
    assert dict(os.environ) == before


async def test_workers_of_this_machine_hand_chunks_over_in_memory(tmp_path):
    await hands_chunks_over_in_memory(tmp_path, "dask", max_workers=2)
