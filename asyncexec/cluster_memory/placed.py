"""The memory of workers that are elsewhere: each value is a file or object in a place that all of them reach."""

from __future__ import annotations

import hashlib
import pickle
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from asyncexec.cluster_memory.entries import memory_closed
from asyncexec.cluster_memory.host_memory import WHERE, pickle_shared
from asyncexec.cluster_memory.keys import key_not_found
from asyncexec.errors import ClusterMemoryError
from asyncexec.storage.places.locations import Location
from asyncexec.storage.values.blobs import Blobs
from asyncexec.worker.value_layout import load_value, write_value

LONGEST_NAME = 200
_HEAD = struct.Struct("<dI")  # The time when it is gone, or 0, and the bytes of its key.
_ALIGNMENT = 64
_STAYING, _EXPIRING, _HASHED = "k-", "t-", "h"


class _Header(NamedTuple):
    """A value's key, when it is gone, and where it begins in its file."""

    key: str
    expires_at: float
    start: int


class PlacedMemoryClient:
    """The memory of one space, in a place.

    A value that expires has a name of its own, so that only such values need be looked into to list keys.

    Parameters
    ----------
    location : Location
        Of the space; a directory must be there as long as the space is open.
    clock : callable
        Returns the time in seconds since the epoch.
    """

    def __init__(self, location: Location, clock: Callable[[], float] = time.time) -> None:
        self._blobs = Blobs(location)
        self._clock = clock

    def put(self, namespace: str, key: str, value: Any, ttl: float | None) -> None:
        """Store a value."""
        buffers: list[pickle.PickleBuffer] = []
        data = pickle_shared(value, buffers)
        expires_at = 0.0 if ttl is None else self._clock() + ttl
        pieces = _Pieces(_head(key, expires_at))
        write_value(pieces, data, [buffer.raw() for buffer in buffers])
        staying, expiring = _names(namespace, key)
        name, other = (staying, expiring) if ttl is None else (expiring, staying)
        try:
            self._blobs.put(name, pieces.pieces)
        except FileNotFoundError:
            raise memory_closed() from None
        self._blobs.delete([other])

    def get(self, namespace: str, key: str) -> Any:
        """Return a value."""
        for name in _names(namespace, key):
            found = self._found(name)
            if found is not None:
                header, whole = found
                value = whole[header.start :]
                # What comes from a store is nobody's to change; a mapped file is private to this process.
                return load_value(bytearray(value) if value.readonly else value)
        self._check_open()
        raise key_not_found(key, namespace, self.keys(namespace), WHERE)

    def delete(self, namespace: str, key: str) -> bool:
        """Delete a value."""
        there = self.exists(namespace, key)
        self._blobs.delete(_names(namespace, key))
        return there

    def exists(self, namespace: str, key: str) -> bool:
        """Return whether there is a value."""
        staying, expiring = _names(namespace, key)
        if self._blobs.exists(staying) or self._found(expiring) is not None:
            return True
        self._check_open()
        return False

    def keys(self, namespace: str) -> Sequence[str]:
        """Return the keys of a namespace, in the order of their names."""
        self._check_open()
        return sorted(set(self._keys(namespace)))

    def clear(self, namespace: str) -> None:
        """Delete all values of a namespace."""
        self._check_open()
        self._blobs.delete([f"{_folder(namespace)}/{name}" for name in self._listed(namespace)])

    def _keys(self, namespace: str) -> Iterator[str]:
        for name in self._listed(namespace):
            if name.startswith(_STAYING):
                yield unquote(name.removeprefix(_STAYING))
            elif (found := self._found(f"{_folder(namespace)}/{name}")) is not None:
                yield found[0].key

    def _listed(self, namespace: str) -> list[str]:
        folder = f"{_folder(namespace)}/"
        keys = [entry.key for entry in self._blobs.entries()]
        return [key.removeprefix(folder) for key in keys if key.startswith(folder)]

    def _found(self, name: str) -> tuple[_Header, memoryview] | None:
        """Return a value that has not expired; one that has is deleted."""
        whole = self._blobs.get(name)
        if whole is None:
            return None
        header = _header(whole)
        if 0.0 < header.expires_at <= self._clock():
            self._blobs.delete([name])
            return None
        return header, whole

    def _check_open(self) -> None:
        path = self._blobs.location.local_path
        if path is not None and not path.is_dir():
            raise memory_closed()


@dataclass(frozen=True, slots=True)
class PlacedAddress:
    """The address of a memory in a place.

    Attributes
    ----------
    location : Location
    """

    location: Location

    def open(self) -> PlacedMemoryClient:
        """Return a client, which opens the place when it is first called."""
        return _opened(self.location)


@dataclass(frozen=True, slots=True)
class NoMemoryAddress:
    """The address of a memory that there is not.

    Attributes
    ----------
    executor : str
        The executor's name.
    """

    executor: str

    def open(self) -> PlacedMemoryClient:
        """Raise ClusterMemoryError."""
        raise ClusterMemoryError(
            f"there is no cluster memory for workers of executor {self.executor!r}, which are on other machines: give "
            f"work_dir='…' to the run or the Engine, a directory or bucket that all of them reach"
        )


class _Pieces:
    """A file of pieces in memory, which are not copied."""

    def __init__(self, head: bytes) -> None:
        self.pieces: list[bytes | memoryview] = [head]

    def write(self, data: bytes | memoryview) -> None:
        self.pieces.append(data)


@lru_cache(maxsize=16)
def _opened(location: Location) -> PlacedMemoryClient:
    """Return the client of this process for a place, since to open one may be dear."""
    return PlacedMemoryClient(location)


def _folder(namespace: str) -> str:
    return f"n-{_shortened(namespace)}"


def _names(namespace: str, key: str) -> tuple[str, str]:
    """Return the name that the value of a key has if it stays, and the one that it has if it expires."""
    short = _shortened(key)
    staying = f"{_HASHED if short.startswith('~') else ''}{_STAYING}{short}"
    return f"{_folder(namespace)}/{staying}", f"{_folder(namespace)}/{_EXPIRING}{short}"


def _shortened(name: str) -> str:
    """Return a name as part of a path; of a long one only its hash, since the key stands in the file too."""
    quoted = quote(name, safe="")
    if len(quoted) <= LONGEST_NAME:
        return quoted
    return f"~{hashlib.blake2b(name.encode(), digest_size=24).hexdigest()}"


def _head(key: str, expires_at: float) -> bytes:
    """Return the beginning of a value's file: as long as the alignment of what follows wants it."""
    text = key.encode()
    head = _HEAD.pack(expires_at, len(text)) + text
    return head.ljust(-(-len(head) // _ALIGNMENT) * _ALIGNMENT, b"\0")


def _header(whole: memoryview) -> _Header:
    expires_at, length = _HEAD.unpack_from(whole)
    text = bytes(whole[_HEAD.size : _HEAD.size + length]).decode()
    return _Header(text, expires_at, -(-(_HEAD.size + length) // _ALIGNMENT) * _ALIGNMENT)
