"""The rules by which data is hashed: containers, numbers, arrays and their types."""

from __future__ import annotations

import enum
import os
import struct
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from asyncexec.plan.fingerprint.hashing import PLAIN, Hasher, hash_of, hash_of_plain
from asyncexec.plan.fingerprint.lookups import is_environment
from asyncexec.plan.fingerprint.parts import Unordered, Variable

type Rule = Callable[[Hasher, Any], bytes]


def _sequence(digest: Hasher, value: list[Any] | tuple[Any, ...]) -> bytes:
    tag = type(value).__name__.encode()
    if PLAIN.issuperset(map(type, value)):
        digest.read_over(value)
        return hash_of_plain(tag + b" of plain", value)
    return hash_of(tag, b"".join(map(digest.part, value)))


def _set(digest: Hasher, value: Iterable[Any]) -> bytes:
    return hash_of(type(value).__name__.encode(), b"".join(sorted(map(digest.independent, value))))


def _mapping(digest: Hasher, value: Mapping[Any, Any]) -> bytes:
    if PLAIN.issuperset(map(type, value)) and PLAIN.issuperset(map(type, value.values())):
        digest.read_over(value)
        digest.read_over(value.values())
        return hash_of_plain(b"mapping of plain", dict(value))
    parts = [digest.part(key) + digest.part(item) for key, item in value.items()]
    return hash_of(b"mapping", b"".join(parts))


def _unordered(digest: Hasher, value: Unordered) -> bytes:
    items = value.items
    if all(type(key) is str for key in items):
        parts = [digest.part(key) + digest.part(items[key]) for key in sorted(items)]
    else:
        parts = sorted(digest.independent(pair) for pair in items.items())
    return hash_of(b"unordered", b"".join(parts))


def _environment(digest: Hasher, value: Any) -> bytes:
    return digest.part(Variable(None) if is_environment(value) else dict(value))


def _span(digest: Hasher, value: range | slice) -> bytes:
    return hash_of(
        type(value).__name__.encode(), digest.part((value.start, value.stop, value.step))
    )


def _complex(_digest: Hasher, value: complex) -> bytes:
    return hash_of(b"complex", struct.pack("<dd", value.real, value.imag))


def _singleton(_digest: Hasher, value: Any) -> bytes:
    return hash_of(b"singleton", repr(value).encode())


def _buffer(_digest: Hasher, value: bytearray) -> bytes:
    return hash_of(b"bytearray", bytes(value))


def _view(digest: Hasher, value: memoryview) -> bytes:
    return hash_of(b"memoryview", digest.part((value.format, value.shape, bytes(value))))


def _struct(digest: Hasher, value: struct.Struct) -> bytes:
    return hash_of(b"struct", digest.part(value.format))


def _array(digest: Hasher, value: np.ndarray[Any, Any]) -> bytes:
    return digest.remembered(value, lambda: _hash_of_array(digest, value))


def _hash_of_array(digest: Hasher, value: np.ndarray[Any, Any]) -> bytes:
    if value.dtype.hasobject:
        body = digest.part(value.ravel().tolist())
    elif value.dtype.names is not None:
        # By fields, as there may be anything between them.
        body = b"".join(_hash_of_array(digest, value[name]) for name in value.dtype.names)
    else:
        body = hash_of(b"elements", _elements(value))
    return hash_of(b"array", digest.part((value.dtype, value.shape, _layout(value))) + body)


def _elements(value: np.ndarray[Any, Any]) -> memoryview:
    if (
        value.dtype.char in "gG"
        and value.dtype.itemsize > np.dtype("c16" if value.dtype.kind == "c" else "f8").itemsize
    ):
        value = _without_padding(value)
    return np.ascontiguousarray(value).reshape(-1).view(np.uint8).data


def _without_padding(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return what long floats hold, without the bytes that they do not use."""
    parts = [value.real, value.imag] if value.dtype.kind == "c" else [value]
    told = []
    with np.errstate(all="ignore"):
        for part in parts:
            mantissa, exponent = np.frexp(part)
            high = mantissa.astype("f8")
            told += [high, (mantissa - high).astype("f8"), exponent.astype("f8"), np.signbit(part)]
    return np.stack([np.asarray(each, "f8") for each in told])


def _layout(value: np.ndarray[Any, Any]) -> tuple[int, ...]:
    """Return the order in which the axes lie in memory, nothing where it is the usual one."""
    axes = [axis for axis, extent in enumerate(value.shape) if extent > 1]
    lying = sorted(axes, key=lambda axis: -abs(value.strides[axis]))
    return () if lying == axes else tuple(lying)


def _dtype(digest: Hasher, value: np.dtype[Any]) -> bytes:
    parts = (value.str, value.fields and dict(value.fields), value.subdtype, value.names)
    more = (
        repr(value) if value.num > 100 else "",
        dict(value.metadata or {}),
        value.isalignedstruct,
    )
    return hash_of(b"dtype", digest.part((*parts, *more)))


def _scalar(digest: Hasher, value: np.generic) -> bytes:
    return hash_of(b"scalar", _hash_of_array(digest, np.asarray(value)))


def _enum(digest: Hasher, value: enum.Enum) -> bytes:
    return hash_of(b"enum", digest.part((type(value), value.name, value.value)))


def _keys(digest: Hasher, value: Iterable[Any]) -> bytes:
    return hash_of(type(value).__name__.encode(), digest.part(list(value)))


DATA: Mapping[type, Rule] = {
    tuple: _sequence,
    list: _sequence,
    set: _set,
    frozenset: _set,
    dict: _mapping,
    types.MappingProxyType: _mapping,
    **dict.fromkeys((type({}.keys()), type({}.values()), type({}.items())), _keys),
    type(os.environ): _environment,
    Unordered: _unordered,
    range: _span,
    slice: _span,
    complex: _complex,
    type(...): _singleton,
    type(NotImplemented): _singleton,
    bytearray: _buffer,
    memoryview: _view,
    struct.Struct: _struct,
    np.ndarray: _array,
}
"""The rules of types themselves."""
DATA_DERIVED: tuple[tuple[type, Rule], ...] = (
    (np.dtype, _dtype),
    (np.generic, _scalar),
    (enum.Enum, _enum),
)
"""The rules of types and of all that are derived from them."""
