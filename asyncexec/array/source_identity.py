"""The identity of stages that read arrays which are there already, for the fingerprints of their plans."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from asyncexec.array.foreign_arrays import PartsOf
from asyncexec.plan.spelling import one_spelling
from asyncexec.storage.chunks.arrays import StoredArray
from asyncexec.storage.places.contents import contents

if TYPE_CHECKING:
    from asyncexec.plan.access_map import AccessMap
    from asyncexec.storage.chunks.block_io import InMemory


@dataclass(frozen=True, slots=True, eq=False)
class SourceIdentity:
    """The identity of a stage that reads ``sources``, worked out when a run has to be compared with another.

    Attributes
    ----------
    sources : tuple of (StoredArray or InMemory, AccessMap)
        The arrays that no stage of the plan makes, and what the stage reads of each.
    known : dict
        What has been found of arrays, for all stages of a plan.
    asked : tuple of str
        The descriptions of targets that users have asked for in another way than the plan's own.
    """

    sources: tuple[tuple[StoredArray | InMemory, AccessMap], ...]
    known: dict[StoredArray | InMemory, str]
    asked: tuple[str, ...] = ()

    def __call__(self) -> str:
        """Return it.

        Raises
        ------
        StorageError
            If an array cannot be listed.
        """
        found = repr([(self._of(array), access) for array, access in self.sources])
        return f"{found} {self.asked}" if self.asked else found

    def _of(self, array: StoredArray | InMemory) -> str:
        found = self.known.get(array)
        if found is None:
            found = _stored(array) if isinstance(array, StoredArray) else _in_memory(array.data)
            self.known[array] = found
        return found


def _stored(array: StoredArray) -> str:
    # Not only where it is and how it looks: an array that was made anew, or written to, is another one.
    where = array.location
    return f"{one_spelling(str(where))} {array.description} {contents(where)}"


def _in_memory(data: np.ndarray | PartsOf) -> str:
    if isinstance(data, PartsOf):
        return data.identity()
    content = blake2b(np.ascontiguousarray(data).view(np.uint8).data, digest_size=16).hexdigest()
    return f"{data.dtype.str}{data.shape}{content}"
