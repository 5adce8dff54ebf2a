"""Values that stay near the workers: what a store of them does."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol

from asyncexec.events.outcome import ValueHandle


class ValueStore(Protocol):
    """Keeps the values of tasks under handles, which the driver holds instead of the values.

    A value belongs to the backend until the outcome with its handle is reported, and then to the run, which deletes it
    when its last reader is complete. What nobody has deleted goes when the backend's context is left.
    """

    def put(self, attempt: int, value: Any, /) -> Any:
        """Keep the value that ``attempt`` has returned, and return its handle; one that is small comes back instead.

        Called on a worker. A value that is small comes back as it is or ``Encoded``.

        Raises
        ------
        SerializationError
            If it cannot be pickled.
        OutOfSpaceError
            If there is no room for it.
        """
        ...

    def get(self, handle: ValueHandle, /) -> Any:
        """Return the value; it may block, and is called in any thread, of workers and of the driver.

        Raises
        ------
        ValueLostError
            If the value is gone.
        """
        ...

    def delete(self, handles: Collection[ValueHandle], /) -> None:
        """Delete these values, soon; called on the driver, in any thread, and returns at once."""
        ...
