"""The `coiled` executor in the client's local mode, with the real client and a stand-in for the service.

Against the service itself nothing has been run.
"""

import os
import time

import pytest

pytest.importorskip("coiled")

import dask
import distributed.utils

from asyncexec.backends.coiled import CoiledBackend
from asyncexec.engine import Engine
from asyncexec.events.outcome import Status
from asyncexec.plan import Plan
from asyncexec.testing import kernels
from asyncexec.testing.driving import Driven
from tests.backends.coiled.server import TOKEN, coiled_server

pytestmark = [
    pytest.mark.backend,
    pytest.mark.leaks("the client keeps a thread with an event loop of its own"),
]


@pytest.fixture(autouse=True)
async def service():
    distributed.utils._offload_executor.submit(int).result()
    async with coiled_server() as (address, asked):
        with dask.config.set({"coiled.token": TOKEN, "coiled.server": address}):
            yield asked


async def test_a_plan_runs_on_the_cluster_of_a_coiled_function(service):
    options = {"local": True, "max_workers": 2, "env_vars": {"LEVEL": "7"}}
    async with Engine(executor="coiled", executor_options=options) as engine:
        plan = Plan.map(
            lambda _: (os.environ.get("LEVEL"), os.getpid(), time.sleep(0.01)), range(50)
        )
        result = await engine.execute(plan)
        assert {level for level, *_ in result.value} == {"7"}
        assert os.getpid() not in {pid for _, pid, _ in result.value}
        assert engine.backend.capabilities.measures_memory
        assert result.peak_bytes > 0
    assert "/api/v2/user/me" in service
    assert "LEVEL" not in os.environ


async def test_a_death_costs_one_attempt_and_a_new_cluster_comes_each_time():
    for _ in range(2):
        async with Driven(CoiledBackend(local=True, max_workers=1), patience=60) as driven:
            first, second = driven.send(driven.program(kernels.die), [0, 1])
            assert (await driven.outcome(first)).status is Status.LOST
            assert (await driven.outcome(first)).started
            assert not (await driven.outcome(second)).started
            (again,) = driven.send(driven.program(kernels.echo), [2])
            assert (await driven.outcome(again)).status is Status.SUCCEEDED
            await driven.finish()
