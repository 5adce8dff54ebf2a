"""Hashes of Python objects by their content, the same in every process.

Data is hashed by type and content, containers without order by their members' hashes in sorted order, dataclasses by
their fields, other objects by class and state as pickle would ask for them, and functions by what their code does
(the module ``code`` next to this one). Nothing depends on addresses, on ``PYTHONHASHSEED``, on file names or on line
numbers.

A cached or compiled function is hashed by its wrapper's type and the function inside.

Objects without ``__reduce_ex__`` are pickled with cloudpickle, whose bytes are as stable as it makes them. Objects that
cannot be pickled at all (a lock, a socket) are hashed by their type alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import functools
import marshal
import struct
import types
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Any

import cloudpickle
import numpy as np

from asyncexec.errors import SerializationError
from asyncexec.plan.fingerprint.code import is_installed, parts_of_code, parts_of_definition

# marshal writes these by type and value alone: version 0 knows no references and no interning.
_PLAIN = frozenset({int, float, str, bytes, bool, type(None)})
_SIZE = 16


class Digest:
    """Hashes objects; one instance hashes the objects of one plan, which must not change meanwhile.

    Parameters
    ----------
    strict : bool
        Whether what cannot be pickled is a SerializationError, rather than hashed by its type alone.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict
        # Functions and classes refer to each other in cycles: at the second visit, they are hashed by their number.
        self._met: dict[int, tuple[int, Any]] = {}
        self._arrays: dict[int, tuple[bytes, Any]] = {}
        self._open: set[int] = set()

    def of(self, value: Any) -> bytes:
        """Return the hash (16 bytes) of ``value``."""
        kind = type(value)
        if kind in _PLAIN:
            return _hash(b"plain", marshal.dumps(value, 0))
        known = self._met.get(id(value))
        if known is not None:
            return _hash(b"met", str(known[0]).encode())
        if id(value) in self._open:
            return _hash(b"circle", b"")
        self._open.add(id(value))
        try:
            return _rule(kind)(self, value)
        finally:
            self._open.discard(id(value))

    def refuse(self, value: Any, error: Exception) -> None:
        """Raise SerializationError for an object without comparable content, where that matters."""
        if self._strict:
            raise SerializationError(
                f"a {type(value).__qualname__} cannot be hashed by its content, as it cannot be pickled: {error}"
            ) from error

    def definition(self, value: Any) -> bytes:
        """Return the hash of a function, class or module at its first visit."""
        self._met[id(value)] = (len(self._met), value)
        # A lock among a class's members, or in what a library has made of a function, is none of the user's data.
        users = isinstance(value, types.FunctionType) and not is_installed(
            str(value.__globals__.get("__name__", ""))
        )
        strict, self._strict = self._strict, self._strict and users
        try:
            return _hash(b"definition", self.of(parts_of_definition(value)))
        finally:
            self._strict = strict

    def independent(self, value: Any) -> bytes:
        """Return the hash of ``value`` that does not depend on what was visited before: for members without order."""
        if type(value) in _PLAIN:
            return self.of(value)
        met = dict(self._met)
        try:
            return self.of(value)
        finally:
            self._met = met

    def array(self, value: np.ndarray[Any, Any]) -> bytes:
        """Return the hash of an array's type, shape and elements, computed once for each array."""
        known = self._arrays.get(id(value))
        if known is None:
            if value.dtype.hasobject:
                body = self.of(value.ravel().tolist())
            else:
                body = _hash(
                    b"elements", np.ascontiguousarray(value).reshape(-1).view(np.uint8).data
                )
            head = self.of((value.dtype, value.shape))
            known = self._arrays[id(value)] = (_hash(b"array", head + body), value)
        return known[0]


def _hash(tag: bytes, data: bytes | memoryview) -> bytes:
    hashed = blake2b(tag, digest_size=_SIZE)
    hashed.update(b"\0")
    hashed.update(data)
    return hashed.digest()


def _sequence(digest: Digest, value: list[Any] | tuple[Any, ...]) -> bytes:
    tag = type(value).__name__.encode()
    if _PLAIN.issuperset(map(type, value)):
        return _hash(tag + b" of plain", marshal.dumps(value, 0))
    return _hash(tag, b"".join(map(digest.of, value)))


def _unordered(digest: Digest, value: Iterable[Any]) -> bytes:
    return _hash(type(value).__name__.encode(), b"".join(sorted(map(digest.independent, value))))


def _mapping(digest: Digest, value: Mapping[Any, Any]) -> bytes:
    if all(type(key) is str for key in value):
        parts = [digest.of(key) + digest.of(value[key]) for key in sorted(value)]
    else:
        parts = sorted(digest.independent((key, item)) for key, item in value.items())
    return _hash(b"mapping", b"".join(parts))


def _span(digest: Digest, value: range | slice) -> bytes:
    return _hash(type(value).__name__.encode(), digest.of((value.start, value.stop, value.step)))


def _complex(_digest: Digest, value: complex) -> bytes:
    return _hash(b"complex", struct.pack("<dd", value.real, value.imag))


def _singleton(_digest: Digest, value: Any) -> bytes:
    return _hash(b"singleton", repr(value).encode())


def _buffer(_digest: Digest, value: bytearray | memoryview) -> bytes:
    return _hash(type(value).__name__.encode(), bytes(value))


def _dtype(digest: Digest, value: np.dtype[Any]) -> bytes:
    return _hash(
        b"dtype", digest.of((value.str, value.fields and dict(value.fields), value.subdtype))
    )


def _scalar(digest: Digest, value: np.generic) -> bytes:
    return _hash(b"scalar", digest.of(value.dtype) + value.tobytes())


def _ufunc(digest: Digest, value: np.ufunc) -> bytes:
    return _hash(b"ufunc", digest.of((value.__name__, value.types)))


def _enum(digest: Digest, value: enum.Enum) -> bytes:
    return _hash(b"enum", digest.of((type(value), value.name, value.value)))


def _partial(digest: Digest, value: functools.partial[Any]) -> bytes:
    return _hash(b"partial", digest.of((value.func, value.args, value.keywords)))


def _method(digest: Digest, value: types.MethodType) -> bytes:
    return _hash(b"method", digest.of((value.__func__, value.__self__)))


def _code(_digest: Digest, value: types.CodeType) -> bytes:
    return _hash_of_code(value)


@functools.lru_cache(4096)
def _hash_of_code(code: types.CodeType) -> bytes:
    """Return the hash of ``code``, which can be cached: its constants are plain or code, and refer to nothing else."""
    return _hash(b"code", Digest().of(parts_of_code(code)))


def _object(digest: Digest, value: Any) -> bytes:
    kind = type(value)
    if is_installed(kind.__module__) and (inner := _inner_function(value)) is not None:
        return _hash(b"wrapper", digest.of((kind, inner)))
    if dataclasses.is_dataclass(value):
        fields = {f.name: getattr(value, f.name, None) for f in dataclasses.fields(value)}
        return _hash(b"dataclass", digest.of((kind, fields)))
    try:
        reduced = value.__reduce_ex__(4)
    except Exception:  # noqa: BLE001 - whatever it is that this object does not allow
        return _pickled(digest, value)
    if isinstance(reduced, str):
        module = getattr(value, "__module__", None)
        return _hash(b"global", digest.of((kind, module, reduced)))
    make, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
    parts = (make, arguments, _lasting(kind, state), list(items or ()), list(pairs or ()))
    return _hash(b"object", digest.of(parts))


def _inner_function(value: Any) -> types.FunctionType | None:
    """Return the function inside a cached or compiled one (``functools.lru_cache``, ``numba.jit``, ``jax.jit``)."""
    for name in ("py_func", "__wrapped__"):
        with contextlib.suppress(Exception):  # an object may answer any name as it likes
            inner = getattr(value, name)
            if isinstance(inner, types.FunctionType):
                return inner
    return None


def _lasting(kind: type, state: Any) -> Any:
    """Return ``state`` without values of cached properties, which come and go with use."""
    if not isinstance(state, dict):
        return state
    lasting = {
        name: item
        for name, item in state.items()
        if not isinstance(getattr(kind, str(name), None), functools.cached_property)
    }
    return lasting or None


def _pickled(digest: Digest, value: Any) -> bytes:
    try:
        data = cloudpickle.dumps(value)
    except Exception as error:  # noqa: BLE001 - whatever it does not allow
        # What cannot be pickled counts by its type.
        digest.refuse(value, error)
        data = b""
    return _hash(b"pickled", digest.of(type(value)) + data)


type _Rule = Callable[[Digest, Any], bytes]

_EXACT: dict[type, _Rule] = {
    tuple: _sequence,
    list: _sequence,
    set: _unordered,
    frozenset: _unordered,
    dict: _mapping,
    types.MappingProxyType: _mapping,
    range: _span,
    slice: _span,
    complex: _complex,
    type(...): _singleton,
    type(NotImplemented): _singleton,
    bytearray: _buffer,
    memoryview: _buffer,
    np.ndarray: Digest.array,
    np.ufunc: _ufunc,
    functools.partial: _partial,
    types.MethodType: _method,
    types.CodeType: _code,
    types.FunctionType: Digest.definition,
    types.BuiltinFunctionType: Digest.definition,
    types.ModuleType: Digest.definition,
}
_GENERAL: tuple[tuple[type, _Rule], ...] = (
    (type, Digest.definition),
    (np.dtype, _dtype),
    (np.generic, _scalar),
    (enum.Enum, _enum),
)


def _rule(kind: type) -> _Rule:
    exact = _EXACT.get(kind)
    if exact is not None:
        return exact
    return next((rule for base, rule in _GENERAL if issubclass(kind, base)), _object)
