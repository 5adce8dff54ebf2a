"""All of a module of the user's: its source, that of what it imports, and what is in it now."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from typing import Any

from asyncexec.plan.fingerprint.parts import Package, Unordered, Whole
from asyncexec.plan.fingerprint.process_state import is_of_process
from asyncexec.plan.fingerprint.provenance import is_installed
from asyncexec.plan.fingerprint.sources import has_source, sources_of

_DATA = frozenset({"numpy", "pandas", "xarray"})
_NOTEBOOK = frozenset({"In", "Out", "exit", "quit", "get_ipython"})


def sources_of_whole(whole: Whole) -> dict[str, str]:
    """Return the hashes of the sources that belong to ``whole``, by module."""
    return sources_of(whole.namespace, all_around=whole.all_around)


def members_of(whole: Whole) -> Unordered:
    """Return what is in a module now.

    Of a script only functions and classes count: its variables are those of the driver, and its source says how they
    were made.
    """
    namespace = whole.namespace
    name = str(namespace.get("__name__", ""))
    only_definitions = name == "__main__" and has_source(namespace)
    return Unordered(dict(_members(namespace, name, only_definitions=only_definitions)))


def _members(
    namespace: dict[str, Any], module: str, *, only_definitions: bool
) -> Iterator[tuple[str, Any]]:
    notebook = module == "__main__" and "get_ipython" in namespace
    for name, value in namespace.items():
        if notebook and name.startswith("_"):
            continue  # What it keeps of every cell.
        if (name.startswith("__") and name != "__getattr__") or name in _NOTEBOOK:
            continue
        if isinstance(value, types.ModuleType):
            if is_installed(value.__name__):
                yield name, Package(value.__name__)
            elif value.__name__ not in {f"{module}.{name}", "__main__"}:
                yield name, Whole(vars(value), f"is in {module}, which counts as a whole")
        elif isinstance(value, types.FunctionType | type) or (
            not only_definitions and _holds_data(value)
        ):
            yield name, value


def _holds_data(value: Any) -> bool:
    module = str(type(value).__module__)
    top = module.partition(".")[0]
    data = top in _DATA or not is_installed(module) or top in sys.stdlib_module_names
    return data and not is_of_process(value)
