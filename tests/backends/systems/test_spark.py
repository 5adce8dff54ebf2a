import asyncio
import contextlib
import os
import threading

import psutil
import pytest

import asyncexec as ax
from asyncexec.backends.spark import SparkBackend
from asyncexec.backends.spark.options import SparkOptions
from asyncexec.backends.spark.session import SparkConnection
from asyncexec.errors import BackendError, ConfigurationError, OptionError
from asyncexec.events.outcome import Status
from asyncexec.testing import kernels
from asyncexec.testing.conformance import BackendConformance
from asyncexec.testing.driving import Driven
from asyncexec.testing.patience import scaled
from tests.backends.shared_chunks import hands_chunks_over_in_memory

pytestmark = [
    pytest.mark.backend,
    pytest.mark.asyncio,
    # py4j leaves its sockets to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
MASTER = "local[2,3]"
PATIENCE = 60.0


async def test_a_spark_of_our_own_comes_and_goes_with_its_jvm():
    async with ax.Engine(executor="spark", executor_options={"master": MASTER}) as engine:
        assert engine.backend.slots == 2
        result = await engine.execute(ax.Plan.map(lambda x: x + 1, range(1000)))
        assert result.value == list(range(1, 1001))
        names = {p.name() for p in psutil.Process().children(recursive=True)}
        assert "java" in names
    await until(lambda: not psutil.Process().children(recursive=True))


async def test_options_reach_the_workers(tmp_path):
    package = tmp_path / "brought_along"
    package.mkdir()
    (package / "__init__.py").write_text("WORD = 'here'\n")
    options = {
        "master": MASTER,
        "py_modules": [str(package)],
        "env_vars": {"ASYNCEXEC_TRIAL": "set"},
        "conf": {"spark.executorEnv.X": "1"},
        "max_workers": 1,
        "app_name": "trial",
        "cpus": 2,
    }

    def look(_item):
        import brought_along

        return brought_along.WORD, os.environ["ASYNCEXEC_TRIAL"]

    async with ax.Engine(executor="spark", executor_options=options) as engine:
        assert engine.backend.slots == 1
        assert (await engine.execute(ax.Plan.map(look, [0]))).value == [("here", "set")]


async def test_more_cores_for_a_worker_than_there_are_is_an_error_at_once():
    with pytest.raises(BackendError, match="cpus per task = 64"):
        async with SparkBackend(master=MASTER, cpus=64):
            pass


async def test_a_master_where_nothing_answers_is_given_up_at_the_bound_and_another_start_works():
    with pytest.raises(BackendError, match=r"'spark://127.0.0.1:9' within 5 s"):
        async with SparkBackend(master="spark://127.0.0.1:9", start_timeout=5):
            pass
    async with ax.Engine(executor="spark", executor_options={"master": MASTER}) as engine:
        assert (await engine.execute(ax.Plan.map(abs, [-1]))).value == [1]


async def test_a_start_that_is_cancelled_ends_its_jvm():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(4), SparkBackend(master="spark://127.0.0.1:9"):
            pass
    await until(lambda: not [c for c in psutil.Process().children() if "java" in c.name()])


async def test_workers_that_cannot_start_end_the_run_and_say_why():
    backend = SparkBackend(master=MASTER, python="/no/such/python")
    async with ax.Engine(executor=backend) as engine:
        with pytest.raises(BackendError, match="no/such/python"):
            await engine.execute(ax.Plan.map(abs, [1]))


@pytest.fixture(scope="module")
def spark():
    """A Spark for all that follows; it allows one in a process."""
    session = SparkConnection(SparkOptions(master=MASTER))
    session.open()
    yield session.context
    session.close()


@pytest.mark.leaks("Spark keeps its Python workers for the next job")
class TestSpark(BackendConformance):
    patience = PATIENCE
    many = 5_000
    owns_workers = False
    options = frozenset({"env_vars", "memory"})

    @pytest.fixture
    def backend(self, spark):
        return lambda: SparkBackend(session=spark, memory="1GB")

    @pytest.fixture
    def configured(self, spark):
        return lambda **options: SparkBackend(session=spark, **options)


@pytest.mark.leaks("the same")
class TestLent:
    async def test_a_session_that_was_lent_stays_open(self, spark):
        async with ax.Engine(executor=SparkBackend(session=spark)) as engine:
            assert (await engine.execute(ax.Plan.map(abs, [-1]))).value == [1]
        assert spark.parallelize(range(4), 2).sum() == 6

    async def test_nothing_of_ours_runs_on_a_lent_session_after_leaving(self, spark):
        async with Driven(SparkBackend(session=spark), patience=PATIENCE) as driven:
            await driven.outcomes_of(driven.send_all(driven.program(kernels.echo), range(20)))
            assert spark.statusTracker().getActiveJobsIds()
        await until(lambda: not spark.statusTracker().getActiveJobsIds())

    async def test_a_second_spark_is_refused_and_lending_advised(self, spark):
        with pytest.raises(ConfigurationError, match="Lend it"):
            async with SparkBackend(master=MASTER):
                pass

    async def test_what_is_settled_with_a_session_cannot_be_set_on_a_lent_one(self, spark):
        for option in (
            {"master": "local[1]"},
            {"conf": {"a": "b"}},
            {"python": "python3"},
            {"cpus": 2},
        ):
            with pytest.raises(OptionError, match=next(iter(option))):
                SparkBackend(session=spark, **option)

    async def test_idle_workers_give_their_places_back(self, spark):
        backend = SparkBackend(session=spark, idle_timeout=0.1)
        async with Driven(backend, patience=PATIENCE) as driven:
            program = driven.program(kernels.echo)
            for task in range(2):
                (attempt,) = driven.send(program, [task])
                assert (await driven.outcome(attempt)).status is Status.SUCCEEDED
                await until(lambda: not spark.statusTracker().getActiveJobsIds())

    async def test_more_workers_than_spark_has_room_for_are_not_waited_for(self, spark):
        backend = SparkBackend(session=spark, max_workers=8)
        async with Driven(backend, patience=PATIENCE) as driven:
            attempts = driven.send_all(driven.program(kernels.echo), range(60), size=2)
            outcomes = await driven.outcomes_of(attempts)
            assert {o.status for o in outcomes} == {Status.SUCCEEDED}
            assert len({o.worker for o in outcomes}) <= 2
            await driven.finish()

    async def test_spark_does_not_run_a_killed_worker_again(self, spark, tmp_path):
        # MASTER allows three failures of a task.
        async with Driven(SparkBackend(session=spark), patience=PATIENCE) as driven:

            def count_and_die(_index):
                with (tmp_path / "count").open("a") as file:
                    file.write("x")
                os._exit(3)

            (attempt,) = driven.send(driven.program(count_and_die), [0])
            assert (await driven.outcome(attempt)).status is Status.LOST
            await until(lambda: not spark.statusTracker().getActiveJobsIds())
        assert (tmp_path / "count").read_text() == "x"

    async def test_a_stranger_is_not_listened_to(self, spark):
        async with Driven(SparkBackend(session=spark), patience=PATIENCE) as driven:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", driven.backend._system._pool._port
            )
            writer.write(b"x" * 32)
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
            writer.close()
            (attempt,) = driven.send(driven.program(kernels.echo), [0])
            assert (await driven.outcome(attempt)).status is Status.SUCCEEDED

    async def test_leaving_ends_our_threads(self, spark):
        before = set(threading.enumerate())
        async with Driven(SparkBackend(session=spark), patience=PATIENCE) as driven:
            await driven.outcomes_of(driven.send_all(driven.program(kernels.echo), range(4)))
        await until(lambda: set(threading.enumerate()) <= before)

    async def test_arrays_are_computed_on_spark(self, spark, tmp_path):
        import numpy as np

        import asyncexec.array as xp

        spec = xp.Spec(work_dir=str(tmp_path), allowed_mem="200MB")
        x = xp.asarray(np.arange(100.0).reshape(10, 10), chunks=(3, 10), spec=spec)
        async with ax.Engine(executor=SparkBackend(session=spark)) as engine:
            assert (await engine.execute(xp.sum(x * 2))).value == 9900


async def until(holds):
    async with asyncio.timeout(scaled(PATIENCE)):
        while not holds():
            await asyncio.sleep(0.02)


async def test_workers_of_this_machine_hand_chunks_over_in_memory(spark, tmp_path):
    await hands_chunks_over_in_memory(tmp_path, SparkBackend(session=spark))
