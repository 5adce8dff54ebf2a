"""Importing starts nothing, and asks for nothing that is optional."""

import json
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions

import pytest

from tests.architecture.imports import REPOSITORY, modules

LOOK = """
import sys, json, threading, importlib
importlib.import_module(sys.argv[1])
import psutil
print(json.dumps({
    "threads": [t.name for t in threading.enumerate() if t is not threading.main_thread()],
    "processes": [p.name() for p in psutil.Process().children()],
    "loaded": sorted({name.split(".")[0] for name in sys.modules}),
}))
"""


@cache
def optional_modules() -> set[str]:
    """What is imported from the distributions that only the extras install."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    optional = {
        canonical(line) for name, lines in extras.items() if name != "test" for line in lines
    } - {"asyncexec"}
    return {
        module
        for module, distributions in packages_distributions().items()
        if optional & {canonical(d) for d in distributions}
    }


def canonical(requirement: str) -> str:
    name = re.match(r"[\w.-]+", requirement)
    assert name, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def after_import(module: str) -> dict[str, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", LOOK, module], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "module", ["asyncexec", "asyncexec.array", "asyncexec.workflow", "asyncexec.testing"]
)
def test_importing_starts_nothing_and_loads_no_extra(module):
    if module not in modules():
        pytest.skip("not built")
    found = after_import(module)
    assert found["threads"] == []
    assert found["processes"] == []
    assert optional_modules() & set(found["loaded"]) == set()


def test_the_optional_modules_are_known():
    assert {"rich", "typer", "matplotlib"} <= optional_modules()
