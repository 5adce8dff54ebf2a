"""The kernels of array stages: the steps that a task runs on its blocks, one after another, on the worker.

Everything here is pure, can be pickled, and depends on NumPy alone. A step's function is called as
``function(index, values)`` with the task's index and the blocks it needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from asyncexec.array.reducers import Reducer, real_part
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.access_map import AccessMap
from asyncexec.plan.box import Index, Shape
from asyncexec.plan.lengths import Lengths
from asyncexec.plan.masked import unmasked

type Block = NDArray[Any]


class BlockFunction(Protocol):
    """One step of a kernel."""

    def __call__(self, index: Index, values: Sequence[Any]) -> Any:
        """Return the block of one node, from the blocks of its inputs."""
        ...


class _Slot:
    """Stands for the next block among the arguments of :class:`ElementwiseStep`."""

    def __repr__(self) -> str:
        return "BLOCK"

    def __reduce__(self) -> str:
        return "BLOCK"


BLOCK = _Slot()


@dataclass(frozen=True, slots=True)
class ElementwiseStep:
    """Call a NumPy function with blocks and constants: ``BLOCK`` among the arguments is the next block."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, index: Index, values: Sequence[Any]) -> Any:
        blocks = iter(values)
        filled = [next(blocks) if a is BLOCK else a for a in self.arguments]
        return self.function(*filled, **self.keywords)


@dataclass(frozen=True, slots=True)
class TextStep:
    """A step whose result is text, or bytes, of one length: of a single element, NumPy returns one as long as it is."""

    step: BlockFunction
    dtype: np.dtype[Any]

    def __call__(self, index: Index, values: Sequence[Any]) -> Any:
        return np.asarray(self.step(index, values), self.dtype)


@dataclass(frozen=True, slots=True)
class NthResult:
    """The function that returns one of the several arrays that ``function`` returns."""

    function: Callable[..., tuple[Any, ...]]
    number: int
    keywords: Mapping[str, Any]

    def __call__(self, *blocks: Any) -> Any:
        return self.function(*blocks, **self.keywords)[self.number]


def convert(block: Any, *, dtype: np.dtype[Any]) -> Any:
    """Return ``block`` with elements of ``dtype``; of a complex number the real part."""
    return real_part(np.asarray(block), dtype).astype(dtype)


def clip_below(block: Any, least: Any) -> Any:
    """Return ``block`` with what lies below ``least`` set to it."""
    return np.clip(block, least, None)


def clip_above(block: Any, most: Any) -> Any:
    """Return ``block`` with what lies above ``most`` set to it."""
    return np.clip(block, None, most)


@dataclass(frozen=True, slots=True)
class Generate:
    """Make a block of nothing but its place: ``function(positions)`` gets the element numbers along each axis."""

    function: Callable[[tuple[NDArray[np.int64], ...]], Block]
    access: AccessMap

    def __call__(self, index: Index, values: Sequence[Any]) -> Any:
        return self.function(tuple(_positions(axis, index) for axis in self.access.axes))


def _positions(axis: AxisAccess, index: Index) -> NDArray[np.int64]:
    found = axis.numbers(index)
    if isinstance(found, range):
        return np.arange(found.start, found.stop, found.step, dtype=np.int64)
    return np.asarray(found)


@dataclass(frozen=True, slots=True)
class Arrange:
    """Turn a block's axes: keep ``order`` of its axes, put in new ones, and repeat what is to be broadcast.

    Attributes
    ----------
    dropped : tuple of int
        Axes of the input that go (each of length 1 here).
    order : tuple of int
        The other axes of the input, in their new order.
    new : tuple of int
        Axes of the result that the input does not have.
    access : AccessMap
        What is needed of the result.
    """

    dropped: tuple[int, ...]
    order: tuple[int, ...]
    new: tuple[int, ...]
    access: AccessMap

    def __call__(self, index: Index, values: Sequence[Any]) -> Any:
        block = np.transpose(values[0], (*self.dropped, *self.order))
        # The ellipsis keeps an array without axes an array.
        first: Any = (*(0,) * len(self.dropped), ...)
        block = block[first]
        if self.new:
            block = np.expand_dims(block, self.new)
        counts = self.access.counts(index)
        return block if block.shape == counts else np.broadcast_to(block, counts)


@dataclass(frozen=True, slots=True)
class Concatenate:
    """Put parts together along ``axis``; a part that this task does not need is None.

    ``backwards`` is for a task that needs the elements in descending order.
    """

    axis: int
    backwards: bool
    dtype: np.dtype[Any]
    access: AccessMap

    def __call__(self, index: Index, values: Sequence[Any]) -> Any:
        parts = [v for v in values if v is not None]
        if not parts:
            return np.empty(self.access.counts(index), self.dtype)
        if len(parts) == 1:
            return np.asarray(parts[0]).astype(self.dtype, copy=False)
        ordered = parts[::-1] if self.backwards else parts
        return np.concatenate(ordered, axis=self.axis, dtype=self.dtype, casting="unsafe")


@dataclass(frozen=True, slots=True)
class IdentityStep:
    """Return the one input as it is."""

    def __call__(self, index: Index, values: Sequence[Any]) -> Any:
        return values[0]


@dataclass(frozen=True, slots=True)
class MergeAxes:
    """The function that merges the ``count`` axes of a block from ``place`` on to one, in C order."""

    place: int
    count: int

    def __call__(self, block: Block) -> Block:
        end = self.place + self.count
        merged = math.prod(block.shape[self.place : end])
        return np.reshape(block, (*block.shape[: self.place], merged, *block.shape[end:]))


@dataclass(frozen=True, slots=True)
class DivideAxis:
    """The function that cuts an axis of a block into several, in C order, all but the first of lengths ``others``."""

    place: int
    others: Shape

    def __call__(self, block: Block) -> Block:
        first = block.shape[self.place] // math.prod(self.others)
        after = block.shape[self.place + 1 :]
        return np.reshape(block, (*block.shape[: self.place], first, *self.others, *after))


@dataclass(frozen=True, slots=True)
class MakeOutputs:
    """Call a function of one whole block, which returns the tuple of several."""

    function: Callable[[Block], tuple[Block, ...]]

    def __call__(self, index: Index, values: Sequence[Any]) -> Any:
        return self.function(np.asarray(values[0]))


@dataclass(frozen=True, slots=True)
class TakeOutput:
    """Return one of the blocks that a step made together."""

    number: int

    def __call__(self, index: Index, values: Sequence[Any]) -> Any:
        return values[0][self.number]


@dataclass(frozen=True, slots=True)
class CallFunction:
    """Call a user's function with whole blocks, and check what it returns.

    Attributes
    ----------
    function : callable
    keywords : mapping
        Passed on to it.
    numbers : tuple of AxisAccess
        The result's block number along each axis.
    access : AccessMap
        What is needed of the result.
    dtype : dtype
        What the result must have.
    wants_block_id : bool
        Whether to pass ``block_id``.
    """

    name: str
    function: Callable[..., Any]
    keywords: Mapping[str, Any]
    numbers: tuple[AxisAccess, ...]
    access: AccessMap
    dtype: np.dtype[Any]
    wants_block_id: bool

    def __call__(self, index: Index, values: Sequence[Any]) -> Any:
        return self.checked(self.returned(index, [read_only(value) for value in values]), index)

    def returned(self, index: Index, blocks: Sequence[Any]) -> Any:
        """Return what the function makes of ``blocks``."""
        keywords = dict(self.keywords)
        if self.wants_block_id:
            keywords["block_id"] = self._chunk(index)
        return self.function(*blocks, **keywords)

    def checked(self, returned: Any, index: Index) -> Block:
        """Return what the function returned as a NumPy array, of the shape and type that it must have."""
        what = f"what {self.name} returned for chunk {self._chunk(index)}"
        result = np.asarray(unmasked(returned, what))
        self.check(result.shape, result.dtype, index)
        return result

    def check(self, shape: Shape, dtype: np.dtype[Any], index: Index) -> None:
        """Check the shape and the type of what the function returned.

        Raises
        ------
        ValueError, TypeError
            If they are others than promised.
        """
        chunk, expected = self._chunk(index), self.access.counts(index)
        if shape != expected:
            raise ValueError(
                f"{self.name} returned a block of shape {shape} for chunk {chunk}, which has the shape "
                f"{expected}; say chunks=, drop_axis= or new_axis= if the function changes the shape (where the last "
                f"chunk is of another length, that of each block, as in chunks={{0: (4, 4, 2)}})"
            )
        if dtype != self.dtype:
            raise TypeError(
                f"{self.name} returned {dtype} for chunk {chunk}, and dtype={self.dtype} was promised; "
                f"say dtype={str(dtype)!r}, or convert in the function"
            )

    def _chunk(self, index: Index) -> Index:
        return tuple([axis.first(index) for axis in self.numbers])


def read_only(value: Any) -> Any:
    """Return ``value`` so that changing it in place is an error: others may use the same block."""
    block = np.asarray(value).view()
    block.setflags(write=False)
    return block


@dataclass(frozen=True, slots=True, kw_only=True)
class ReduceBlocks:
    """Reduce blocks, or merge what was reduced before; ``access`` is what the task needs of the input."""

    reducer: Reducer
    axes: tuple[int, ...]
    units: tuple[int, ...]
    extents: tuple[int, ...]
    first: bool
    last: bool
    access: AccessMap

    def __call__(self, index: Index, values: Sequence[Any]) -> Any:
        if self.first:
            along = enumerate(self.access.axes)
            origin = tuple(a.first(index) if axis in self.axes else 0 for axis, a in along)
            parts = self.reducer.start(np.asarray(values[0]), self.axes, origin)
        else:
            parts = self.reducer.merge(values, self.axes, self._counts(index))
        if self.last:
            return self.reducer.finish(parts, math.prod(self.extents))
        return parts[0] if len(self.reducer.partial_dtypes) == 1 else tuple(parts)

    def _counts(self, index: Index) -> Any:
        """Return how many elements each of the input's elements stands for."""
        counts = np.ones((1,) * len(self.access.axes))
        for along in elements_along(self.access, self.axes, self.units, self.extents, index):
            counts = counts * along
        return counts


def elements_along(
    access: AccessMap,
    axes: Sequence[int],
    units: Sequence[int],
    extents: Sequence[int],
    index: Index,
) -> list[Any]:
    """Return, for each of ``axes``, how many elements along it each element stands for that ``access`` takes.

    One stands for ``units`` of them, of ``extents`` in all; each array lies along its axis.
    """
    found = []
    for axis, unit, extent in zip(axes, units, extents, strict=True):
        groups = np.asarray(access.axes[axis].numbers(index))
        along = (
            np.asarray(unit.each)[groups]
            if isinstance(unit, Lengths)
            else np.minimum(unit, extent - groups * unit)
        )
        found.append(along.reshape([-1 if a == axis else 1 for a in range(len(access.axes))]))
    return found


@dataclass(frozen=True, slots=True)
class Step:
    """One step: which values it takes, what it makes of them, and which values nobody needs afterwards.

    ``access`` says at which tasks the step runs at all; at others its value is None.
    """

    function: BlockFunction
    arguments: tuple[int, ...]
    access: AccessMap
    frees: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class FusedKernel:
    """The steps of a task. Values 0, 1, … are the inputs (None for one that is not read), then one value a step.

    Kernels that do the same with other elements differ in their ``inputs``.
    The value numbered ``results`` is what the task puts out, or the tuple of them where there are several.
    """

    inputs: tuple[AccessMap, ...]
    steps: tuple[Step, ...]
    results: tuple[int, ...] = (-1,)

    def __call__(self, index: Index, *inputs: Any) -> Any:
        values = [block for block, _ in zip(inputs, self.inputs, strict=True)]
        # Chunk by chunk and from workers, NumPy's floating-point warnings are noise; NaN and infinity tell.
        with np.errstate(all="ignore"):
            for step in self.steps:
                run = not step.access.guards or step.access.holds(index)
                arguments = [values[i] for i in step.arguments] if run else ()
                value = step.function(index, arguments) if run else None
                if isinstance(value, np.generic):
                    # NumPy computes with scalars in other loops than with arrays, whose last bit may differ (complex
                    # square, say): what is fused would not be what is stored and read.
                    value = np.asarray(value)
                values.append(value)
                for i in step.frees:
                    values[i] = None
        if len(self.results) == 1:
            return values[self.results[0]]
        return tuple([values[i] for i in self.results])
