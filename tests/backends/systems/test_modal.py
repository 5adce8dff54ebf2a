"""The suite through Modal's unmodified client and container runtime, with a control plane of our own between them."""

import pytest

from asyncexec.backends.modal import ModalBackend
from asyncexec.testing.conformance import BackendConformance

pytestmark = [pytest.mark.backend]
modal = pytest.importorskip("modal")
from tests.backends.modal_server.running import running, start_modals_threads  # noqa: E402


@pytest.fixture(scope="module")
def server():
    with running() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        start_modals_threads()
        yield server


class TestModal(BackendConformance):
    many = 1_000
    options = frozenset({"env_vars"})

    @pytest.fixture
    def backend(self, server):
        return lambda: ModalBackend(max_workers=2, image=modal.Image.debian_slim())

    @pytest.fixture
    def configured(self, server):
        image = modal.Image.debian_slim()
        return lambda **options: ModalBackend(max_workers=2, image=image, **options)
