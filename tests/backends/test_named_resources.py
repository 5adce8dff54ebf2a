"""Executors of this machine offer stages the resources that their options name."""

import pytest

import asyncexec as ax
from asyncexec.backends.registry import make_backend
from asyncexec.errors import OptionError, ResourceError

EXECUTORS = pytest.mark.parametrize("executor", ["threads", "processes"])


@EXECUTORS
def test_cpus_gpus_and_custom_resources_are_declared(executor):
    backend = make_backend(executor, {"max_workers": 2, "gpus": 1, "resources": {"wheels": 6}})
    assert backend.capabilities.resources == {"cpus": 2.0, "gpus": 1.0, "wheels": 6.0}
    assert make_backend(executor, {"max_workers": 2}).capabilities.resources == {"cpus": 2.0}


@EXECUTORS
@pytest.mark.parametrize(
    "options, says",
    [
        ({"gpus": -1}, "gpus must be a number of at least 0"),
        ({"resources": {"gpus": 1}}, "'gpus' is not a custom resource"),
        ({"resources": {"wheels": 0}}, "must be a number above 0"),
        ({"resources": ["wheels"]}, "must map names to values"),
    ],
)
def test_what_is_no_resource_is_refused(executor, options, says):
    with pytest.raises(OptionError, match=says):
        make_backend(executor, options)


async def test_a_stage_may_have_what_there_is_and_no_more():
    options = {"max_workers": 2, "gpus": 1, "resources": {"wheels": 6}}
    async with ax.Engine(executor="threads", executor_options=options) as engine:
        asks = {"gpus": 1, "wheels": 3, "cpus": 2}
        assert (await engine.execute(ax.Plan.map(abs, [-1, -2], resources=asks))).value == [1, 2]
        with pytest.raises(ResourceError, match="there are only 6"):
            await engine.execute(ax.Plan.map(abs, [-1], resources={"wheels": 7}))


def test_limited_workers_are_the_budget_of_the_engine():
    options = {"max_workers": 2, "memory_limit": "100MB"}
    backend = make_backend("processes", options)
    assert backend.capabilities.budget_bytes == 200_000_000
    assert ax.Engine(backend)._budget.memory_bytes == 200_000_000
    assert (
        ax.Engine("processes", executor_options=options, memory="1GB")._budget.memory_bytes == 10**9
    )
