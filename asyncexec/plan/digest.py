"""Hashes of Python objects by what they are made of, the same in every process.

Data is hashed by type and content, containers without order (sets, dicts) in sorted order of their members' hashes,
objects by their class and state, functions by what their code does (:mod:`asyncexec.plan.code`). Nothing depends on
addresses, on ``PYTHONHASHSEED``, on file names or on line numbers.

What an object does not say of itself through pickle's protocol is asked of cloudpickle; its bytes are as stable as
cloudpickle makes them. What cannot be pickled at all (a lock, a socket) counts by its type alone.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import marshal
import struct
import types
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Any

import cloudpickle
import numpy as np

from asyncexec.plan import code

_PLAIN = frozenset({int, float, str, bytes, bool, type(None)})
_SIZE = 16


class Digest:
    """Hashes objects; one instance hashes the objects of one plan, which must not change meanwhile."""

    def __init__(self) -> None:
        # Functions, classes and modules refer to each other in circles, so that later meetings count by number.
        self._met: dict[int, tuple[int, Any]] = {}
        self._arrays: dict[int, tuple[Any, bytes]] = {}
        self._open: set[int] = set()

    def of(self, value: Any) -> bytes:
        """Return the hash (16 bytes) of ``value``."""
        kind = type(value)
        if kind in _PLAIN:
            return _hash(b"plain", marshal.dumps(value, 0))
        if id(value) in self._open:
            return _hash(b"circle", b"")
        self._open.add(id(value))
        try:
            return self._rules(kind)(value)
        finally:
            self._open.discard(id(value))

    def _rules(self, kind: type) -> Callable[[Any], bytes]:
        rule = _RULES.get(kind)
        if rule is not None:
            return functools.partial(rule, self)
        for base, general in _GENERAL:
            if issubclass(kind, base):
                return functools.partial(general, self)
        return self._object

    def _sequence(self, value: Sequence[Any]) -> bytes:
        tag = type(value).__name__.encode()
        if _PLAIN.issuperset(map(type, value)):
            return _hash(tag + b" of plain", marshal.dumps(value, 0))
        return _hash(tag, b"".join(map(self.of, value)))

    def _unordered(self, value: Iterable[Any]) -> bytes:
        return _hash(type(value).__name__.encode(), b"".join(sorted(map(self.of, value))))

    def _dict(self, value: dict[Any, Any]) -> bytes:
        pairs = sorted(self.of(key) + self.of(item) for key, item in value.items())
        return _hash(b"dict", b"".join(pairs))

    def _span(self, value: Any) -> bytes:
        parts = (value.start, value.stop, value.step)
        return _hash(type(value).__name__.encode(), self._sequence(parts))

    def _complex(self, value: complex) -> bytes:
        return _hash(b"complex", struct.pack("<dd", value.real, value.imag))

    def _named(self, value: Any) -> bytes:
        return _hash(b"named", repr(value).encode())

    def _buffer(self, value: Any) -> bytes:
        return _hash(type(value).__name__.encode(), bytes(value))

    def _array(self, value: np.ndarray[Any, Any]) -> bytes:
        known = self._arrays.get(id(value))
        if known is None:
            head = self.of((value.dtype, value.shape))
            if value.dtype.hasobject:
                body = self._sequence(value.ravel().tolist())
            else:
                body = _hash(b"elements", np.ascontiguousarray(value).view(np.uint8).data)
            known = self._arrays[id(value)] = (value, _hash(b"array", head + body))
        return known[1]

    def _dtype(self, value: np.dtype[Any]) -> bytes:
        text = repr(value.descr) if value.names else value.str
        return _hash(b"dtype", text.encode())

    def _scalar(self, value: np.generic) -> bytes:
        return _hash(b"scalar", self._dtype(value.dtype) + value.tobytes())

    def _ufunc(self, value: np.ufunc) -> bytes:
        return _hash(b"ufunc", value.__name__.encode())

    def _enum(self, value: enum.Enum) -> bytes:
        return _hash(b"enum", self.of((type(value), value.name)))

    def _partial(self, value: functools.partial[Any]) -> bytes:
        return _hash(b"partial", self.of((value.func, value.args, value.keywords)))

    def _method(self, value: types.MethodType) -> bytes:
        return _hash(b"method", self.of((value.__func__, value.__self__)))

    def _code(self, value: types.CodeType) -> bytes:
        return _hash(b"code", self.of(code.parts_of_code(value)))

    def _meeting(self, value: Any) -> bytes:
        known = self._met.get(id(value))
        if known is not None:
            return _hash(b"met", str(known[0]).encode())
        self._met[id(value)] = (len(self._met), value)
        return _hash(b"definition", self.of(code.parts_of_definition(value)))

    def _object(self, value: Any) -> bytes:
        if dataclasses.is_dataclass(value):
            fields = {f.name: getattr(value, f.name, None) for f in dataclasses.fields(value)}
            return _hash(b"dataclass", self.of((type(value), fields)))
        try:
            reduced = value.__reduce_ex__(4)
        except Exception:  # noqa: BLE001 - whatever it is that this object does not allow
            return self._pickled(value)
        if isinstance(reduced, str):
            return _hash(b"global", self.of((type(value), reduced)))
        make, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
        parts = (make, arguments, _lasting(value, state), list(items or ()), list(pairs or ()))
        return _hash(b"object", self.of(parts))

    def _pickled(self, value: Any) -> bytes:
        try:
            data = cloudpickle.dumps(value)
        except Exception:  # noqa: BLE001 - what cannot be pickled counts by its type
            data = b""
        return _hash(b"pickled", self.of(type(value)) + data)


def _lasting(value: Any, state: Any) -> Any:
    """Return ``state`` without what a ``cached_property`` left there: it comes and goes with use."""
    if not isinstance(state, dict):
        return state
    return {
        key: item
        for key, item in state.items()
        if not isinstance(getattr(type(value), str(key), None), functools.cached_property)
    }


def _hash(tag: bytes, data: bytes | memoryview) -> bytes:
    hashed = blake2b(tag, digest_size=_SIZE)
    hashed.update(b"\0")
    hashed.update(data)
    return hashed.digest()


_RULES: dict[type, Callable[[Digest, Any], bytes]] = {
    tuple: Digest._sequence,
    list: Digest._sequence,
    set: Digest._unordered,
    frozenset: Digest._unordered,
    dict: Digest._dict,
    types.MappingProxyType: lambda digest, value: digest._dict(dict(value)),
    range: Digest._span,
    slice: Digest._span,
    complex: Digest._complex,
    type(...): Digest._named,
    type(NotImplemented): Digest._named,
    bytearray: Digest._buffer,
    memoryview: Digest._buffer,
    np.ndarray: Digest._array,
    np.ufunc: Digest._ufunc,
    functools.partial: Digest._partial,
    types.MethodType: Digest._method,
    types.CodeType: Digest._code,
    types.FunctionType: Digest._meeting,
    types.BuiltinFunctionType: Digest._meeting,
    types.ModuleType: Digest._meeting,
}
_GENERAL: tuple[tuple[type, Callable[[Digest, Any], bytes]], ...] = (
    (type, Digest._meeting),
    (np.dtype, Digest._dtype),
    (np.generic, Digest._scalar),
    (enum.Enum, Digest._enum),
)
