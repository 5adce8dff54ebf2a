"""The steps that an array module computes itself, on its own arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from asyncexec.array.kernels import (
    BLOCK,
    Arrange,
    CallFunction,
    Concatenate,
    ElementwiseStep,
    ReduceBlocks,
)
from asyncexec.array.modules.choice import ArrayModule
from asyncexec.array.modules.functions import REDUCTIONS
from asyncexec.array.modules.namespaces import (
    full_precision,
    module_dtype,
    namespace_of,
    numpy_dtype,
    to_module,
    to_numpy,
)
from asyncexec.array.reducers import Accumulate
from asyncexec.plan.box import Index


def converted(xp: Any, array: Any, dtype: np.dtype[Any]) -> Any:
    """Return ``array`` with elements of ``dtype``; of complex numbers the real parts where that is real."""
    held = numpy_dtype(array)
    if held == dtype:
        return array
    if held.kind == "c" and dtype.kind not in "cb":
        array = xp.real(array)
    return xp.astype(array, module_dtype(xp, dtype))


@dataclass(frozen=True, slots=True)
class NativeElementwise:
    """A function of elements, called ``name`` in the standard.

    Operands are converted to ``common``, the type in which NumPy computes, and the result to ``dtype``.
    """

    name: str
    step: ElementwiseStep
    common: np.dtype[Any]
    dtype: np.dtype[Any]
    module: ArrayModule

    def __call__(self, index: Index, values: Sequence[Any]) -> Any:
        xp = namespace_of(self.module)
        blocks = iter(values)
        given = [next(blocks) if a is BLOCK else a for a in self.step.arguments]
        types = [self.common] * len(given)
        if self.name == "where":
            types[0] = np.dtype(np.bool_)
        with full_precision(self.module):
            pairs = zip(given, types, strict=True)
            operands = [self._operand(xp, operand, dtype) for operand, dtype in pairs]
            return converted(xp, getattr(xp, self.name)(*operands), self.dtype)

    def _operand(self, xp: Any, operand: Any, dtype: np.dtype[Any]) -> Any:
        if hasattr(operand, "dtype") and not isinstance(operand, np.ndarray | np.generic):
            return converted(xp, operand, dtype)
        return to_module(np.asarray(operand).astype(dtype), self.module)


@dataclass(frozen=True, slots=True)
class NativeConversion:
    """The conversion of a block to ``dtype``."""

    dtype: np.dtype[Any]
    module: ArrayModule

    def __call__(self, index: Index, values: Sequence[Any]) -> Any:
        with full_precision(self.module):
            return converted(namespace_of(self.module), values[0], self.dtype)


@dataclass(frozen=True, slots=True)
class NativeArrangement:
    """A block with its axes turned, dropped, added and repeated."""

    step: Arrange
    module: ArrayModule

    def __call__(self, index: Index, values: Sequence[Any]) -> Any:
        xp, step = namespace_of(self.module), self.step
        block = values[0]
        if block.ndim:
            block = xp.permute_dims(block, (*step.dropped, *step.order))
        kept = iter(block.shape[len(step.dropped) :])
        count = len(block.shape) - len(step.dropped) + len(step.new)
        lengths = tuple(1 if axis in step.new else next(kept) for axis in range(count))
        if lengths != block.shape:
            block = xp.reshape(block, lengths)
        counts = step.access.counts(index)
        return block if block.shape == counts else xp.broadcast_to(block, counts)


@dataclass(frozen=True, slots=True)
class NativeConcatenation:
    """Parts put together along an axis; a part that this task does not need is None."""

    step: Concatenate
    module: ArrayModule

    def __call__(self, index: Index, values: Sequence[Any]) -> Any:
        xp, step = namespace_of(self.module), self.step
        with full_precision(self.module):
            parts = [converted(xp, v, step.dtype) for v in values if v is not None]
            if not parts:
                return xp.empty(step.access.counts(index), dtype=module_dtype(xp, step.dtype))
            ordered = parts[::-1] if step.backwards else parts
            return parts[0] if len(parts) == 1 else xp.concat(ordered, axis=step.axis)


@dataclass(frozen=True, slots=True)
class NativeReduction:
    """The first pass of a sum, product, extreme, any or all; its partial result is a NumPy array, as it is small."""

    step: ReduceBlocks
    accumulate: Accumulate
    module: ArrayModule

    def __call__(self, index: Index, values: Sequence[Any]) -> Any:
        xp, accumulate = namespace_of(self.module), self.accumulate
        name = REDUCTIONS[accumulate.ufunc]
        with full_precision(self.module):
            block = values[0]
            if accumulate.first is not None:
                block = converted(xp, block, accumulate.first)
            through = np.dtype(bool) if name in ("any", "all") else accumulate.through
            block = converted(xp, block, through)
            keywords: dict[str, Any] = {"axis": self.step.axes, "keepdims": True}
            if name in ("sum", "prod"):
                keywords["dtype"] = module_dtype(xp, through)
            found = to_numpy(getattr(xp, name)(block, **keywords)).astype(accumulate.through)
        if self.step.last:
            return accumulate.finish((found,), math.prod(self.step.extents))
        return found


@dataclass(frozen=True, slots=True)
class NativeCall:
    """A function of whole blocks, which gets the module's arrays and may return one, or a NumPy array."""

    step: CallFunction
    module: ArrayModule

    def __call__(self, index: Index, values: Sequence[Any]) -> Any:
        with full_precision(self.module):
            returned = self.step.returned(index, values)
            if isinstance(returned, np.ndarray | np.generic) or not hasattr(returned, "dtype"):
                return to_module(self.step.checked(returned, index), self.module)
            self.step.check(tuple(returned.shape), numpy_dtype(returned), index)
            return returned


@dataclass(frozen=True, slots=True)
class ReturnNumpy:
    """A function whose result is a NumPy array, whatever ``function`` returns."""

    function: Callable[..., Any]

    def __call__(self, *blocks: Any, **keywords: Any) -> Any:
        returned = self.function(*blocks, **keywords)
        return to_numpy(returned) if hasattr(returned, "dtype") else returned


@dataclass(frozen=True, slots=True)
class NativeFunction:
    """A function of blocks of our own, written with nothing but what arrays of the standard have."""

    function: Callable[..., Any]
    module: ArrayModule
    dtype: np.dtype[Any]

    def __call__(self, index: Index, values: Sequence[Any]) -> Any:
        xp = namespace_of(self.module)
        with full_precision(self.module):
            return converted(xp, self.function(*values), self.dtype)


@dataclass(frozen=True, slots=True)
class MatrixProduct:
    """The sum of products of two blocks by their axes' labels, by matrix products; see ``PairProduct``."""

    left: tuple[Any, ...]
    right: tuple[Any, ...]
    out: tuple[Any, ...]
    groups: int
    conjugate: bool
    dtype: np.dtype[Any]
    module: ArrayModule

    def __call__(self, a: Any, b: Any) -> Any:
        xp = namespace_of(self.module)
        a, b = converted(xp, a, self.dtype), converted(xp, b, self.dtype)
        if self.conjugate and self.dtype.kind == "c":
            a = xp.conj(a)
        both = [label for label in self.out if label in self.left and label in self.right]
        summed = [label for label in self.left if label not in self.out]
        rows = [label for label in self.out if label not in self.right]
        columns = [label for label in self.out if label not in self.left]
        a = xp.permute_dims(a, tuple(self.left.index(each) for each in (*both, *rows, *summed)))
        b = xp.permute_dims(b, tuple(self.right.index(each) for each in (*both, *summed, *columns)))
        shared, tall = a.shape[: len(both)], a.shape[len(both) : len(both) + len(rows)]
        wide, inner = (
            b.shape[len(both) + len(summed) :],
            math.prod(a.shape[len(both) + len(rows) :]),
        )
        a = xp.reshape(a, (*shared, math.prod(tall), inner))
        b = xp.reshape(b, (*shared, inner, math.prod(wide)))
        found = xp.reshape(xp.matmul(a, b), (*shared, *tall, *wide))
        order = (*both, *rows, *columns)
        if order:
            found = xp.permute_dims(found, tuple(order.index(label) for label in self.out))
        return xp.reshape(found, (*(1,) * self.groups, *found.shape))


@dataclass(frozen=True, slots=True)
class ReshapeBlock:
    """A block in the shape that ``function`` gives an array of its shape."""

    function: Callable[[Any], Any]
    module: ArrayModule

    def __call__(self, block: Any) -> Any:
        # Strides of 0: only the shape is of interest.
        shown = np.broadcast_to(np.zeros((), bool), block.shape)
        return namespace_of(self.module).reshape(block, self.function(shown).shape)
