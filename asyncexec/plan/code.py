"""What functions, classes and modules are made of, for :mod:`asyncexec.plan.digest`.

A user's function is its bytecode, constants, defaults, closure values and the globals it uses, followed into the
functions and classes it calls. What belongs to Python or to an installed package counts by its name and the package's
version: its code is not followed.
"""

from __future__ import annotations

import builtins
import dis
import functools
import sys
import sysconfig
import types
from typing import Any

_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})
_ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_INSTALLED = tuple(
    {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)
_MEMBERS = (
    types.FunctionType,
    staticmethod,
    classmethod,
    property,
    functools.cached_property,
    functools.partialmethod,
)
_DATA = (bool, int, float, complex, str, bytes, tuple, frozenset, type(None))


def parts_of_definition(value: Any) -> tuple[Any, ...]:
    """Return what ``value`` (a function, builtin, class or module) is made of."""
    if isinstance(value, types.ModuleType):
        return "module", value.__name__, _version(value.__name__)
    module = getattr(value, "__module__", None) or ""
    name = getattr(value, "__qualname__", value.__name__)
    if isinstance(value, types.BuiltinFunctionType):
        owner = value.__self__
        return "builtin", module, name, None if isinstance(owner, types.ModuleType) else owner
    if _is_installed(module):
        return "installed", module, name, _version(module)
    if isinstance(value, type):
        return "class", module, name, value.__bases__, _members(value)
    return "function", module, name, *_parts_of_function(value)


def parts_of_code(code: types.CodeType) -> tuple[Any, ...]:
    """Return what ``code`` does: everything but names of files and numbers of lines."""
    arguments = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return code.co_code, code.co_exceptiontable, code.co_consts, arguments, names


def _parts_of_function(function: types.FunctionType) -> tuple[Any, ...]:
    cells = [_content(cell) for cell in function.__closure__ or ()]
    used = [_global(function, path) for path in _paths(function.__code__)]
    wrapped = getattr(function, "__wrapped__", None)
    return function.__code__, function.__defaults__, function.__kwdefaults__, cells, used, wrapped


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return "empty cell"


def _paths(code: types.CodeType) -> list[tuple[str, ...]]:
    """Return the globals that ``code`` loads, each with the attributes taken of it at once (``np.linalg.norm``)."""
    found: dict[tuple[str, ...], None] = {}
    path: list[str] = []
    for instruction in dis.get_instructions(code):
        if instruction.opname in _ATTRIBUTES and path:
            path.append(str(instruction.argval))
            continue
        if path:
            found[tuple(path)] = None
        path = [str(instruction.argval)] if instruction.opname in _LOADS else []
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found.update(dict.fromkeys(_paths(constant)))
    return list(found)


def _global(function: types.FunctionType, path: tuple[str, ...]) -> tuple[Any, ...]:
    """Return the path, and what it leads to: attributes are followed through modules only."""
    name, *attributes = path
    if name not in function.__globals__:
        return path, "builtin" if hasattr(builtins, name) else "undefined"
    value = function.__globals__[name]
    for attribute in attributes:
        if not isinstance(value, types.ModuleType) or not hasattr(value, attribute):
            break
        value = getattr(value, attribute)
    return path, value


def _members(cls: type) -> dict[str, Any]:
    return dict(_member(name, value) for name, value in vars(cls).items() if _counts(name, value))


def _counts(name: str, value: Any) -> bool:
    if isinstance(value, _MEMBERS):
        return True
    return isinstance(value, _DATA) and not (name.startswith("__") and name.endswith("__"))


def _member(name: str, value: Any) -> tuple[str, Any]:
    if isinstance(value, staticmethod | classmethod):
        return name, (type(value).__name__, value.__func__)
    if isinstance(value, property):
        return name, ("property", value.fget, value.fset)
    if isinstance(value, functools.cached_property):
        return name, ("cached_property", value.func)
    if isinstance(value, functools.partialmethod):
        return name, ("partialmethod", value.func, value.args, value.keywords)
    return name, value


def _is_installed(module: str) -> bool:
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names and top != "__main__":
        return True
    path = getattr(sys.modules.get(top), "__file__", None) or ""
    return path.startswith(_INSTALLED)


def _version(module: str) -> str:
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return ""
    return str(getattr(sys.modules.get(top), "__version__", ""))
