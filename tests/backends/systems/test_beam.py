import os
import tempfile

import psutil
import pytest

import asyncexec as ax
from asyncexec.backends.beam import BeamBackend
from asyncexec.backends.beam.stores import CallFiles
from asyncexec.errors import BackendError
from asyncexec.events.outcome import Status
from asyncexec.testing import kernels
from asyncexec.testing.conformance import BackendConformance
from asyncexec.testing.driving import Driven
from tests.backends.brief import Again

pytestmark = [pytest.mark.backend]
PATIENCE = 60.0


class TestDirect(BackendConformance):
    """Elements run in threads of this process."""

    patience = PATIENCE
    many = 2_000
    options = frozenset({"max_workers"})

    @pytest.fixture
    def backend(self):
        return lambda: BeamBackend(max_workers=2)

    @pytest.fixture
    def configured(self):
        return BeamBackend


class TestStorage(Again):
    """Calls and answers travel through a directory, as they do to runners elsewhere."""

    patience = PATIENCE
    many = 1_000

    @pytest.fixture
    def backend(self, tmp_path):
        return lambda: BeamBackend(max_workers=2, work_dir=str(tmp_path / "work"))


class TestBundles:
    """The runner that repeats what failed."""

    async def test_it_runs_plans(self):
        options = {"runner": "BundleBasedDirectRunner", "max_workers": 2}
        async with ax.Engine("beam", executor_options=options) as engine:
            result = await engine.execute(ax.Plan.map(lambda x: x + 1, range(200)))
        assert result.value == list(range(1, 201))
        assert result.attempts == 200

    async def test_a_task_that_raises_is_not_repeated_by_beam(self, tmp_path):
        def count_and_fail(_index):
            with (tmp_path / "count").open("a") as file:
                file.write("x")
            raise ValueError("no")

        backend = BeamBackend(runner="BundleBasedDirectRunner", max_workers=1)
        async with Driven(backend, patience=PATIENCE) as driven:
            (attempt,) = driven.send(driven.program(count_and_fail), [0])
            assert (await driven.outcome(attempt)).status is Status.FAILED
            await driven.finish()
        assert (tmp_path / "count").read_text() == "x"

    async def test_an_element_that_comes_again_is_lost_and_not_run_again(
        self, tmp_path, monkeypatch
    ):
        def refuse(self, name, data):
            raise OSError("the answer cannot be written")

        def count(_index):
            with (tmp_path / "count").open("a") as file:
                file.write("x")

        monkeypatch.setattr(CallFiles, "answer", refuse)
        backend = BeamBackend(
            runner="BundleBasedDirectRunner", max_workers=1, work_dir=str(tmp_path / "work")
        )
        async with Driven(backend, patience=PATIENCE) as driven:
            (attempt,) = driven.send(driven.program(count), [0])
            outcome = await driven.outcome(attempt)
            assert outcome.status is Status.LOST
            assert outcome.started
            assert outcome.worker
            await driven.finish()
        assert (tmp_path / "count").read_text() == "x"


@pytest.mark.leaks("Beam's job service keeps its threads")
async def test_tasks_in_processes_of_beams_own(tmp_path):
    options = {"direct_running_mode": "multi_processing", "direct_num_workers": 1}
    backend = BeamBackend(max_workers=1, work_dir=str(tmp_path), options=options)
    async with Driven(backend, patience=PATIENCE) as driven:
        attempts = driven.send(driven.program(kernels.process), [0, 1])
        outcomes = await driven.outcomes_of(attempts)
        await driven.finish()
    assert {o.status for o in outcomes} == {Status.SUCCEEDED}
    assert all(o.worker and not o.worker.endswith(f":{os.getpid()}") for o in outcomes)


@pytest.mark.leaks("Beam's job service keeps its threads")
async def test_the_servers_of_beams_own_processes_listen_on_loopback(tmp_path):
    options = {"direct_running_mode": "multi_processing", "direct_num_workers": 1}
    backend = BeamBackend(max_workers=1, work_dir=str(tmp_path), options=options)
    driver = os.getpid()

    def listening(_index):
        return [
            connection.laddr.ip
            for process in (os.getpid(), driver)
            for connection in psutil.Process(process).net_connections(kind="inet")
            if connection.status == psutil.CONN_LISTEN
        ]

    async with Driven(backend, patience=PATIENCE) as driven:
        (attempt,) = driven.send(driven.program(listening), [0])
        found = await driven.value(attempt)
        await driven.finish()
    assert found
    assert set(found) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


async def test_a_runner_that_cannot_be_loaded_is_an_error_that_says_so(tmp_path):
    options = {"runner": "no.such.Runner", "work_dir": str(tmp_path)}
    async with ax.Engine("beam", executor_options=options) as engine:
        with pytest.raises(BackendError, match=r"no\.such\.Runner"):
            await engine.execute(ax.Plan.map(abs, [1]))


async def test_leaving_removes_what_was_in_storage(tmp_path):
    async with ax.Engine(
        "beam", executor_options={"work_dir": str(tmp_path), "max_workers": 1}
    ) as engine:
        assert (await engine.execute(ax.Plan.map(abs, [-1, -2]))).value == [1, 2]
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


async def test_a_run_leaves_no_folders_and_opens_no_ports(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    async with ax.Engine("beam", executor_options={"max_workers": 2}) as engine:
        ports = []

        def look(_index):
            ports.extend(
                connection.laddr
                for connection in psutil.Process().net_connections(kind="inet")
                if connection.status == psutil.CONN_LISTEN
            )

        await engine.execute(ax.Plan.map(look, range(10)))
    assert ports == []
    assert list(tmp_path.iterdir()) == []
