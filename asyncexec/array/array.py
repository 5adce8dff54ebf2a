"""The lazy chunked array that users hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Self

import numpy as np

from asyncexec.array import build, chunks as chunking
from asyncexec.array.assigned_values import as_assigned
from asyncexec.array.assignment import assigned
from asyncexec.array.blocking import run
from asyncexec.array.calls import STANDARD, name_methods_in_errors, raise_named
from asyncexec.array.chunked import Chunked
from asyncexec.array.contraction import matrix_product
from asyncexec.array.conversions import Conversions
from asyncexec.array.display import as_html, as_text
from asyncexec.array.dtypes import as_text_operand, field_of
from asyncexec.array.flat_expressions import Row, as_rows, from_rows
from asyncexec.array.inherited import inherited
from asyncexec.array.lowering import RequestedArray, lower
from asyncexec.array.methods import Methods
from asyncexec.array.namespace import namespace
from asyncexec.array.nodes import Node
from asyncexec.array.numpy_functions import call_function
from asyncexec.array.numpy_ufuncs import UfuncMethod
from asyncexec.array.operands import (
    SCALARS,
    check_device,
    chunk_limit,
    common_spec,
    constant_or_node,
)
from asyncexec.array.operators import Operators
from asyncexec.array.selection import selected
from asyncexec.array.spec import Spec
from asyncexec.errors import AsyncexecError
from asyncexec.plan import Plan


class Array(Chunked, Conversions, Methods, Operators):
    """A chunked array whose elements are computed when they are asked for.

    Made by the functions of :mod:`asyncexec.array`. Operations return other arrays at once, whatever the size; nothing
    runs before :meth:`compute`, or before an engine executes it.

    >>> x = xp.ones((1000, 800), chunks=(100, 800))
    >>> y = (x + 1)[::2].T
    >>> y
    <asyncexec.Array shape=(800, 500) dtype=float64 chunks=(800, 100) (3.2 MB)>
    >>> xp.sum(y).compute()
    array(800000.)

    Assigning to elements gives the array another expression; what was made of it before keeps the old elements.

    >>> x[0] = 5
    >>> xp.sum(x).compute(), xp.sum(y).compute()
    (array(803200.), array(800000.))
    """

    __slots__ = ("_spec",)

    __array_ufunc__ = UfuncMethod()

    def __init__(self, node: Node, spec: Spec | None = None) -> None:
        self._node = node
        self._regular: Node | None = None
        self._spec = spec

    @property
    def own_spec(self) -> Spec | None:
        """The spec it was made with; None where none was given."""
        return self._spec

    @property
    def spec(self) -> Spec:
        """The place and the memory with which it is computed."""
        return self._spec or Spec()

    @property
    def shape(self) -> tuple[int, ...]:
        """Length along each axis."""
        return self._node.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type."""
        return self._node.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes in all, once computed."""
        return self.size * self.itemsize

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes of the Zarr array whose elements it has, and no others; see ``docs/reference/array.md``."""
        return inherited(self._node).mapping

    @property
    def dimension_names(self) -> tuple[str | None, ...] | None:
        """The names that the axes have in the Zarr arrays that it is made of; None where none has one."""
        return inherited(self._node).names

    @property
    def device(self) -> str:
        """Always ``"cpu"``."""
        return "cpu"

    @property
    def T(self) -> Self:  # noqa: N802 - the standard's name
        """The transpose of a matrix.

        Raises
        ------
        ValueError
            If there are not two axes.
        """
        if self.ndim != 2:
            raise ValueError(
                f".T is for two axes, and there are {self.ndim}: use .mT, or permute_dims()"
            )
        return self._make(build.permute(self._node, (1, 0)))

    @property
    def mT(self) -> Self:  # noqa: N802 - the standard's name
        """The transpose of a stack of matrices: the last two axes change places.

        Raises
        ------
        ValueError
            If there are fewer than two axes.
        """
        if self.ndim < 2:
            raise ValueError(f".mT is for at least two axes, and there are {self.ndim}")
        axes = (*range(self.ndim - 2), self.ndim - 1, self.ndim - 2)
        return self._make(build.permute(self._node, axes, "matrix_transpose"))

    def rechunk(self, chunks: chunking.ChunksLike) -> Self:
        """Return the same array in other chunks; see :func:`asyncexec.array.rechunk`."""
        limit = chunk_limit(self._spec)
        settled = chunking.normalize_chunks(
            chunks, self.shape, self.itemsize, limit=limit, previous=self._node.chunks
        )
        return self._make(build.with_chunks(self._node, settled))

    def astype(self, dtype: Any, /, *, copy: bool = True, device: str | None = None) -> Self:
        """Return it with elements of another type; see :func:`asyncexec.array.astype`.

        With ``copy=False`` it may be this very array, where the type is the same.
        """
        check_device(device)
        found = self._make(build.cast(self._node, np.dtype(dtype)))
        return found.copy() if copy and found is self else found

    def copy(self) -> Self:
        """Return another array of the same elements; assignments to one of them leave the other as it is."""
        return type(self)(self._node, self._spec)

    def to_device(self, device: str, /, *, stream: Any = None) -> Self:
        """Return itself, for ``"cpu"``.

        Raises
        ------
        ValueError
            If it is another device, or a stream is given.
        """
        if device != "cpu" or stream is not None:
            raise ValueError(f"device {device!r} is not supported: there is 'cpu' alone")
        return self

    def to_plan(self) -> Plan:
        """Return the plan that computes it; its result is a NumPy array.

        >>> plan = xp.mean(xp.ones((4, 6), chunks=(2, 3)), axis=0).to_plan()
        >>> [(stage.operation, stage.shape) for stage in plan.stages]
        [('ones+mean', (2, 2)), ('mean+squeeze', (2,))]

        Raises
        ------
        PlanError
            If it cannot run, such as for lack of memory.
        """
        return lower([RequestedArray(node=self._node)], self.spec)

    def compute(self, /, **options: Any) -> np.ndarray[Any, Any]:
        """Compute it on the spec's executor, and return it as a NumPy array.

        It works in scripts and notebooks. In a coroutine of a service, which it would block, write
        ``(value,) = await ax.compute(array)`` instead. Options are those of :func:`asyncexec.sync.execute`.

        >>> (xp.arange(4, chunks=2) * 10).compute()
        array([ 0, 10, 20, 30])

        Raises
        ------
        RunningLoopError
            If the event loop of a service is running here.
        """
        return self._compute(options, "x.compute()", "(value,) = await ax.compute(x)")

    def visualize(self, path: str | Path | None = None) -> Any:
        """Draw the plan that computes it; see :meth:`asyncexec.Plan.visualize`."""
        return self.to_plan().visualize(path)

    def _make(self, node: Node) -> Self:
        return self if node is self._node else type(self)(node, self._spec)

    def _with(
        self, name: str, function: Callable[..., Any], other: Any, *, swap: bool = False
    ) -> Self:
        if isinstance(other, str | bytes):
            other = as_text_operand(other, self.dtype)
        if isinstance(other, Array):
            operand, spec = other.own_node, common_spec((self._spec, other.own_spec))
        elif isinstance(other, (*SCALARS, np.ndarray)):
            operand, spec = constant_or_node(other), self._spec
        else:
            return NotImplemented  # type: ignore[no-any-return]  # Python asks the other operand
        operands = (operand, self._node) if swap else (self._node, operand)
        limit = chunk_limit(spec)
        return type(self)(build.apply_elementwise(name, function, operands, limit=limit), spec)

    def _assigned(self, name: str, function: Callable[..., Any], other: Any) -> Self:
        return self._in_place(name, self._with(name, function, other))

    def _in_place(self, name: str, found: Self) -> Self:
        if found is NotImplemented:
            return found
        if found.shape != self.shape:
            raise ValueError(
                f"{name} in place would change the shape from {self.shape} to {found.shape}: write x = x + y"
            )
        if not np.can_cast(found.dtype, self.dtype, "same_kind"):
            raise TypeError(
                f"{name} in place would make {self.dtype} of {found.dtype}, which is another kind: "
                f"write x = x + y, or x = (x + y).astype({self.dtype.name!r})"
            )
        return found.astype(self.dtype)

    def __matmul__(self, other: Any) -> Self:
        return self._product(other)

    def __rmatmul__(self, other: Any) -> Self:
        return self._product(other, swap=True)

    def __imatmul__(self, other: Any) -> Self:
        return self._in_place("matmul", self._product(other))

    def _product(self, other: Any, *, swap: bool = False) -> Self:
        if isinstance(other, Array):
            operand, spec = other.node, common_spec((self._spec, other.own_spec))
        elif isinstance(other, np.ndarray):
            operand, spec = constant_or_node(other), self._spec
        else:
            return NotImplemented  # type: ignore[no-any-return]  # Python asks the other operand
        left, right = (operand, self.node) if swap else (self.node, operand)
        free = (spec or Spec()).free_bytes
        return type(self)(
            matrix_product(left, right, limit=chunk_limit(spec), free_bytes=free), spec
        )

    def _of(self, name: str, function: Callable[..., Any]) -> Self:
        return type(self)(build.apply_elementwise(name, function, (self._node,)), self._spec)

    def _compute(
        self, options: Mapping[str, Any], called: str, instead: str
    ) -> np.ndarray[Any, Any]:
        value: np.ndarray[Any, Any] = run(self, options, called=called, instead=instead)
        return value

    def __getitem__(self, key: Any) -> Self:
        if isinstance(key, str) and self.dtype.names is not None:
            return self._of(f"field {key}", field_of(self.dtype, key))
        spec = self._shared_spec(key)
        limit = chunk_limit(spec)
        evaluate = self._evaluating(spec, "x[key]", "lambda: x[key]")
        return type(self)(selected(self._node, key, limit=limit, evaluate=evaluate), spec)

    def __setitem__(self, key: Any, value: Any) -> None:
        # The array gets another expression: those made of it before keep the one that it had.
        spec = self._shared_spec((key, value))
        new = as_assigned(value, self.dtype)
        limit = chunk_limit(spec)
        evaluate = self._evaluating(spec, "x[key] = value", "x.__setitem__, key, value")
        found = assigned(self.node, key, new, limit=limit, evaluate=evaluate)
        self._regular, self._node = None, build.with_chunks(found, self._node.chunks)
        self._spec = spec

    def _shared_spec(self, *parts: Any) -> Spec | None:
        """Return the spec of this array and of those among ``parts`` and within tuples of them."""
        found = self._spec
        for part in parts:
            if isinstance(part, Array):
                found = common_spec((found, part.own_spec))
            elif isinstance(part, tuple):
                found = common_spec((found, self._shared_spec(*part)))
        return found

    def _evaluating(
        self, spec: Spec | None, called: str, call: str
    ) -> Callable[[Node], np.ndarray[Any, Any]]:
        """Return a function that computes an index, or counts of one, for what users wrote as ``called``."""
        called = f"{called} with an index that is not computed yet"
        instead = f"await asyncio.to_thread({call})"

        def evaluate(node: Node) -> np.ndarray[Any, Any]:
            found: np.ndarray[Any, Any] = run(
                type(self)(node, spec), {}, called=called, instead=instead
            )
            return found

        return evaluate

    def __iter__(self) -> Any:
        if not self.ndim:
            raise TypeError("an array without axes cannot be iterated over")
        return (self[i] for i in range(self.shape[0]))

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("an array without axes has no length")
        return self.shape[0]

    def __array_namespace__(self, *, api_version: str | None = None) -> ModuleType:
        return namespace(api_version)

    def __array_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any],
        keywords: Mapping[str, Any],
    ) -> Any:
        try:
            return call_function(func, types, args, keywords)
        except STANDARD as error:
            raise_named(error, f"{func.__module__}.{func.__name__}", func, args, keywords)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _from_rows, (type(self), as_rows(self._node), self._spec)

    def __repr__(self) -> str:
        return as_text(self.shape, self.dtype, self._node.chunks)

    def _repr_html_(self) -> str:
        operation, work = self._node.operation, self._work()
        return as_html(self.shape, self.dtype, self._node.chunks, operation=operation, work=work)

    def _work(self) -> str:
        """Return in words what computing it takes; nothing where it cannot run."""
        try:
            plan = self.to_plan()
        except AsyncexecError:
            return "cannot run as it is: see to_plan()"
        return f"{plan.tasks:,} tasks in {len(plan.stages):,} stages"


_IN_ERRORS = (
    *(
        name
        for name, value in vars(Operators).items()
        if isinstance(value, FunctionType) and name.startswith("__")
    ),
    *(
        "__matmul__",
        "__rmatmul__",
        "__imatmul__",
        "__getitem__",
        "__setitem__",
        "rechunk",
        "astype",
    ),
)
name_methods_in_errors(Array, _IN_ERRORS, "Array.")


def _from_rows(kind: type[Array], rows: list[Row], spec: Spec | None) -> Array:
    return kind(from_rows(rows), spec)
