"""The two sides of every memory: a client that tasks call, and the address by which it is opened on a worker."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from asyncexec.cluster_memory.messages import Message


class MemoryClient(Protocol):
    """One run's memory, by blocking calls, which any thread may make.

    Keys and namespaces have been checked. Every method may be repeated: a task may run twice.
    """

    def put(self, namespace: str, key: str, value: Any, ttl: float | None, /) -> None:
        """Store a value, for ``ttl`` seconds if they are given, in place of the one that was there.

        Raises
        ------
        SerializationError
            If it cannot be pickled.
        OutOfSpaceError
            If there is no room for it.
        ClusterMemoryError
            If the memory is closed, or cannot be reached.
        """
        ...

    def get(self, namespace: str, key: str, /) -> Any:
        """Return a value.

        Raises
        ------
        KeyNotFoundError
            If there is none.
        ClusterMemoryError
        """
        ...

    def delete(self, namespace: str, key: str, /) -> bool:
        """Delete a value, and return whether there was one."""
        ...

    def exists(self, namespace: str, key: str, /) -> bool:
        """Return whether there is a value."""
        ...

    def keys(self, namespace: str, /) -> Sequence[str]:
        """Return the keys of a namespace."""
        ...

    def clear(self, namespace: str, /) -> None:
        """Delete all values of a namespace."""
        ...


class RequestingClient(ABC):
    """The operations of a client that move no value, as requests to the process that holds the memory."""

    def delete(self, namespace: str, key: str) -> bool:
        """Delete a value."""
        return bool(self._call("delete", namespace, key=key)[0]["found"])

    def exists(self, namespace: str, key: str) -> bool:
        """Return whether there is a value."""
        return bool(self._call("exists", namespace, key=key)[0]["found"])

    def keys(self, namespace: str) -> Sequence[str]:
        """Return the keys of a namespace."""
        keys: list[str] = self._call("keys", namespace)[0]["keys"]
        return keys

    def clear(self, namespace: str) -> None:
        """Delete all values of a namespace."""
        self._call("clear", namespace)

    @abstractmethod
    def _call(self, do: str, namespace: str, body: bytes = b"", **more: Any) -> Message:
        """Return the answer to a request, and raise the error that it contains."""


class MemoryAddress(Protocol):
    """The address of one run's memory: small, and plain data where workers are in other processes."""

    def open(self) -> MemoryClient:
        """Return a client; nothing may be connected to before its first call.

        Raises
        ------
        ClusterMemoryError
            If there is no such memory on this executor.
        """
        ...
