"""The rules by which objects of each type are hashed, for :mod:`asyncexec.plan.fingerprint.digest`."""

from __future__ import annotations

import contextlib
import contextvars
import copyreg
import dataclasses
import functools
import gc
import threading
import types
import warnings
import weakref
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np

from asyncexec.plan.fingerprint.code import member, users
from asyncexec.plan.fingerprint.data_rules import DATA, DATA_DERIVED, Rule
from asyncexec.plan.fingerprint.hashing import PLAIN, Hasher, hash_of
from asyncexec.plan.fingerprint.parts import Absent, Package, Unordered, Used, Variable, Whole
from asyncexec.plan.fingerprint.process_state import is_harmless, is_of_process
from asyncexec.plan.fingerprint.provenance import (
    is_installed,
    is_installed_file,
    is_of_library,
)

_PROTOCOL = 4


def rule_of(kind: type) -> Rule:
    """Return how objects of type ``kind`` are hashed."""
    exact = _EXACT.get(kind)
    if exact is not None:
        return exact
    return next((rule for base, rule in _GENERAL if issubclass(kind, base)), _object)


# functions, and what wraps them


def _ufunc(digest: Hasher, value: np.ufunc) -> bytes:
    inside = _functions_inside(value)
    return hash_of(
        b"ufunc", digest.part((value.__name__, value.types, repr(value.identity), inside))
    )


def _partial(digest: Hasher, value: functools.partial[Any]) -> bytes:
    return hash_of(b"partial", digest.part((value.func, value.args, value.keywords)))


def _method(digest: Hasher, value: types.MethodType) -> bytes:
    return hash_of(b"method", digest.part((value.__func__, value.__self__)))


def _wrapped(value: Any) -> Any:
    """Return what is inside a cached or compiled function (``functools.lru_cache``, ``numba.jit``, ``jax.jit``)."""
    for name in ("py_func", "__wrapped__"):
        with contextlib.suppress(Exception):  # an object may answer any name as it likes
            inner = getattr(value, name)
            if callable(inner):
                return inner
    return None


def _functions_inside(value: Any) -> list[types.FunctionType]:
    """Return the user's functions that an object holds which does not show what it holds."""
    held = [*gc.get_referents(value), *getattr(value, "__dict__", {}).values()]
    found = {id(f): f for f in held if type(f) is types.FunctionType and users(f)}
    return sorted(found.values(), key=lambda f: f.__qualname__)


def _wrapper(digest: Hasher, value: Any, inner: Any) -> bytes:
    kind = type(value)
    how: Any = None
    if kind is _CACHE:
        how = Unordered(value.cache_parameters())
    others = [f for f in _functions_inside(value) if f is not inner]
    names = functools.WRAPPER_ASSIGNMENTS
    said = {
        name: item
        for name, item in getattr(value, "__dict__", {}).items()
        if kind is _CACHE and name not in {*names, "__wrapped__", "cache_parameters"}
    }
    return hash_of(b"wrapper", digest.part((kind, inner, how, others, Unordered(said))))


_CACHE = type(functools.lru_cache(int))


# objects


def _object(digest: Hasher, value: Any) -> bytes:
    kind = type(value)
    if is_of_process(value):
        return _of_process(digest, value)
    if isinstance(value, _WEAK):
        return _weak(digest, value)
    if any(f"{base.__module__}.{base.__qualname__}" == "ctypes.CDLL" for base in kind.__mro__):
        return _library(digest, value)
    if is_of_library(kind) and (inner := _wrapped(value)) is not None:
        return _wrapper(digest, value, inner)
    if dataclasses.is_dataclass(value):
        return _dataclass(digest, value)
    return _by_state(digest, value)


def _by_state(digest: Hasher, value: Any) -> bytes:
    kind = type(value)
    try:
        reduced = _reduced(value)
    except Exception:  # noqa: BLE001 - whatever it is that this object does not allow
        return _opaque(digest, value)
    if isinstance(reduced, str):
        return _by_name(digest, value, reduced)
    make, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
    state = _lasting(kind, state)
    parts = (_made_by(make), arguments, state, list(items or ()), list(pairs or ()))
    return hash_of(b"object", digest.part((*parts, _left_out(value, reduced))))


def _reduced(value: Any) -> Any:
    if type(value).__module__ != "itertools":
        return value.__reduce_ex__(_PROTOCOL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return value.__reduce_ex__(_PROTOCOL)


def _left_out(value: Any, reduced: tuple[Any, ...]) -> Any:
    """Return the attributes of an object that pickle leaves out, as the library class it is derived from does."""
    kind = type(value)
    if is_of_library(kind) or reduced[0] is copyreg.__newobj__:  # type: ignore[attr-defined] # it has it
        return None
    said = {"__reduce__", "__reduce_ex__", "__getstate__"}
    owner = next((c for c in kind.__mro__ if not said.isdisjoint(vars(c))), object)
    if owner is object or not is_of_library(owner):
        return None
    return _lasting(kind, dict(getattr(value, "__dict__", {})))


def _made_by(make: Any) -> Any:
    return "getattr" if make is getattr else make


def _of_process(digest: Hasher, value: Any) -> bytes:
    kind = type(value)
    if not (digest.takes_process_state or is_harmless(value)):
        digest.refuse(value, "it belongs to this process")
    parts: tuple[Any, ...] = (f"{kind.__module__}.{kind.__qualname__}",)
    if isinstance(value, contextvars.ContextVar):
        digest.overlook(f"the value of the context variable {value.name}")
        with contextlib.suppress(LookupError):  # It has no default.
            parts = (*parts, contextvars.Context().run(value.get))
    elif isinstance(value, threading.local):
        digest.overlook("values that belong to one thread")
    if not is_of_library(kind):
        plain = {n: v for n, v in getattr(value, "__dict__", {}).items() if not n.startswith("_")}
        shown = {n: v for n, v in plain.items() if type(v) in PLAIN or type(v) in _CONTAINERS}
        parts = (kind, Unordered(shown))
    return hash_of(b"of the process", digest.part(parts))


_CONTAINERS = frozenset({list, tuple, dict, set, frozenset, np.ndarray})


_WEAK = (weakref.ref, weakref.WeakSet, weakref.WeakKeyDictionary, weakref.WeakValueDictionary)


def _weak(digest: Hasher, value: Any) -> bytes:
    if isinstance(value, weakref.ref):
        held: Any = value()
    elif isinstance(value, weakref.WeakSet):
        held = set(value)
    else:
        held = Unordered(dict(value.items()))
    return hash_of(b"weak", digest.part((type(value), held)))


def _dataclass(digest: Hasher, value: Any) -> bytes:
    kind = type(value)
    fields = {f.name: getattr(value, f.name, None) for f in dataclasses.fields(value)}
    others = {n: v for n, v in getattr(value, "__dict__", {}).items() if n not in fields}
    return hash_of(b"dataclass", digest.part((kind, fields, _lasting(kind, others))))


def _by_name(digest: Hasher, value: Any, name: str) -> bytes:
    """Return the hash of an object that pickle stores by its name in a module."""
    kind = type(value)
    module = str(getattr(value, "__module__", None) or kind.__module__)
    if is_installed(module) and is_of_library(kind):
        return hash_of(b"global", digest.part((kind, name, Package(module))))
    state = Unordered(getattr(value, "__dict__", {}))
    inside = _functions_inside(value)
    return hash_of(b"global", digest.part((kind, module, name, state, inside)))


def _lasting(kind: type, state: Any) -> Any:
    """Return ``state`` without values of cached properties and caches, which come and go with use."""
    if isinstance(state, tuple) and len(state) == 2:  # Of the object's dict, and of its slots.
        return tuple(_lasting(kind, part) for part in state)
    if not isinstance(state, dict):
        return state
    lasting = {
        name: item
        for name, item in state.items()
        if not isinstance(getattr(kind, str(name), None), functools.cached_property)
        and not (name == "_ufunc" and issubclass(kind, np.vectorize))
    }
    return Unordered(lasting) if lasting else None


def _member(digest: Hasher, value: Any) -> bytes:
    return hash_of(b"member", digest.part(member(value)))


def _library(digest: Hasher, value: Any) -> bytes:
    """Return the hash of a compiled library that ``ctypes`` has loaded: of its file, where that is the user's."""
    file = Path(str(value._name))  # noqa: SLF001 - it has no other name
    content = b""
    if file.is_file() and not is_installed_file(str(file.resolve())):
        content = file.read_bytes()
    return hash_of(b"library", digest.part((type(value), file.name)) + content)


def _opaque(digest: Hasher, value: Any) -> bytes:
    kind = type(value)
    inside, state = _functions_inside(value), _state(value)
    if not any(is_of_library(base) for base in kind.__mro__[:-1]):
        return hash_of(b"state", digest.part((kind, inside, state, _shown(value))))
    try:
        data = cloudpickle.dumps(value)
    except Exception as error:  # noqa: BLE001 - whatever it does not allow
        # What cannot be pickled counts by its type, and by what it shows.
        if not ((inside or state) and callable(value)):
            digest.refuse(value, error)
        data = b""
    return hash_of(b"pickled", digest.part((kind, inside, state, _shown(value))) + data)


def _state(value: Any) -> Any:
    """Return the attributes of an object of the user's that does not allow to be pickled."""
    held = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        slots = [n for n, s in vars(kind).items() if isinstance(s, types.MemberDescriptorType)]
        held |= {n: getattr(value, n) for n in slots if hasattr(value, n)}
    return _lasting(type(value), held)


def _shown(value: Any) -> Unordered:
    """Return the plain data that an object of a compiled type shows by its attributes."""
    shown: dict[str, Any] = {}
    for kind in type(value).__mro__:
        for name, item in vars(kind).items():
            if isinstance(item, types.MemberDescriptorType | types.GetSetDescriptorType):
                with contextlib.suppress(Exception):  # an object may refuse to show it
                    shown.setdefault(name, getattr(value, name))
    return Unordered({n: v for n, v in shown.items() if type(v) in PLAIN and n != "__doc__"})


_EXACT: dict[type, Rule] = {
    **DATA,
    **dict.fromkeys((staticmethod, classmethod, property, functools.cached_property), _member),
    functools.partialmethod: _member,
    np.ufunc: _ufunc,
    functools.partial: _partial,
    types.MethodType: _method,
    types.CodeType: lambda digest, value: digest.code(value),
    **dict.fromkeys(
        (
            types.FunctionType,
            types.BuiltinFunctionType,
            types.ModuleType,
            Used,
            Package,
            Variable,
            Whole,
            Absent,
        ),
        lambda digest, value: digest.definition(value),
    ),
}
_GENERAL: tuple[tuple[type, Rule], ...] = (
    (type, lambda digest, value: digest.definition(value)),
    (types.ModuleType, lambda digest, value: digest.definition(value)),
    *DATA_DERIVED,
)
