"""The parts of functions, classes and modules that count, for :mod:`asyncexec.plan.fingerprint.digest`.

A user's function is its instructions, constants, defaults, closure values, attributes and what it uses, followed into
the functions and classes it calls. What belongs to Python or to an installed package counts by its name and the
package's version: its code is not followed.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
from typing import Any

from asyncexec.plan.fingerprint.lookups import is_environment
from asyncexec.plan.fingerprint.parts import Package, Unordered, Used, Whole
from asyncexec.plan.fingerprint.provenance import compiled_content, is_installed, is_of_library
from asyncexec.plan.fingerprint.references import references_of

# Members of a class that do something, also where their names are Python's (``__call__``).
_DOING = (
    types.FunctionType,
    staticmethod,
    classmethod,
    property,
    functools.cached_property,
    functools.partial,
    functools.partialmethod,
    functools.singledispatchmethod,
    types.MethodType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
)
_LAYOUT = (types.MemberDescriptorType, types.GetSetDescriptorType)
_OF_THE_CLASS = frozenset(
    {
        "__abstractmethods__",
        "__annotations__",
        "__annotate_func__",
        "__annotations_cache__",
        "__class_vars__",
        "__classcell__",
        "__dataclass_fields__",
        "__dataclass_params__",
        "__dict__",
        "__doc__",
        "__firstlineno__",
        "__module__",
        "__orig_bases__",
        "__parameters__",
        "__qualname__",
        "__signature__",
        "__slotnames__",
        "__static_attributes__",
        "__type_params__",
        "__weakref__",
        "_abc_impl",
    }
)
"""What Python and libraries note of a class itself: it comes with use, or follows from the rest."""
_COMPILED_BY_PYDANTIC = "__pydantic_"
_OF_WRAPPERS = frozenset({*functools.WRAPPER_ASSIGNMENTS, *functools.WRAPPER_UPDATES})


def parts_of_function(function: types.FunctionType) -> tuple[tuple[Any, ...], frozenset[str]]:
    """Return the parts of ``function`` to hash, and the words in its code."""
    # Not `__module__`: functools.wraps makes that the wrapped function's.
    module = str(function.__globals__.get("__name__", ""))
    name = function.__qualname__
    defaults = (function.__defaults__, Unordered(function.__kwdefaults__ or {}))
    if not users(function):
        given = (function.__code__, [_content(c) for c in function.__closure__ or ()], defaults)
        return _parts_of_installed(function, module, name, given), frozenset()
    used, words = references_of(function)
    cells = [_content(cell) for cell in function.__closure__ or ()]
    # What is captured of these counts by what is taken of it.
    cells = [
        "(followed)" if isinstance(c, types.ModuleType) or is_environment(c) else c for c in cells
    ]
    given = (function.__code__, cells, defaults)
    said = {n: v for n, v in vars(function).items() if n not in _OF_WRAPPERS}
    return ("function", name, *given, Used((*used, Unordered(said)))), words


def users(function: types.FunctionType) -> bool:
    """Return whether the code of ``function`` is the user's."""
    return not is_installed(str(function.__globals__.get("__name__", "")))


def _parts_of_installed(
    function: types.FunctionType, module: str, name: str, given: tuple[Any, ...]
) -> tuple[Any, ...]:
    if hasattr(function, "dispatch") and (registry := getattr(function, "registry", None)):
        # The others that it closes over change with use.
        return "single dispatch", name, Unordered(dict(registry))
    # Made by another function: its name says neither which nor with what, and is that of what it wraps.
    if "<" in name or not is_installed(function.__module__):
        return "installed", name, Package(module), *given
    return "installed", name, Package(module)


def parts_of_class(value: type) -> tuple[Any, ...]:
    """Return the parts of a class to hash: of a user's, its bases and all of its members."""
    module = str(value.__module__)
    if is_of_library(value):
        content = "" if is_installed(module) else compiled_content(module)
        return "installed", value.__qualname__, Package(module), content, _patched(value)
    members = {
        name: member(item) for name, item in vars(value).items() if _counts(value, name, item)
    }
    made = (type(value), value.__bases__)
    order: tuple[Any, ...] = ()
    if issubclass(value, enum.Enum):
        order = (*value.__members__, str(getattr(value, "_boundary_", None)))
    fields = vars(value).get("__dataclass_fields__", {})
    order += tuple(_field(field) for field in fields.values())
    return "class", module, value.__qualname__, *made, Used((Unordered(members), order))


def parts_of_builtin(value: types.BuiltinFunctionType) -> tuple[Any, ...]:
    """Return the parts of a compiled function to hash."""
    owner = value.__self__
    module = str(value.__module__ or "")
    if isinstance(owner, types.ModuleType):
        module, owner = owner.__name__, None
    if module and not is_installed(module):
        return "compiled", module, value.__qualname__, owner, compiled_content(module)
    return "builtin", value.__qualname__, owner, Package(module)


def parts_of_module(value: types.ModuleType) -> Any:
    """Return what a module counts by where code takes it as a whole."""
    if is_installed(value.__name__):
        return Package(value.__name__)
    content = compiled_content(value.__name__)
    if content:
        return "compiled", value.__name__, content
    reason = "is taken as a whole, not by one of its names"
    return Whole(vars(value), reason, all_around=hasattr(value, "__path__"))


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return "(not assigned)"


def _patched(value: type) -> Unordered:
    """Return the methods that the user has given to a class of a library."""
    methods = {n: m for n, m in vars(value).items() if type(m) is types.FunctionType}
    library = str(value.__module__).partition(".")[0]
    return Unordered(
        {
            name: method
            for name, method in methods.items()
            if not str(method.__globals__.get("__name__", "")).startswith(library)
            and "<" not in method.__code__.co_filename
            and users(method)
        }
    )


def _field(field: dataclasses.Field[Any]) -> tuple[Any, ...]:
    made = (field.default, field.default_factory, field.init, field.kw_only)
    return field.name, *made, field.compare, field.metadata


def _counts(owner: type, name: str, value: Any) -> bool:
    if isinstance(value, _LAYOUT) or name in _OF_THE_CLASS:
        return False
    if isinstance(value, _DOING):
        return True
    if name.startswith(_COMPILED_BY_PYDANTIC):
        return name == "__pydantic_fields__"
    if name.startswith("_") and name.endswith("_") and issubclass(owner, enum.Enum):
        return False  # What an enumeration keeps for itself has combinations of flags once they were made.
    return not (name.startswith("_") and _is_of_its_library(owner, value))


def _is_of_its_library(owner: type, value: Any) -> bool:
    """Return whether a private member was put there by the library whose class the user's is derived from."""
    library = str(type(value).__module__).partition(".")[0]
    if library == "builtins" or not is_installed(library):
        return False
    made_by = {str(base.__module__).partition(".")[0] for base in owner.__mro__}
    made_by.add(str(type(owner).__module__).partition(".")[0])
    return library in made_by


def member(value: Any) -> Any:
    """Return what counts of a member of a class: what is inside a property or a static method, or the value itself."""
    if isinstance(value, staticmethod | classmethod):
        return type(value).__name__, value.__func__
    if isinstance(value, property):
        return type(value), value.fget, value.fset, value.fdel
    if isinstance(value, functools.cached_property):
        return "cached property", value.func
    if isinstance(value, functools.partialmethod):
        return "partial method", value.func, value.args, value.keywords
    return value
