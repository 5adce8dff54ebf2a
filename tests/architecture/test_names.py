"""A name of the package means one thing: a class has one home, and a function one on its floor."""

import ast
from collections import defaultdict

from tests.architecture.imports import modules, tree_of
from tests.architecture.test_floors import FLOORS, unit_of

type Homes = dict[str, set[str]]


def homes() -> tuple[Homes, dict[int, Homes]]:
    """The modules where each class is defined, and those of each function, floor by floor."""
    classes: Homes = defaultdict(set)
    functions: dict[int, Homes] = defaultdict(lambda: defaultdict(set))
    for module, path in modules().items():
        for node in tree_of(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                classes[node.name].add(module)
            elif isinstance(
                node, ast.FunctionDef | ast.AsyncFunctionDef
            ) and not node.name.startswith("_"):
                functions[FLOORS[unit_of(module)]][node.name].add(module)
    return classes, functions


def with_two_homes() -> Homes:
    classes, functions = homes()
    found = {name: where for name, where in classes.items() if len(where) > 1}
    for on_floor in functions.values():
        for name, where in on_floor.items():
            if len(where) > 1:
                found[name] = found.get(name, set()) | where
    return found


def test_a_name_has_one_home():
    assert {name: sorted(where) for name, where in with_two_homes().items()} == {}
