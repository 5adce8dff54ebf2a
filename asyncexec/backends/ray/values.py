"""The large values of one engine in Ray's object store, as its driver sees them: references by key."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from asyncexec.backends.ray.value_exchange import RayWorkerValues, fetch_object
from asyncexec.events.outcome import ItemOf, Many, ValueHandle

if TYPE_CHECKING:
    from asyncexec.worker.remote_batch import RemoteBatch
    from asyncexec.worker.values import PickledValue


class RayValues:
    """Objects that this process owns (see :class:`~asyncexec.worker.values.ValueStore`).

    Ray keeps an object, in memory or on disk, as long as there is a reference to it.
    """

    def __init__(self) -> None:
        self._references: dict[str, Any] = {}

    def __reduce__(self) -> tuple[type[RayWorkerValues], tuple[()]]:
        return RayWorkerValues, ()  # The workers' side.

    def put(self, attempt: int, value: PickledValue, /) -> None:
        """Keep nothing on the driver."""

    def get(self, handle: ValueHandle, /) -> Any:
        """Return a value."""
        return fetch_object(handle, self._references.get(handle.key))

    def delete(self, handles: Collection[ValueHandle], /) -> None:
        """Drop the references; Ray deletes the objects."""
        for handle in handles:
            self._references.pop(handle.key, None)

    def add(self, key: str, reference: Any) -> None:
        """Note the reference to a value that a worker has made."""
        self._references[key] = reference

    def read_by(self, call: RemoteBatch) -> dict[str, Any]:
        """Return the references to the values that a batch reads, by key; those that are gone are left out."""
        found: dict[str, Any] = {}
        for job in call.jobs:
            for handle in _handles(job.inputs):
                if handle.key in self._references:
                    found[handle.key] = self._references[handle.key]
        return found

    def close(self) -> None:
        """Drop all references."""
        self._references.clear()


def _handles(inputs: Iterable[Any]) -> Iterator[ValueHandle]:
    for given in inputs:
        for value in given.values if type(given) is Many else (given,):
            kept = value.value if type(value) is ItemOf else value
            if type(kept) is ValueHandle:
                yield kept
