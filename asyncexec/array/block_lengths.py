"""The lengths and types of what functions of whole blocks return: as they are said, or found out by trying."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from asyncexec.array.nodes import Node
from asyncexec.errors import OptionError
from asyncexec.plan.box import Shape
from asyncexec.plan.given_numbers import as_whole_number


@dataclass(frozen=True, slots=True)
class Along:
    """Length and chunk length along one index."""

    length: int
    chunk: int


@dataclass(frozen=True, slots=True)
class UserCall:
    """A user's function with its keywords, and constants at their places among the blocks."""

    function: Callable[..., Any]
    keywords: Mapping[str, Any]
    wants_block_id: bool
    constants: tuple[tuple[int, Any], ...] = ()

    def __call__(self, *blocks: Any, **more: Any) -> Any:
        arguments = list(blocks)
        for place, constant in self.constants:
            arguments.insert(place, constant)
        return self.function(*arguments, **more)


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
    """

    call: UserCall
    operands: Sequence[tuple[Node, Sequence[Any]]]
    labels: Sequence[Any]

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
            np.ones(tuple(lengths.get(label, 1) if n > 1 else 1 for label, n in along), node.dtype)
            for node, own in self.operands
            for along in [list(zip(own, node.shape, strict=True))]
        ]
        more = {"block_id": (0,) * len(self.labels)} if self.call.wants_block_id else {}
        with np.errstate(all="ignore"):
            return np.asarray(self.call(*blocks, **self.call.keywords, **more))


def settled_lengths(along: Sequence[Along], chunks: Any, probe: Probe) -> tuple[Shape, Shape]:
    """Return the result's shape and chunks, where ``chunks`` says how the function changes the lengths of blocks.

    Raises
    ------
    OptionError
        If they do not fit the result's axes and blocks, or are not regular.
    """
    lengths = [each.length for each in along]
    settled = [each.chunk for each in along]
    for axis, wanted in _named(chunks, len(along)).items():
        number = as_whole_number(axis)
        if number is None or not -len(along) <= number < len(along):
            raise OptionError(
                f"chunks are given for axis {axis}, and the result has {len(along)} axes"
            )
        a = number % len(along)
        blocks = -(-along[a].length // along[a].chunk)
        first, last = _first_and_last(wanted, a, blocks)
        if last is None:
            if first == along[a].chunk:
                continue
            last = _shorter(along[a], first, a, probe)
        lengths[a], settled[a] = first * max(blocks - 1, 0) + (last if blocks else 0), max(1, first)
    return tuple(lengths), tuple(settled)


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


def _first_and_last(wanted: Any, axis: int, blocks: int) -> tuple[int, int | None]:
    """Return the length of all blocks but the last, and that of the last; None where it is not said."""
    said = as_whole_number(wanted)
    lengths = [said] if said is not None else _lengths(wanted)
    found = [n for n in lengths if n is not None and n >= 0]
    regular = bool(found) and len(found) == len(lengths)
    if not regular or set(found[:-1]) - {found[0]} or found[-1] > found[0]:
        raise OptionError(
            f"chunks {wanted!r} along axis {axis}: give the one length of the result's blocks, or that of each block, "
            f"all but the last of them equal, and the last not longer"
        )
    if len(found) == 1:
        return found[0], None
    if len(found) != blocks:
        raise OptionError(
            f"chunks {wanted!r} along axis {axis} are {len(found)}, and there are {blocks} blocks: give each a length"
        )
    return found[0], found[-1]


def _lengths(wanted: Any) -> list[int | None]:
    return [as_whole_number(n) for n in wanted] if hasattr(wanted, "__len__") else []


def _shorter(along: Along, length: int, axis: int, probe: Probe) -> int:
    """Return the length of the last block, where that of the others is known."""
    if along.length <= along.chunk or not along.length % along.chunk:
        return length
    found = probe.last_length(axis)
    return length if found is None or found > length else found
