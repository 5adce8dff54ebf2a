"""The lengths and types of what functions of whole blocks return: as they are said, or found out by trying."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from asyncexec.array.block_calls import UserCall
from asyncexec.array.nodes import Node
from asyncexec.errors import OptionError
from asyncexec.plan.given_numbers import as_whole_number
from asyncexec.plan.lengths import Lengths, count_blocks, lengths_of


@dataclass(frozen=True, slots=True)
class Along:
    """Length and chunk length along one index."""

    length: int
    chunk: int


@dataclass(frozen=True, slots=True)
class BlockLengths:
    """The lengths of the result's blocks along one axis.

    Attributes
    ----------
    total : int
        Length of the axis.
    chunk : int
        The lengths of blocks as of chunks; where some have no elements, that of the longest.
    each : tuple of int or None
        Of each block, where some have no elements.
    """

    total: int
    chunk: int
    each: tuple[int, ...] | None = None

    @property
    def padded(self) -> int:
        """Length of the axis where every block has that of the longest."""
        return self.total if self.each is None else len(self.each) * self.chunk


@dataclass(frozen=True, slots=True)
class Probe:
    """Calls a function with small blocks of ones, to see what it makes of them.

    Attributes
    ----------
    call : UserCall
    operands : sequence of (Node, indices)
        The arrays, with an index for each of their axes.
    labels : sequence
        The indices of the result.
    least : mapping of index to int
        The least length that the function must get along an index, where that is more than 1.
    info : mapping or None
        ``block_info`` of the first block, where the function asks for it.
    """

    call: UserCall
    operands: Sequence[tuple[Node, Sequence[Any]]]
    labels: Sequence[Any]
    least: Mapping[Any, int] = field(default_factory=dict)
    info: Mapping[int | None, Any] | None = None

    def dtype(self) -> np.dtype[Any]:
        """Return the element type that the function makes of blocks of one element.

        Raises
        ------
        OptionError
            If it fails on them.
        """
        try:
            found: np.dtype[Any] = self._result({}).dtype
        except Exception as error:
            name = getattr(self.call.function, "__name__", "the function")
            raise OptionError(
                f"{name} fails on blocks of one element ({type(error).__name__}: {error}), so that the element type of "
                f"its result is unknown; say it with dtype="
            ) from error
        return found

    def last_length(self, axis: int) -> int | None:
        """Return the length along ``axis`` of what the function makes of a last chunk; None where it fails on that."""
        lengths = {
            label: n % c
            for node, own in self.operands
            for label, n, c in zip(own, node.shape, node.chunks, strict=True)
            if label == self.labels[axis] and n > c and n % c
        }
        try:
            found = self._result(lengths)
        except Exception:  # noqa: BLE001 - whatever a function does with other blocks than those it is made for
            return None
        return found.shape[axis] if found.ndim == len(self.labels) else None

    def _result(self, lengths: Mapping[Any, int]) -> np.ndarray[Any, Any]:
        blocks = [
            np.ones(tuple(self._length(lengths, label, n) for label, n in along), node.dtype)
            for node, own in self.operands
            for along in [list(zip(own, node.shape, strict=True))]
        ]
        more: dict[str, Any] = (
            {"block_id": (0,) * len(self.labels)} if self.call.wants_block_id else {}
        )
        if self.call.wants_block_info:
            more["block_info"] = self.info
        with np.errstate(all="ignore"):
            return np.asarray(self.call(*blocks, **self.call.keywords, **more))

    def _length(self, lengths: Mapping[Any, int], label: Any, n: int) -> int:
        return max(lengths.get(label, 1) if n > 1 else 1, self.least.get(label, 1))


def settled_lengths(along: Sequence[Along], chunks: Any, probe: Probe) -> list[BlockLengths]:
    """Return the lengths of the result's blocks, where ``chunks`` says how the function changes those of its blocks.

    Raises
    ------
    OptionError
        If they do not fit the result's axes and blocks.
    """
    settled = [BlockLengths(each.length, each.chunk) for each in along]
    for axis, wanted in _named(chunks, len(along)).items():
        number = as_whole_number(axis)
        if number is None or not -len(along) <= number < len(along):
            raise OptionError(
                f"chunks are given for axis {axis}, and the result has {len(along)} axes"
            )
        a = number % len(along)
        said = _said(wanted, along[a]) if callable(wanted) else wanted
        settled[a] = _settled(along[a], said, a, probe)
    return settled


def _settled(along: Along, wanted: Any, axis: int, probe: Probe) -> BlockLengths:
    blocks = count_blocks(along.length, along.chunk)
    lengths = _block_lengths(wanted, axis, blocks)
    if len(lengths) == 1 and blocks != 1:
        (first,) = lengths
        if isinstance(along.chunk, Lengths):
            return BlockLengths(first * blocks, max(1, first))
        if first == along.chunk:
            return BlockLengths(along.length, first)
        last = _shorter(along, first, axis, probe)
        return BlockLengths(first * max(blocks - 1, 0) + (last if blocks else 0), max(1, first))
    total = sum(lengths)
    regular = len(set(lengths[:-1])) <= 1 and lengths[-1] <= lengths[0]
    if regular or all(lengths):
        return BlockLengths(total, lengths_of(lengths))
    return BlockLengths(total, max(1, *lengths), tuple(lengths))


def _said(wanted: Callable[[int], Any], along: Along) -> Any:
    """Return what a function of the length of a block says, for each length that there is."""
    if isinstance(along.chunk, Lengths):
        return tuple(map(wanted, along.chunk.each))
    return wanted(along.chunk)


def _named(chunks: Any, ndim: int) -> Mapping[Any, Any]:
    """Return what is said for each axis, by its number."""
    if chunks is None:
        return {}
    if isinstance(chunks, Mapping):
        return chunks
    given = (chunks,) * ndim if as_whole_number(chunks) is not None else tuple(chunks)
    if len(given) != ndim:
        raise OptionError(f"chunks={chunks!r} has {len(given)} entries for a result of {ndim} axes")
    return dict(enumerate(given))


def _block_lengths(wanted: Any, axis: int, blocks: int) -> list[int]:
    """Return the one length of blocks, or that of each."""
    said = as_whole_number(wanted)
    lengths = [said] if said is not None else _lengths(wanted)
    found = [n for n in lengths if n is not None and n >= 0]
    if not found or len(found) != len(lengths):
        raise OptionError(
            f"chunks {wanted!r} along axis {axis}: give the one length of the result's blocks, or that of each block"
        )
    if len(found) not in (1, blocks):
        raise OptionError(
            f"chunks {wanted!r} along axis {axis} are {len(found)}, and there are {blocks} blocks: give each a length"
        )
    return found


def _lengths(wanted: Any) -> list[int | None]:
    return [as_whole_number(n) for n in wanted] if hasattr(wanted, "__len__") else []


def _shorter(along: Along, length: int, axis: int, probe: Probe) -> int:
    """Return the length of the last block, where that of the others is known."""
    if along.length <= along.chunk or not along.length % along.chunk:
        return length
    found = probe.last_length(axis)
    return length if found is None or found > length else found
