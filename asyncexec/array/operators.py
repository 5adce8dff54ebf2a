"""Operators of Python on arrays, element by element."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Self

import numpy as np


class Operators:
    """Operators in terms of a function of one or two operands.

    NumPy's rules of element types hold: Python scalars are weak, and what must not be mixed raises TypeError.
    """

    __slots__ = ()

    @abstractmethod
    def _of(self, name: str, function: Callable[..., Any]) -> Self:
        """Return ``function`` of each element."""

    @abstractmethod
    def _with(
        self, name: str, function: Callable[..., Any], other: Any, *, swap: bool = False
    ) -> Self:
        """Return ``function`` of the elements of both; ``other`` is the first operand where ``swap`` says so."""

    @abstractmethod
    def _assigned(self, name: str, function: Callable[..., Any], other: Any) -> Self:
        """Return ``function`` of both with the shape and element type of this one, whose name takes the result."""

    def __abs__(self) -> Self:
        return self._of("abs", np.abs)

    def __neg__(self) -> Self:
        return self._of("negative", np.negative)

    def __pos__(self) -> Self:
        return self._of("positive", np.positive)

    def __invert__(self) -> Self:
        return self._of("bitwise_invert", np.invert)

    def __add__(self, other: Any) -> Self:
        return self._with("add", np.add, other)

    def __radd__(self, other: Any) -> Self:
        return self._with("add", np.add, other, swap=True)

    def __sub__(self, other: Any) -> Self:
        return self._with("subtract", np.subtract, other)

    def __rsub__(self, other: Any) -> Self:
        return self._with("subtract", np.subtract, other, swap=True)

    def __mul__(self, other: Any) -> Self:
        return self._with("multiply", np.multiply, other)

    def __rmul__(self, other: Any) -> Self:
        return self._with("multiply", np.multiply, other, swap=True)

    def __truediv__(self, other: Any) -> Self:
        return self._with("divide", np.divide, other)

    def __rtruediv__(self, other: Any) -> Self:
        return self._with("divide", np.divide, other, swap=True)

    def __floordiv__(self, other: Any) -> Self:
        return self._with("floor_divide", np.floor_divide, other)

    def __rfloordiv__(self, other: Any) -> Self:
        return self._with("floor_divide", np.floor_divide, other, swap=True)

    def __mod__(self, other: Any) -> Self:
        return self._with("remainder", np.remainder, other)

    def __rmod__(self, other: Any) -> Self:
        return self._with("remainder", np.remainder, other, swap=True)

    def __pow__(self, other: Any) -> Self:
        return self._with("pow", np.power, other)

    def __rpow__(self, other: Any) -> Self:
        return self._with("pow", np.power, other, swap=True)

    def __and__(self, other: Any) -> Self:
        return self._with("bitwise_and", np.bitwise_and, other)

    def __rand__(self, other: Any) -> Self:
        return self._with("bitwise_and", np.bitwise_and, other, swap=True)

    def __or__(self, other: Any) -> Self:
        return self._with("bitwise_or", np.bitwise_or, other)

    def __ror__(self, other: Any) -> Self:
        return self._with("bitwise_or", np.bitwise_or, other, swap=True)

    def __xor__(self, other: Any) -> Self:
        return self._with("bitwise_xor", np.bitwise_xor, other)

    def __rxor__(self, other: Any) -> Self:
        return self._with("bitwise_xor", np.bitwise_xor, other, swap=True)

    def __lshift__(self, other: Any) -> Self:
        return self._with("bitwise_left_shift", np.left_shift, other)

    def __rlshift__(self, other: Any) -> Self:
        return self._with("bitwise_left_shift", np.left_shift, other, swap=True)

    def __rshift__(self, other: Any) -> Self:
        return self._with("bitwise_right_shift", np.right_shift, other)

    def __rrshift__(self, other: Any) -> Self:
        return self._with("bitwise_right_shift", np.right_shift, other, swap=True)

    def __eq__(self, other: object) -> Self:  # type: ignore[override]  # elementwise, as the standard says
        return self._with("equal", np.equal, other)

    def __ne__(self, other: object) -> Self:  # type: ignore[override]  # elementwise, as the standard says
        return self._with("not_equal", np.not_equal, other)

    def __lt__(self, other: Any) -> Self:
        return self._with("less", np.less, other)

    def __le__(self, other: Any) -> Self:
        return self._with("less_equal", np.less_equal, other)

    def __gt__(self, other: Any) -> Self:
        return self._with("greater", np.greater, other)

    def __ge__(self, other: Any) -> Self:
        return self._with("greater_equal", np.greater_equal, other)

    def __iadd__(self, other: Any) -> Self:
        return self._assigned("add", np.add, other)

    def __isub__(self, other: Any) -> Self:
        return self._assigned("subtract", np.subtract, other)

    def __imul__(self, other: Any) -> Self:
        return self._assigned("multiply", np.multiply, other)

    def __itruediv__(self, other: Any) -> Self:
        return self._assigned("divide", np.divide, other)

    def __ifloordiv__(self, other: Any) -> Self:
        return self._assigned("floor_divide", np.floor_divide, other)

    def __imod__(self, other: Any) -> Self:
        return self._assigned("remainder", np.remainder, other)

    def __ipow__(self, other: Any) -> Self:
        return self._assigned("pow", np.power, other)

    def __iand__(self, other: Any) -> Self:
        return self._assigned("bitwise_and", np.bitwise_and, other)

    def __ior__(self, other: Any) -> Self:
        return self._assigned("bitwise_or", np.bitwise_or, other)

    def __ixor__(self, other: Any) -> Self:
        return self._assigned("bitwise_xor", np.bitwise_xor, other)

    def __ilshift__(self, other: Any) -> Self:
        return self._assigned("bitwise_left_shift", np.left_shift, other)

    def __irshift__(self, other: Any) -> Self:
        return self._assigned("bitwise_right_shift", np.right_shift, other)

    __hash__ = None  # type: ignore[assignment]  # equality is elementwise
