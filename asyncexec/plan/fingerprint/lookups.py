"""Functions of Python that look something up by a name, run text or import, and what of them can be followed."""

from __future__ import annotations

import functools
import os
import types
from typing import Any

from asyncexec.plan.fingerprint.hashing import PLAIN
from asyncexec.plan.fingerprint.provenance import is_installed, is_of_library, version_of

LOOKED_THROUGH = frozenset(
    {"builtins", "gc", "importlib", "inspect", "os", "pkgutil", "runpy", "sys", "types"}
)
"""Modules of Python that are followed into, also where a function imports them itself."""
READING_METHODS = frozenset({"get", "pop", "setdefault", "__getitem__", "__contains__"})
REACHING_OUT = frozenset({"__globals__", "__builtins__", "__subclasses__", "f_globals", "f_back"})
RUNNING_TEXT = frozenset({"builtins.eval", "builtins.exec", "builtins.compile"})
UNFOLLOWED = frozenset(
    {
        "builtins.eval",
        "builtins.exec",
        "builtins.compile",
        "builtins.getattr",
        "builtins.globals",
        "sys._getframe",
        "inspect.currentframe",
        "inspect.getmembers",
        "inspect.getsource",
        "inspect.stack",
        "gc.get_objects",
        "gc.get_referrers",
    }
)
_IMPORTS = frozenset(
    {
        "builtins.__import__",
        "importlib.__import__",
        "importlib.import_module",
        "importlib.reload",
        "pydoc.locate",
        "_pickle.loads",
        "_pickle.load",
    }
)


_IMPORTERS = (
    "importlib.",
    "_frozen_importlib.",
    "_frozen_importlib_external.",
    "pkgutil.",
    "runpy.",
)
FOLLOWED = frozenset(
    {
        "builtins.getattr",
        "builtins.hasattr",
        "builtins.globals",
        "builtins.__import__",
        "importlib.import_module",
        "os.getenv",
        "os.getenvb",
    }
)

_DATA = PLAIN | {complex, dict, frozenset, functools.partial, list, set, tuple}


def full_name(value: Any) -> str:
    """Return the full name of a function of Python, empty for what has none."""
    if not isinstance(value, types.BuiltinFunctionType | types.FunctionType):
        return ""
    return f"{value.__module__}.{value.__qualname__}"


def is_environment(value: Any) -> bool:
    """Return whether ``value`` is the environment of this process."""
    return value is os.environ or value is getattr(os, "environb", None)


def reads_environment(value: Any) -> bool:
    """Return whether ``value`` is the environment, or a function of Python that looks up what a text names of it."""
    return is_environment(value) or value is os.path.expandvars


def is_setting(module: str, value: Any) -> bool:
    """Return whether ``value`` is a setting of an installed package that the user may have changed."""
    plain = isinstance(value, bool | int | float | str | None)
    text = isinstance(value, str) and os.sep in value
    return plain and not text and bool(version_of(module))


def is_put_among(value: Any) -> bool:
    """Return whether ``value`` is what the user has put among the builtins of Python: a function, a class, data."""
    match value:
        case types.FunctionType():
            return not is_installed(str(value.__globals__.get("__name__", "")))
        case types.MethodType():
            return is_put_among(value.__func__)
        case type():
            return not is_of_library(value)
        case _:
            return type(value) in _DATA or not is_of_library(type(value))


def looks_up(function: str) -> bool:
    """Return whether a function of Python, by its full name, looks something up by a name, runs text or imports."""
    return function in FOLLOWED or function in UNFOLLOWED or imports_by_name(function)


def imports_by_name(function: str) -> bool:
    """Return whether a function of Python, by its full name, imports or loads what it is given the name of."""
    return function in _IMPORTS or function.startswith(_IMPORTERS)
