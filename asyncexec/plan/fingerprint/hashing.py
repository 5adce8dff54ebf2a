"""The hash function of fingerprints, and what the rules for each type need of the one that goes through objects."""

from __future__ import annotations

import marshal
import types
from collections.abc import Callable, Collection
from hashlib import blake2b
from typing import Any, Protocol

# marshal writes these by type and value alone: version 2 knows no references and no interning, and all of a float.
PLAIN = frozenset({int, float, str, bytes, bool, type(None)})
_SIZE = 16


def hash_of(tag: bytes, data: bytes | memoryview) -> bytes:
    """Return the hash of ``data`` of one kind, as 16 bytes."""
    hashed = blake2b(tag, digest_size=_SIZE)
    hashed.update(b"\0")
    hashed.update(data)
    return hashed.digest()


def hash_of_plain(tag: bytes, value: Any) -> bytes:
    """Return the hash of plain data, or of a list or tuple of such."""
    return hash_of(tag, marshal.dumps(value, 2))


class Hasher(Protocol):
    """An object that goes through others, and hashes each by the rule for its type."""

    @property
    def takes_process_state(self) -> bool:
        """True where a lock or an open file is only what code of a module shares, not what it is given."""
        ...

    def part(self, value: Any) -> bytes:
        """Return the hash of ``value``, a part of what is hashed."""
        ...

    def read_over(self, values: Collection[Any]) -> None:
        """Note which of these plain values are names of variables of the environment."""
        ...

    def independent(self, value: Any) -> bytes:
        """Return the hash of ``value`` that does not depend on what was visited before."""
        ...

    def remembered(self, value: Any, make: Callable[[], bytes]) -> bytes:
        """Return the hash of large data that is made with ``make`` the first time."""
        ...

    def refuse(self, value: Any, error: Exception | str) -> None:
        """Raise SerializationError for an object without comparable content, where that matters."""
        ...

    def overlook(self, what: str) -> None:
        """Note what cannot be seen."""
        ...

    def code(self, value: types.CodeType) -> bytes:
        """Return the hash of code."""
        ...

    def definition(self, value: Any) -> bytes:
        """Return the hash of a function, class, builtin or module, or of a part that names one."""
        ...
