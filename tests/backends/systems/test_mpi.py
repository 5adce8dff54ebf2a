import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

pytest.importorskip("mpi4py")

from mpi4py.futures import MPIPoolExecutor

from asyncexec.backends.futures import FuturesBackend
from asyncexec.errors import BackendError
from asyncexec.testing.conformance import BackendConformance

pytestmark = [
    pytest.mark.backend,
    pytest.mark.leaks("an mpiexec that MPI starts stays, and with it what it has not waited for"),
]

SECONDS = 120.0


@pytest.fixture(scope="module", autouse=True)
def mpiexec():
    """MPI's own programs, which come with its wheel, found."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        # The first pool of a process starts MPI, which stays as long as the process does.
        with MPIPoolExecutor(max_workers=2) as pool:
            assert pool.submit(abs, -1).result(SECONDS) == 1
        yield


class TestSpawned(BackendConformance):
    """A pool whose workers MPI starts when they are needed."""

    patience = 60.0
    many = 2_000

    @pytest.fixture
    def backend(self):
        return lambda: FuturesBackend(executor=lambda: MPIPoolExecutor(max_workers=2))


async def test_without_mpiexec_it_is_an_error_instead_of_the_end(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BackendError, match="'mpiexec', which is not on PATH"):
        async with FuturesBackend(executor=lambda: MPIPoolExecutor(max_workers=2)):
            pass


SCRIPT = """
import asyncio, os, psutil, sys
import asyncexec as ax
from mpi4py import MPI
from mpi4py.futures import MPIPoolExecutor


def deadly(item):
    if item == 3:
        os._exit(13)
    return item


def listening(item):
    processes = [psutil.Process(), psutil.Process().parent()]  # This rank, and what has started it.
    return sum(
        connection.status == psutil.CONN_LISTEN
        for process in processes
        for connection in process.net_connections(kind="inet")
    )


async def main():
    options = {"executor": MPIPoolExecutor(), "batch_limit": 1}
    async with ax.Engine(executor="futures", executor_options=options) as engine:
        print("slots", engine.backend.slots, flush=True)
        result = await engine.execute(ax.Plan.map(lambda x: x + 1, range(500)))
        print("sum", sum(result.value), flush=True)
        if "ports" in sys.argv:
            found = await engine.execute(ax.Plan.map(listening, range(4)))
            print("ports", sorted(set(found.value + [listening(0)])), flush=True)
        if "deadly" in sys.argv:
            try:
                await engine.execute(ax.Plan.map(deadly, range(6)), timeout=1.0, retry=False)
            except ax.TaskError as error:
                print(type(error).__name__, error.index, flush=True)
            result = await engine.execute(ax.Plan.map(abs, range(-50, 0)))
            print("and on", len(result.value), "on", engine.backend.slots, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.fixture
def world(tmp_path):
    """Start the script as one of three ranks: the driver, and two workers."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    started = []

    def start(*options, arguments=(), program="mpiexec"):
        command = [
            *(program, *options, "-n", "3", sys.executable, "-m", "mpi4py.futures"),
            *(str(script), *arguments),
        ]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=Path(__file__).parents[3],
            start_new_session=True,  # MPI ends whole groups of processes
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
        process.communicate()


def test_ranks_that_mpiexec_has_started_are_workers(world):
    process = world()
    told, _ = process.communicate(timeout=SECONDS)
    assert told.splitlines() == ["slots 2", f"sum {sum(range(501))}"]
    assert process.returncode == 0


def test_on_one_machine_no_port_need_be_opened(world, monkeypatch):
    """As the page says."""
    monkeypatch.setenv("UCX_TLS", "self,sysv,posix")
    told, _ = world(program="mpiexec.gforker", arguments=["ports"]).communicate(timeout=SECONDS)
    assert told.splitlines() == ["slots 2", f"sum {sum(range(501))}", "ports [0]"]


def test_a_dead_rank_is_ended_by_the_timeout_and_the_others_go_on(world):
    """Only the end of the program has to be forced: MPI waits for the dead to take their leave."""
    process = world("-disable-auto-cleanup", arguments=["deadly"])
    assert [process.stdout.readline().strip() for _ in range(4)] == [
        "slots 2",
        f"sum {sum(range(501))}",
        "TaskTimeoutError (3,)",
        "and on 50 on 1",
    ]


def test_a_dead_rank_ends_the_program_where_mpi_cleans_up(world):
    process = world(arguments=["deadly"])
    told, _ = process.communicate(timeout=SECONDS)
    assert "TaskTimeoutError" not in told
    assert "and on" not in told
    assert process.returncode != 0
