"""The origin of code: Python, an installed package with its version, or the user. Nothing is imported for it."""

from __future__ import annotations

import functools
import os
import sys
from hashlib import blake2b
from importlib import metadata
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_CACHED = 4096
_STDLIB = str(Path(os.__file__).parent) + os.sep
_INSTALLED = frozenset({"site-packages", "dist-packages"})
_MADE_BY_PYTHON = 1 << 9
_ENGINE = __name__.partition(".")[0]
_MAKING_CLASSES = frozenset({"abc", "builtins", "enum", "types", "typing"})
"""The modules that classes have which code makes while it runs, if nobody says another."""


def is_installed(module: str) -> bool:
    """Return True if ``module`` belongs to Python, to an installed package or to this engine.

    The main module never does: an installed program may run a user's code as such.
    """
    if module in {"__main__", "__mp_main__"}:
        return False
    if module.partition(".")[0] == _ENGINE:
        return True
    loaded = sys.modules.get(module)
    file = getattr(loaded, "__file__", None) or next(iter(getattr(loaded, "__path__", ())), None)
    if not isinstance(file, str):
        return module in sys.builtin_module_names or module in sys.stdlib_module_names
    return is_installed_file(file)


def is_of_library(kind: type) -> bool:
    """Return True if a class belongs to Python, to an installed package or to this engine, or is compiled.

    A class that code makes while it runs (``type(name, bases, members)`` with an abstract base, ``types.new_class``,
    ``exec``) has the module of what made it, where nobody finds it: it is the user's.
    """
    if not kind.__flags__ & _MADE_BY_PYTHON:
        return True
    module = str(kind.__module__)
    return is_installed(module) and not _is_made_on_the_way(kind, module)


def _is_made_on_the_way(kind: type, module: str) -> bool:
    if module not in _MAKING_CLASSES:
        return False
    found: Any = sys.modules.get(module)
    for name in kind.__qualname__.split("."):
        found = None if found is None else vars(found).get(name)
    return found is None


def would_be_installed(module: str) -> bool:
    """Return :func:`is_installed` of a module that need not be loaded, True also if there is none of that name."""
    top = module.partition(".")[0]
    if top in sys.modules or top in sys.stdlib_module_names:
        return is_installed(top)
    spec = spec_of(top)
    if spec is None:
        return True
    places = [spec.origin] if spec.has_location else spec.submodule_search_locations or []
    return all(is_installed_file(place) for place in places if place)


@functools.lru_cache(_CACHED)
def is_installed_file(file: str) -> bool:
    """Return True if ``file`` lies in Python's own library or among installed packages."""
    return file.startswith(_STDLIB) or not _INSTALLED.isdisjoint(Path(file).parts)


def spec_of(module: str) -> ModuleSpec | None:
    """Return how ``module`` would be imported, without importing it or a package around it; None if it cannot be."""
    loaded = getattr(sys.modules.get(module), "__spec__", None)
    if isinstance(loaded, ModuleSpec):
        return loaded
    package, _, _ = module.rpartition(".")
    try:
        if not package:
            return find_spec(module)
        around = spec_of(package)
        places = around and around.submodule_search_locations
        return PathFinder.find_spec(module, list(places)) if places else None
    except (ImportError, ValueError, AttributeError):
        return None


def version_of(module: str) -> str:
    """Return the version of the package that ``module`` belongs to, empty for Python's own."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return ""
    found = _version_of_package(top)
    if found is not None:
        return found
    if top in sys.modules:
        return str(getattr(sys.modules[top], "__version__", ""))
    return _version_by_contents(top) if spec_of(top) is not None else ""


@functools.lru_cache(_CACHED)
def _version_of_package(name: str) -> str | None:
    try:
        return metadata.version(name)
    except (metadata.PackageNotFoundError, ValueError):
        return None


@functools.lru_cache(_CACHED)
def _version_by_contents(top: str) -> str:
    # Goes through all that is installed.
    return " ".join(
        metadata.version(name) for name in metadata.packages_distributions().get(top, ())
    )


def compiled_content(module: str) -> str:
    """Return a hash of the file of a compiled module of the user's, empty for others."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if not isinstance(file, str) or not file.endswith(tuple(EXTENSION_SUFFIXES)):
        return ""
    try:
        return blake2b(Path(file).read_bytes(), digest_size=16).hexdigest()
    except OSError:
        return ""
