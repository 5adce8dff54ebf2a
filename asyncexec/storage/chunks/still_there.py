"""The check, made where a chunk is missing or damaged, that the array itself is still there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncexec.storage.chunks.arrays import StoredArray

_HOLDS_SECONDS = 2.0
"""For how long an array that was found there is taken to be there: sparse arrays have many missing chunks."""


class StillThere:
    """The check that the array of ``ref`` was not removed or replaced; a run's own arrays its driver looks after."""

    def __init__(self, ref: StoredArray) -> None:
        self._ref = ref
        self._until = 0.0

    @property
    def is_due(self) -> bool:
        """True where :meth:`check` asks the store."""
        return bool(self._ref.metadata) and time.monotonic() >= self._until

    def check(self) -> None:
        """Check it, unless that was done just now.

        Raises
        ------
        ArrayNotFoundError
            If it was removed.
        ArrayReplacedError
            If there is another one.
        StorageError
            If the place cannot be read.
        """
        if not self.is_due:
            return
        from asyncexec.storage.places.unchanged import check_unchanged  # noqa: PLC0415 - where something is amiss

        check_unchanged(self._ref)
        self._until = time.monotonic() + _HOLDS_SECONDS
