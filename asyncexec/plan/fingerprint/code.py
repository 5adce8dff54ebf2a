"""The parts of functions, classes and modules that count, for :mod:`asyncexec.plan.fingerprint.digest`.

A user's function is its bytecode, constants, defaults, closure values and the globals it uses, followed into the
functions and classes it calls. What belongs to Python or to an installed package counts by its name and the package's
version: its code is not followed.
"""

from __future__ import annotations

import builtins
import dis
import functools
import os
import sys
import types
from pathlib import Path
from typing import Any

_GLOBALS = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})
_ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_CACHED = 4096
"""The number of code objects (and files) in the cache: disassembling one costs more than running most of them."""
_STDLIB = str(Path(os.__file__).parent)
_INSTALLED = frozenset({"site-packages", "dist-packages"})
# Members of a class that do something count; of the others, those of its own names that are of the user's classes, or
# of modules whose objects are data. What a library adds to a class may change with use.
_DOING = (
    types.FunctionType,
    staticmethod,
    classmethod,
    property,
    functools.cached_property,
    functools.partialmethod,
)
_DATA = frozenset(
    {
        "builtins",
        "collections",
        "datetime",
        "decimal",
        "enum",
        "fractions",
        "functools",
        "numpy",
        "pathlib",
        "re",
    }
    | {"types", "uuid"}
)


def parts_of_definition(value: Any) -> tuple[Any, ...]:
    """Return the parts of ``value`` (a function, builtin, class or module) to hash."""
    if isinstance(value, types.ModuleType):
        return "module", value.__name__, _version(value.__name__)
    if isinstance(value, types.BuiltinFunctionType):
        return "builtin", value.__module__, value.__qualname__, _owner(value)
    if isinstance(value, types.FunctionType):
        return _parts_of_function(value)
    if is_installed(value.__module__):
        return "installed", value.__module__, value.__qualname__, _version(value.__module__)
    members = {name: _member(item) for name, item in vars(value).items() if _counts(name, item)}
    made = (type(value), value.__bases__)
    return "class", value.__module__, value.__qualname__, *made, members


def parts_of_code(code: types.CodeType) -> tuple[Any, ...]:
    """Return the parts of ``code`` to hash: all but file names and line numbers."""
    arguments = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return code.co_code, code.co_exceptiontable, code.co_consts, arguments, names


def _parts_of_function(function: types.FunctionType) -> tuple[Any, ...]:
    # Not `__module__`: functools.wraps makes that the wrapped function's.
    module = str(function.__globals__.get("__name__", ""))
    name = function.__qualname__
    cells = [_content(cell) for cell in function.__closure__ or ()]
    given = (cells, function.__defaults__, function.__kwdefaults__)
    if not is_installed(module):
        used = [_global(function, path) for path in _paths(function.__code__)]
        return "function", module, name, function.__code__, *given, used
    if hasattr(function, "dispatch") and (registry := getattr(function, "registry", None)):
        return (
            "single dispatch",
            name,
            dict(registry),
        )  # The others that it closes over change with use.
    # Made by another function: its name says neither which nor with what, and is that of what it wraps.
    if "<" in name or not is_installed(function.__module__):
        return "installed", module, name, _version(module), function.__code__, *given
    return "installed", module, name, _version(module)


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return "(not assigned)"


def _owner(builtin: types.BuiltinFunctionType) -> Any:
    """Return the object that a builtin method is bound to (``[].append``)."""
    owner = builtin.__self__
    return None if isinstance(owner, types.ModuleType) else owner


@functools.lru_cache(_CACHED)
def _paths(code: types.CodeType) -> tuple[tuple[str, ...], ...]:
    """Return the globals that ``code`` loads, each with the attributes that it loads of it directly (``np.sum``)."""
    found: dict[tuple[str, ...], None] = {}
    path: tuple[str, ...] = ()
    for instruction in dis.get_instructions(code):
        if instruction.opname in _GLOBALS:
            path = (str(instruction.argval),)
        elif instruction.opname in _ATTRIBUTES and path:
            found.pop(path, None)
            path = (*path, str(instruction.argval))
        else:
            path = ()
        if path:
            found[path] = None
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found.update(dict.fromkeys(_paths(constant)))
    return tuple(found)


def _global(function: types.FunctionType, path: tuple[str, ...]) -> tuple[Any, ...]:
    """Return the path and its value; attributes are followed through modules, and those that a function was given.

    The data of an installed module count by their name, like its code: the environment of a process is among them.
    """
    name, *attributes = path
    if name not in function.__globals__:
        return path, "(builtin)" if hasattr(builtins, name) else "(undefined)"
    value = function.__globals__[name]
    for attribute in attributes:
        if isinstance(value, types.FunctionType) and attribute in vars(value):
            return path, value, vars(value)[attribute]
        if not isinstance(value, types.ModuleType) or not hasattr(value, attribute):
            break
        owner, value = value, getattr(value, attribute)
        if not (isinstance(value, types.ModuleType) or callable(value)) and is_installed(
            owner.__name__
        ):
            return path, owner.__name__, _version(owner.__name__)
    return path, value


def _counts(name: str, value: Any) -> bool:
    # Nor what an enumeration keeps for itself, which has combinations of flags once they were made.
    own = not (name.startswith("_") and name.endswith("_"))
    module = type(value).__module__
    data = module.partition(".")[0] in _DATA or not is_installed(module)
    return isinstance(value, _DOING) or (own and data)


def _member(value: Any) -> Any:
    if isinstance(value, staticmethod | classmethod):
        return type(value).__name__, value.__func__
    if isinstance(value, property):
        return "property", value.fget, value.fset, value.fdel
    if isinstance(value, functools.cached_property):
        return "cached property", value.func
    if isinstance(value, functools.partialmethod):
        return "partial method", value.func, value.args, value.keywords
    return value


def is_installed(module: str) -> bool:
    """Return True if ``module`` belongs to Python or to an installed package.

    The main module never does: an installed program may run a user's code as such.
    """
    if module == "__main__":
        return False
    loaded = sys.modules.get(module)
    file = getattr(loaded, "__file__", None)
    if file is None:
        return module in sys.builtin_module_names or module in sys.stdlib_module_names
    return _is_installed_file(file)


@functools.lru_cache(_CACHED)
def _is_installed_file(file: str) -> bool:
    return file.startswith(_STDLIB) or not _INSTALLED.isdisjoint(Path(file).parts)


def _version(module: str) -> str:
    return str(getattr(sys.modules.get(module.partition(".")[0]), "__version__", ""))
