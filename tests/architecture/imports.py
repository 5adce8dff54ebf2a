"""Reads the package's source and says which module imports which, and from where."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "asyncexec"


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One imported module, as written at one place."""

    importer: str
    imported: str
    place: str
    in_function: bool


@cache
def modules() -> dict[str, Path]:
    """Every module of the package, by its dotted name."""
    return {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def module_name(path: Path) -> str:
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


@cache
def all_imports() -> tuple[Import, ...]:
    """Every import of every module; those for type checkers count, as they are knowledge too."""
    return tuple(found for name, path in modules().items() for found in imports_of(name, path))


def own_imports() -> list[Import]:
    """The imports of one of our modules by another."""
    return [i for i in all_imports() if i.imported in modules() and i.imported != i.importer]


def imports_of(name: str, path: Path) -> Iterator[Import]:
    for node, in_function in walk(tree_of(path)):
        if isinstance(node, ast.Call):
            found = module_called_for(node)
        else:
            found = imported_by(node, name, is_package=path.name == "__init__.py")
        for imported in found:
            place = f"{path.relative_to(REPOSITORY)}:{node.lineno}"
            yield Import(importer=name, imported=imported, place=place, in_function=in_function)


def walk(
    tree: ast.AST, *, in_function: bool = False
) -> Iterator[tuple[ast.Import | ast.ImportFrom | ast.Call, bool]]:
    """Every import and every call, and whether it stands in a function."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Call):
            yield node, in_function
        inside = in_function or isinstance(
            node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
        )
        yield from walk(node, in_function=inside)


def imported_by(
    node: ast.Import | ast.ImportFrom, importer: str, *, is_package: bool
) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    base = node.module or ""
    if node.level:
        above = importer.split(".")
        keep = len(above) - node.level + is_package
        base = ".".join([*above[:keep], *([base] if base else [])])
    for alias in node.names:
        submodule = f"{base}.{alias.name}"
        yield submodule if submodule in modules() else base


def module_called_for(call: ast.Call) -> Iterator[str]:
    """The module of ``import_module("…")``, however it is spelled; one whose name is computed is not seen."""
    called = (
        call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    )
    if called not in ("import_module", "__import__") or not call.args:
        return
    name = call.args[0]
    if isinstance(name, ast.Constant) and isinstance(name.value, str):
        yield name.value
