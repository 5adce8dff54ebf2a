"""The source of the user's own modules, and of those they import, as hashes: for code that cannot be followed.

Comments, blank lines, line numbers and docstrings do not count. Nothing is imported, so that it does not matter what
has been.
"""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

from asyncexec.plan.fingerprint.provenance import is_installed_file, spec_of, would_be_installed

_CACHED = 4096
_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
_SUFFIXES = (".py", *EXTENSION_SUFFIXES)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """The hash of one file's source, and what it imports: level, module, and name taken from it or an empty one."""

    content: str
    imports: tuple[tuple[int, str, str], ...]


def sources_of(namespace: Mapping[str, Any], *, all_around: bool) -> dict[str, str]:
    """Return the hashes of the sources of a module and of the user's modules that it imports, by module.

    Parameters
    ----------
    namespace : mapping
        The module's globals. Without a source (in a notebook), there is none in the result.
    all_around : bool
        Whether to take as well all of the package that it belongs to or, if that is none, what lies in its folder:
        what may be imported by a name that is worked out.
    """
    name, file = _name_of(namespace), namespace.get("__file__")
    if not isinstance(file, str) or not Path(file).is_file():
        return {}
    package = str(namespace.get("__package__") or "")
    if hasattr(sys.modules.get(name), "__path__"):
        package = name
    open_ends = [(name, file, package)]
    if all_around:
        open_ends += _around(name, file)
    return _closure(open_ends)


def sources_of_module(module: str) -> dict[str, str]:
    """Return the hashes of the sources of a module of the user's that is not loaded, and of what it imports."""
    found = _located(module)
    return _closure([found] if found else [])


def has_source(namespace: Mapping[str, Any]) -> bool:
    """Return whether the file of a module is there."""
    file = namespace.get("__file__")
    return isinstance(file, str) and Path(file).is_file()


def _closure(open_ends: list[tuple[str, str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    while open_ends:
        name, file, package = open_ends.pop()
        if name in found:
            continue
        source = _read(file)
        found[name] = source.content
        open_ends += _imported(source, package)
    return found


def _name_of(namespace: Mapping[str, Any]) -> str:
    spec = namespace.get("__spec__")
    return str(getattr(spec, "name", None) or namespace.get("__name__", ""))


def _imported(source: SourceFile, package: str) -> Iterator[tuple[str, str, str]]:
    for level, module, name in source.imports:
        base = module
        if level:
            around = package.rsplit(".", level - 1)[0] if level > 1 else package
            base = f"{around}.{module}" if module else around
        for candidate in _prefixes(f"{base}.{name}" if name else base):
            found = _located(candidate)
            if found is not None:
                yield found


def _prefixes(module: str) -> Iterator[str]:
    parts = module.split(".")
    return (".".join(parts[: i + 1]) for i in range(len(parts)))


def _located(module: str) -> tuple[str, str, str] | None:
    if not module or would_be_installed(module):
        return None
    spec = spec_of(module)
    if spec is None or not spec.origin or not Path(spec.origin).is_file():
        return None
    inside = spec.submodule_search_locations is not None
    return module, spec.origin, module if inside else module.rpartition(".")[0]


def _around(name: str, file: str) -> Iterator[tuple[str, str, str]]:
    top = name.partition(".")[0]
    folder = Path(file).parent
    if "." in name or Path(file).stem == "__init__":
        spec = spec_of(top)
        places = [Path(p) for p in (spec and spec.submodule_search_locations) or [str(folder)]]
        for place in places:
            yield from _tree(place, top)
        return
    for entry in sorted(folder.iterdir()):
        if entry.suffix in _SUFFIXES and entry.is_file():
            yield entry.name.partition(".")[0], str(entry), ""
        elif (entry / "__init__.py").is_file() and not would_be_installed(entry.name):
            yield from _tree(entry, entry.name)


def _tree(folder: Path, package: str) -> Iterator[tuple[str, str, str]]:
    for path in sorted(folder.rglob("*")):
        if path.suffix not in _SUFFIXES or not path.is_file() or is_installed_file(str(path)):
            continue
        *inner, last = path.relative_to(folder).parts
        stem = last.partition(".")[0]
        around = ".".join((package, *inner))
        yield (around if stem == "__init__" else f"{around}.{stem}"), str(path), around


def _read(file: str) -> SourceFile:
    try:
        status = Path(file).stat()
    except OSError:
        return SourceFile("", ())
    return _read_once(file, status.st_mtime_ns, status.st_size)


@functools.lru_cache(_CACHED)
def _read_once(file: str, _modified: int, _size: int) -> SourceFile:
    data = Path(file).read_bytes()
    try:
        tree = ast.parse(data) if file.endswith(".py") else None
    except (SyntaxError, ValueError):
        tree = None
    if tree is None:
        return SourceFile(blake2b(data, digest_size=16).hexdigest(), ())
    imports = tuple(_imports(tree))
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    text = ast.dump(tree, annotate_fields=False)
    return SourceFile(blake2b(text.encode(errors="replace"), digest_size=16).hexdigest(), imports)


def _imports(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.level, node.module or "", "" if alias.name == "*" else alias.name
