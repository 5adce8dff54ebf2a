"""What the tests of damage have in common."""

import pytest

from tests.storage.damage.chains import CHUNKS, DATA
from tests.storage.pipelines import stored


@pytest.fixture
def source(tmp_path):
    """Return an array of which each test reads."""
    return stored(tmp_path / "x.zarr", DATA, CHUNKS)
