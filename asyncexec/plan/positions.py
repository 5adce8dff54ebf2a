"""Lists of positions along an axis, as index arrays select them. Loaded only where there is one, as it needs NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from asyncexec.errors import RelationError
from asyncexec.plan.lengths import Lengths, block_at

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Listing(Protocol):
    """A list of numbers of elements: positions one by one, or runs of them."""

    def __len__(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    @cached_property
    def digest(self) -> str: ...
    @cached_property
    def least(self) -> int: ...
    @cached_property
    def greatest(self) -> int: ...
    @cached_property
    def distinct(self) -> bool: ...
    def one(self, number: int) -> int: ...
    def taken(self, first: int, step: int, count: int) -> NDArray[np.int64]: ...
    def along(self, first: int, step: int, count: int) -> Any: ...
    def in_one_run(self, block: int, lo: int, hi: int) -> bool: ...
    def affine(self, step: int, offset: int) -> Listing: ...
    def at(self, numbers: Listing) -> Listing: ...
    def pairs(
        self, first: int, step: int, numbers: range, *, block: int, chunk: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]: ...


@dataclass(frozen=True, eq=False, repr=False)
class Positions:
    """Numbers of elements, in the order in which they are taken; any may come several times.

    They are kept in the smallest type that holds them, read-only, and are equal where their content is.
    """

    array: NDArray[Any]

    def __post_init__(self) -> None:
        given = np.asarray(self.array)
        if given.ndim != 1 or (given.size and not np.issubdtype(given.dtype, np.integer)):
            raise RelationError(
                f"positions are a one-dimensional array of integers, not {given.ndim} dimensions of {given.dtype}"
            )
        low, high = (int(given.min()), int(given.max())) if given.size else (0, 0)
        kept = given.astype(np.promote_types(np.min_scalar_type(low), np.min_scalar_type(high)))
        kept.setflags(write=False)
        object.__setattr__(self, "array", kept)

    def __len__(self) -> int:
        return len(self.array)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Positions) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Positions({len(self.array)}, {self.digest})"

    @property
    def nbytes(self) -> int:
        """Its size in memory."""
        return int(self.array.nbytes)

    @cached_property
    def digest(self) -> str:
        """A hash of the content."""
        data = np.ascontiguousarray(self.array)
        found = blake2b(f"{data.dtype.str}{len(data)}".encode(), digest_size=16)
        found.update(data)
        return found.hexdigest()

    @cached_property
    def least(self) -> int:
        """The smallest position (0 of none)."""
        return int(self.array.min()) if len(self.array) else 0

    @cached_property
    def greatest(self) -> int:
        """The greatest position (-1 of none)."""
        return int(self.array.max()) if len(self.array) else -1

    @cached_property
    def distinct(self) -> bool:
        """True if no position comes twice."""
        return len(np.unique(self.array)) == len(self.array)

    def one(self, number: int) -> int:
        """Return the position that stands at ``number``."""
        return int(self.array[number])

    def taken(self, first: int, step: int, count: int) -> NDArray[np.int64]:
        """Return the ``count`` positions at ``first``, ``first + step``, …."""
        end = first + count * step
        return self.array[first : (end if end >= 0 else None) : step].astype(np.int64)

    def along(self, first: int, step: int, count: int) -> NDArray[np.int64]:
        """Return :meth:`taken`; a list of runs may have a slice instead."""
        return self.taken(first, step, count)

    def in_one_run(self, block: int, lo: int, hi: int) -> bool:
        """Return False: nothing is known of neighbours."""
        return False

    def affine(self, step: int, offset: int) -> Positions:
        """Return the positions ``p * step + offset``."""
        return Positions(self.array.astype(np.int64) * step + offset)

    def pairs(
        self, first: int, step: int, numbers: range, *, block: int, chunk: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return every read of a block of ``chunk`` elements by a task, once each, by block: (blocks, tasks).

        Task ``numbers[k] // block`` reads the element whose number stands at ``first + k * step``.
        """
        elements = self.taken(first, step, len(numbers))
        tasks = blocks_at(block, np.arange(numbers.start, numbers.stop))
        width = block_at(block, numbers.stop) + 1
        return np.divmod(np.unique(blocks_at(chunk, elements) * width + tasks), width)

    def at(self, numbers: Listing) -> Listing:
        """Return the positions that stand at ``numbers``, one after another."""
        if isinstance(numbers, Positions):
            return Positions(self.array[numbers.array])
        return Positions(self.array[numbers.taken(0, 1, len(numbers))])


def blocks_at(length: int, elements: NDArray[Any]) -> NDArray[np.int64]:
    """Return the number of the block of each of ``elements``; see :func:`~asyncexec.plan.lengths.block_at`."""
    if isinstance(length, Lengths):
        return np.searchsorted(_ends(length), elements, "right")
    found: NDArray[np.int64] = elements // length
    return found


@lru_cache(maxsize=64)
def _ends(lengths: Lengths) -> NDArray[np.int64]:
    return np.asarray(lengths.ends, np.int64)
