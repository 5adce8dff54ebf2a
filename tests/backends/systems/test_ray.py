"""The `ray` executor on a real Ray on this machine."""

import contextlib

import pytest

pytest.importorskip("ray")

import ray

from asyncexec.backends.ray import RayBackend
from asyncexec.testing.conformance import BackendConformance

pytestmark = [pytest.mark.backend, pytest.mark.leaks("Ray keeps idle workers")]


class SharedRay:
    """One Ray for the tests of this module, which is lent to backends; started when it is needed."""

    def __init__(self):
        self._inside = contextlib.ExitStack()

    def ensure(self):
        if not ray.is_initialized():
            ray.init(
                address="local",
                num_cpus=2,
                object_store_memory=200_000_000,
                include_dashboard=False,
                configure_logging=False,
                log_to_driver=False,
            )

    def end(self):
        ray.shutdown()


@pytest.fixture(scope="module")
def shared_ray():
    shared = SharedRay()
    yield shared
    shared.end()


class TestRay(BackendConformance):
    many = 2_000
    owns_workers = False
    options = frozenset({"env_vars", "resources"})

    @pytest.fixture
    def backend(self, shared_ray):
        shared_ray.ensure()
        return RayBackend

    @pytest.fixture
    def configured(self, shared_ray):
        def make(**options):
            if "resources" in options:
                shared_ray.end()  # One that has them is started.
            else:
                shared_ray.ensure()
            return RayBackend(**options)

        return make
