import pytest

from asyncexec.backends.serial import SerialBackend
from asyncexec.testing.conformance import BackendConformance


class TestSerial(BackendConformance):
    @pytest.fixture
    def backend(self):
        return SerialBackend
