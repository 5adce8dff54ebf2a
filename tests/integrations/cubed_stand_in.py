"""A pytest plugin that has Cubed's own tests run on asyncexec: ``pytest -p cubed_stand_in --pyargs cubed.tests``.

Cubed's tests make the executors that they run on by name. Those of this machine are answered by ours, under the same
names, so that tests for one of them alone run as well; those of other systems count as not installed. Their files are
as Cubed ships them. Workers are started once and shared, unless a test asks for options.
"""

import sys
from contextlib import ExitStack, nullcontext

import cubed.core.array
import cubed.runtime.create
import cubed.spec
import pytest

from asyncexec.integrations.cubed import AsyncexecExecutor

BACKENDS = {"single-threaded": "serial", "threads": "threads", "processes": "processes"}
OTHER_SYSTEMS = ("apache_beam", "coiled", "dask", "lithops", "modal", "pyspark", "ray")

cubeds_own = cubed.runtime.create.create_executor
open_engines = ExitStack()
shared = {}


class StandIn(AsyncexecExecutor):
    """Our executor, by the name of Cubed's that it stands in for."""

    @property
    def name(self) -> str:
        backend = self.kwargs["executor"]
        return next(name for name, ours in BACKENDS.items() if ours == backend)

    def _running(self, options):
        if options or len(self.kwargs) > 1:
            return super()._running(options)
        if self.name not in shared:
            shared[self.name] = open_engines.enter_context(self._engine({}))
        return nullcontext(shared[self.name])


def create_executor(name, executor_options=None):
    if name in BACKENDS:
        return StandIn(BACKENDS[name], **(executor_options or {}))
    return cubeds_own(name, executor_options)


for module in OTHER_SYSTEMS:
    sys.modules[module] = None  # type: ignore[assignment]  # what Python takes for "cannot be imported"
for place in (cubed.runtime.create, cubed.spec, cubed.core.array):
    place.create_executor = create_executor


def pytest_configure(config):
    """Give Cubed's tests the settings that its repository has and its wheel has not."""
    config.addinivalue_line("markers", "cloud: needs a cloud service")
    config.addinivalue_line("markers", "slow: takes long")
    config.addinivalue_line("filterwarnings", "error::UserWarning")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("cloud"):
            item.add_marker(pytest.mark.skip(reason="needs a cloud service"))


def pytest_unconfigure():
    open_engines.close()
