"""An object is found by the path of its module and its name."""

import os

import pytest

from asyncexec.config.dotted import DottedPath


@pytest.mark.parametrize("text", ["os.path:join", "os.path.join"])
def test_a_path_is_of_a_module_and_a_name_in_it(text):
    dotted = DottedPath.of(text)
    assert dotted == DottedPath("os.path", "join")
    assert dotted.load() is os.path.join


def test_a_name_may_be_in_a_class():
    assert DottedPath.of("builtins:dict.fromkeys").load() == dict.fromkeys


@pytest.mark.parametrize(
    "text", ["", "os", ":join", "os.path:", "os-path:join", "os..path:join", "a:b:c"]
)
def test_what_is_no_path_is_none(text):
    assert DottedPath.of(text) is None


@pytest.mark.parametrize(
    "missing, lacks",
    [("no_such.module", True), ("no_such", True), ("no_such.mod", False), ("numpy", False)],
)
def test_a_module_that_is_not_there_is_the_paths_own_or_another(missing, lacks):
    error = ModuleNotFoundError("no", name=missing)
    assert DottedPath.of("no_such.module:Thing").lacks(error) is lacks
