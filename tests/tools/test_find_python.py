"""The set-up finds a Python, or says what would help."""

import subprocess
import sys
from pathlib import Path

import pytest

FIND_PYTHON = Path(__file__).parents[2] / "tools" / "find-python"


def find(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(FIND_PYTHON)],
        env={"HOME": "/nowhere", "PATH": "", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def executable(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def is_python_to_build_with(answer: str) -> bool:
    return Path(answer.strip()).samefile(sys.executable)


def test_nothing_to_be_found_is_said_with_a_way_out():
    done = find()
    assert done.returncode == 1
    assert done.stdout == ""
    assert "needs Python 3.12 or newer" in done.stderr
    assert "make PYTHON=" in done.stderr


def test_the_one_that_is_named_is_taken():
    assert is_python_to_build_with(find(PYTHON=sys.executable).stdout)


@pytest.mark.parametrize("script", ["exit 127", "exit 1"], ids=["broken shim", "too old"])
def test_a_name_that_does_not_run_is_passed_over(tmp_path, script):
    executable(tmp_path / "python3.12", script)
    executable(tmp_path / "python3", f'exec "{sys.executable}" "$@"')
    assert is_python_to_build_with(find(PATH=str(tmp_path)).stdout)


def test_one_that_is_named_and_does_not_run_is_an_error_even_if_others_do(tmp_path):
    executable(tmp_path / "python3", f'exec "{sys.executable}" "$@"')
    done = find(PATH=str(tmp_path), PYTHON="/nowhere/python")
    assert done.returncode == 1
    assert "PYTHON=/nowhere/python is not" in done.stderr


def test_pyenvs_versions_are_found_without_pyenv_on_path(tmp_path):
    executable(tmp_path / "versions/3.9.1/bin/python3", "exit 1")
    executable(tmp_path / "versions/3.13.1/bin/python3", f'exec "{sys.executable}" "$@"')
    assert is_python_to_build_with(find(PYENV_ROOT=str(tmp_path)).stdout)
