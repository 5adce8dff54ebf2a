import pytest


@pytest.fixture
def folder(tmp_path):
    """A directory for chunks in memory, in place of a memory file system."""
    made = tmp_path / "memory"
    made.mkdir()
    return made
