"""What a Ray that is started here leaves on this machine and in this process: its token, and the environment."""

import os

import pytest

from asyncexec.backends.ray.token_file import keep_token_private
from tests.fresh_interpreter import printed_by

pytest.importorskip("ray")

IMPORT = """
import os

from asyncexec.backends.ray.connection import import_ray

before = dict(os.environ)
import_ray()
import ray
print(dict(os.environ) == before, os.environ.get("RAY_CLIENT_MODE"))
"""


@pytest.fixture
def token_file(tmp_path, monkeypatch):
    """The path of the token of a user who has none yet."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / ".ray" / "auth_token"


def mode_of(path):
    return path.stat().st_mode & 0o777


def test_a_token_that_is_made_can_be_read_by_its_owner_only(token_file):
    keep_token_private()
    assert mode_of(token_file) == 0o600
    assert token_file.read_text().strip()
    assert [path.name for path in token_file.parent.iterdir()] == [token_file.name]


def test_a_token_that_everybody_could_read_is_kept_and_made_private(token_file):
    token_file.parent.mkdir()
    token_file.write_text("mine")
    token_file.chmod(0o644)
    keep_token_private()
    assert mode_of(token_file) == 0o600
    assert token_file.read_text() == "mine"


@pytest.mark.parametrize("variable", ["RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"])
def test_no_token_is_made_where_the_environment_says_another(token_file, variable, monkeypatch):
    monkeypatch.setenv(variable, "elsewhere")
    keep_token_private()
    assert not token_file.exists()


@pytest.mark.parametrize("mode", [None, "0"])
def test_importing_ray_leaves_the_environment_as_it_was(mode):
    environment = {name: value for name, value in os.environ.items() if name != "RAY_CLIENT_MODE"}
    if mode is not None:
        environment["RAY_CLIENT_MODE"] = mode
    assert printed_by(IMPORT, env=environment).split() == ["True", str(mode)]
