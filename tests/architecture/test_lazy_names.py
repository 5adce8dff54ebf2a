"""Packages that import their names when they are used offer what type checkers are shown, and load nothing before."""

import ast
import importlib
import pkgutil

import pytest

from tests.architecture.imports import modules, tree_of
from tests.fresh_interpreter import printed_by

PACKAGES = ["asyncexec", "asyncexec.plan", "asyncexec.storage", "asyncexec.workflow"]
LOADED = """
import sys
{statement}
print(*sorted(name for name in sys.modules if name.split(".")[0] in ("asyncexec", "numpy", "zarr")))
"""


def loaded_after(statement: str) -> set[str]:
    return set(printed_by(LOADED.format(statement=statement)).split())


def shown_to_type_checkers(package: str) -> dict[str, str]:
    """The names imported under ``if TYPE_CHECKING``, and the module of each."""
    block = next(n for n in tree_of(modules()[package]).body if isinstance(n, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: node.module for node in imports for alias in node.names}


@pytest.mark.parametrize("package", PACKAGES)
def test_type_checkers_see_the_names_that_are_offered(package):
    offering = importlib.import_module(package)
    shown = shown_to_type_checkers(package)
    named = {name for name, module in shown.items() if module != package}
    assert sorted(offering.__all__) == sorted(named)
    for name, module in shown.items():
        assert getattr(offering, name) is getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("package", [*PACKAGES, "asyncexec.array"])
def test_all_that_is_offered_is_there(package):
    offering = importlib.import_module(package)
    assert set(offering.__all__) <= set(dir(offering))
    starred: dict[str, object] = {}
    exec(f"from {package} import *", starred)
    assert set(offering.__all__) <= set(starred)
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nonsense'"):
        offering.nonsense  # noqa: B018 - asking is the test


@pytest.mark.parametrize("package", [*PACKAGES, "asyncexec.array"])
def test_no_module_has_the_name_of_something_else_that_is_offered(package):
    offering = importlib.import_module(package)
    inside = {found.name for found in pkgutil.iter_modules(offering.__path__)}
    assert inside & set(offering.__all__) == set()


@pytest.mark.parametrize("package", [*PACKAGES, "asyncexec.array"])
def test_importing_the_package_loads_none_of_its_modules(package):
    parents = {"asyncexec", package}
    assert loaded_after(f"import {package}") == {"asyncexec.lazy", *parents}


def test_importing_a_module_of_arrays_does_not_load_the_others():
    assert "asyncexec.array.api" not in loaded_after("from asyncexec.array import chunks")
