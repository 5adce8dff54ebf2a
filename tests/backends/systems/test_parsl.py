import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("parsl")

from parsl import Config, HighThroughputExecutor
from parsl.concurrent import ParslPoolExecutor
from parsl.providers import LocalProvider

from asyncexec.backends.futures import FuturesBackend
from asyncexec.engine import Engine
from asyncexec.events.outcome import Status
from asyncexec.plan import Plan
from asyncexec.testing import kernels
from asyncexec.testing.conformance import BackendConformance
from asyncexec.testing.driving import Driven
from asyncexec.testing.patience import scaled

PATIENCE = 90.0

pytestmark = [
    pytest.mark.backend,
    pytest.mark.leaks("a Parsl that is shared by tests replaces workers that died"),
]


def make_pool(folder) -> ParslPoolExecutor:
    """Two workers on this machine, on loopback; a silent one is noticed within seconds."""
    workers = HighThroughputExecutor(
        address="127.0.0.1",
        encrypted=False,
        max_workers_per_node=2,
        heartbeat_period=2,
        heartbeat_threshold=6,
        provider=LocalProvider(init_blocks=1, min_blocks=1, max_blocks=1),
    )
    config = Config(
        executors=[workers], run_dir=str(folder), initialize_logging=False, strategy="none"
    )
    return ParslPoolExecutor(config)


@pytest.fixture(scope="module", autouse=True)
def programs():
    """Parsl's own programs, which are beside the interpreter, found."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        yield


@pytest.fixture(scope="module")
def pool(programs, tmp_path_factory):
    made = make_pool(tmp_path_factory.mktemp("parsl"))
    assert made.submit(abs, -1).result(scaled(PATIENCE)) == 1
    yield made
    made.shutdown(wait=False)


class TestParsl(BackendConformance):
    """On a pool that is lent, since starting one takes ten seconds."""

    patience = PATIENCE
    many = 2_000
    owns_workers = False

    @pytest.fixture
    def backend(self, pool):
        return lambda: FuturesBackend(executor=pool, max_workers=2)


async def test_a_worker_that_died_is_told_apart_from_a_pool_that_broke(pool):
    async with Driven(FuturesBackend(executor=pool, max_workers=2), patience=PATIENCE) as drive:
        (lethal,) = drive.send(drive.program(kernels.die), [0])
        (bystander,) = drive.send(drive.program(kernels.echo), [1])
        lost = await drive.outcome(lethal)
        assert (await drive.outcome(bystander)).status is Status.SUCCEEDED
    assert lost.status is Status.LOST
    assert "WorkerLost" in lost.worker
    assert "loss of worker" in lost.error.message


async def test_what_parsl_keeps_does_not_grow_with_the_tasks(pool):
    options = {"executor": pool, "max_workers": 2}
    async with Engine(executor="futures", executor_options=options) as engine:
        assert (await engine.execute(Plan.map(abs, range(-200, 0)))).tasks == 200
    assert pool.app_count <= 3


def test_a_pool_of_ones_own_is_ended_and_nothing_is_left(tmp_path):
    """In a process of its own: Parsl has one configuration at a time."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "runs")],
        capture_output=True,
        text=True,
        timeout=scaled(PATIENCE),
        check=False,
    )
    assert done.stdout.splitlines() == ["sum 500500", "left []"], done.stderr


SCRIPT = """
import asyncio, sys, threading
import psutil
import asyncexec as ax
from parsl import Config, HighThroughputExecutor
from parsl.concurrent import ParslPoolExecutor
from parsl.providers import LocalProvider


def pool():
    workers = HighThroughputExecutor(
        address="127.0.0.1", encrypted=False, max_workers_per_node=2,
        provider=LocalProvider(init_blocks=1, min_blocks=1, max_blocks=1),
    )
    config = Config(
        executors=[workers], run_dir=sys.argv[1], initialize_logging=False, strategy="none"
    )
    return ParslPoolExecutor(config)


async def main():
    options = {"executor": pool, "max_workers": 2}
    async with ax.Engine(executor="futures", executor_options=options) as engine:
        result = await engine.execute(ax.Plan.map(lambda x: x + 1, range(1000)))
    print("sum", sum(result.value))


if __name__ == "__main__":
    asyncio.run(main())
    left = [p.name() for p in psutil.Process().children(recursive=True) if p.status() != "zombie"]
    print("left", left)
"""
