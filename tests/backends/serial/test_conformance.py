import pytest

from asyncexec.backends.serial import SerialBackend
from tests.backends.brief import Brief


class TestSerial(Brief):
    @pytest.fixture
    def backend(self):
        return SerialBackend
