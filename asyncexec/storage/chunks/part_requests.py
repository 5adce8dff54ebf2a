"""The interface of requests for parts of objects, and what they raise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class ObjectChangedError(Exception):
    """The object has another version by now."""


class PartRefusedError(Exception):
    """The object has no such part, or the store gives no parts."""


class FetchedPart(Protocol):
    """An object, or a part of one, with the version of the object."""

    @property
    def data(self) -> Any:
        """The bytes."""
        ...

    @property
    def version(self) -> str:
        """The version of the object that they are of; empty where that is not known."""
        ...


class PartRequests(Protocol):
    """The requests that shards need."""

    async def get(self, key: str) -> FetchedPart:
        """Return the object; raise FileNotFoundError where there is none."""
        ...

    async def part(self, key: str, part: slice, version: str = "") -> FetchedPart:
        """Return a part of the object: from start to stop, or what is behind a negative start.

        Raises
        ------
        FileNotFoundError
            If there is no such object.
        ObjectChangedError
            If it has not this version.
        PartRefusedError
            If it has no such part.
        """
        ...

    async def parts(self, key: str, parts: Sequence[slice], version: str = "") -> list[Any]:
        """Return the bytes of several parts of the object; raise as :meth:`part` does."""
        ...
