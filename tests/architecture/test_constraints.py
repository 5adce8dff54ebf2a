"""What is installed is pinned by name and version alone, and is what the package asks for."""

import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.imports import REPOSITORY

PIN = re.compile(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.!+]+)")


def pins() -> dict[str, str]:
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    found = [PIN.fullmatch(line) for line in lines]
    assert [line for line, pin in zip(lines, found, strict=True) if pin is None] == []
    return {canonicalize_name(pin[1]): pin[2] for pin in found if pin}


def requirements() -> list[Requirement]:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    every = [Requirement(line) for lines in (project["dependencies"], *extras) for line in lines]
    return [r for r in every if r.name != project["name"]]


def test_every_dependency_is_pinned_to_a_version_it_allows():
    pinned = pins()
    assert [r.name for r in requirements() if canonicalize_name(r.name) not in pinned] == []
    wrong = [r for r in requirements() if pinned[canonicalize_name(r.name)] not in r.specifier]
    assert wrong == []


def test_there_is_no_lock_file():
    locks = ["uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "Pipfile.lock"]
    assert [name for name in locks if (REPOSITORY / name).exists()] == []
