"""An array as xarray asks for one: chunks as tuples of lengths, and NumPy's functions called by NumPy's names.

An :class:`~asyncexec.array.Array` names its chunks otherwise, and has the functions of the array API standard.
xarray reads ``chunks`` as a tuple of lengths for each axis, and reaches most operations by NumPy's functions and
ufuncs. A :class:`DuckArray` holds an array and turns the one into the other; it adds no operation of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncexec.array.array import Array
from asyncexec.array.operands import chunk_limit
from asyncexec.integrations.xarray import numpy_calls, selection
from asyncexec.integrations.xarray.chunk_tuples import ChunkTuples, settled_chunks
from asyncexec.integrations.xarray.known_truths import known_truth
from asyncexec.integrations.xarray.loads import loaded, refuse_silent_load

if TYPE_CHECKING:
    from asyncexec.array.spec import Spec
    from asyncexec.plan import Plan

_OPERANDS = (bool, int, float, complex, np.generic, np.ndarray, Array)

type _Operator = Callable[[Any, Any], Any]


def _binary(ufunc: np.ufunc) -> _Operator:
    def operate(self: DuckArray, other: Any) -> Any:
        # xarray's own objects come first: their operators call these.
        return ufunc(self, other) if isinstance(other, (*_OPERANDS, DuckArray)) else NotImplemented

    return operate


def _reflected(ufunc: np.ufunc) -> _Operator:
    def operate(self: DuckArray, other: Any) -> Any:
        return ufunc(other, self) if isinstance(other, _OPERANDS) else NotImplemented

    return operate


def _unary(ufunc: np.ufunc) -> Callable[[Any], Any]:
    def operate(self: DuckArray) -> Any:
        return ufunc(self)

    return operate


class DuckArray:
    """A lazy array of this package inside a variable of xarray: ``ds.temperature.data``.

    >>> import xarray as xr
    >>> da = xr.DataArray(np.ones((4, 6)), dims=("y", "x")).chunk(y=3, chunked_array_type="asyncexec")
    >>> da.data
    <asyncexec DuckArray shape=(4, 6) dtype=float64 chunks=(3, 6)>
    >>> da.chunks
    ((3, 1), (6,))
    >>> da.data.array.chunks
    (3, 6)

    Attributes
    ----------
    array : Array
        The same, as the functions of :mod:`asyncexec.array` take it.
    """

    __slots__ = ("array",)

    def __init__(self, array: Array) -> None:
        self.array = array

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.array.dtype

    @property
    def chunks(self) -> ChunkTuples:
        """The lengths of all chunks along each axis."""
        return self.array.chunksizes

    @property
    def chunksize(self) -> tuple[int, ...]:
        """The chunk length along each axis; the last chunk may be shorter."""
        return self.array.node.chunks

    @property
    def numblocks(self) -> tuple[int, ...]:
        return self.array.numblocks

    @property
    def ndim(self) -> int:
        return self.array.ndim

    @property
    def size(self) -> int:
        return self.array.size

    @property
    def itemsize(self) -> int:
        return self.array.itemsize

    @property
    def nbytes(self) -> int:
        return self.array.nbytes

    @property
    def spec(self) -> Spec:
        return self.array.spec

    @property
    def real(self) -> Any:
        return np.real(self)

    @property
    def imag(self) -> Any:
        return np.imag(self)

    @property
    def T(self) -> Any:  # noqa: N802 - NumPy's name
        return self.transpose()

    def rechunk(self, chunks: Any) -> DuckArray:
        """Return the same array in other chunks, in any of xarray's spellings."""
        limit = chunk_limit(self.array.own_spec)
        previous = self.array.own_node.chunks
        wanted = settled_chunks(chunks, self.shape, self.itemsize, limit=limit, previous=previous)
        return DuckArray(self.array.rechunk(wanted))

    def compute(self, **options: Any) -> np.ndarray[Any, Any]:
        """Compute it; see :meth:`asyncexec.array.Array.compute`."""
        found: np.ndarray[Any, Any] = self.array.compute(**options)
        return found

    def to_plan(self) -> Plan:
        """Return the plan that computes it, so that engines execute it as it is."""
        return self.array.to_plan()

    def astype(self, dtype: Any, **_: Any) -> DuckArray:
        """Return the same with elements of another type; where NumPy would copy or not makes no difference here."""
        return DuckArray(self.array.astype(dtype, copy=False))

    def transpose(self, *axes: Any) -> Any:
        """Return the same with its axes in another order, by default the reverse."""
        order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        return np.transpose(self, order or None)

    def reshape(self, *shape: Any, **options: Any) -> Any:
        """Return the elements in another shape; options are those of ``numpy.reshape``."""
        wanted: Sequence[int] = shape[0] if len(shape) == 1 else shape
        return np.reshape(self, wanted, **options)

    def copy(self) -> DuckArray:
        """Return another of the same: arrays never change."""
        return DuckArray(self.array)

    def item(self) -> Any:
        """Compute the one element."""
        return self.compute().item()

    def __getattr__(self, name: str) -> Any:
        # NumPy's methods, which arrays have too: x.sum(axis=0), x.clip(0, 1).
        found = None if name.startswith("_") else getattr(Array, name, None)
        if not callable(found):
            raise AttributeError(  # noqa: TRY004 - what hasattr() expects
                f"arrays of asyncexec in xarray have no attribute {name!r}; the array itself is .array"
            )
        method = getattr(self.array, name)

        def call(*args: Any, **keywords: Any) -> Any:
            inside = {k: numpy_calls.unwrapped(v) for k, v in keywords.items()}
            return numpy_calls.wrapped(
                method(*map(numpy_calls.unwrapped, args), **inside), DuckArray
            )

        return call

    def __getitem__(self, key: Any) -> DuckArray:
        found = selection.selected(self.array, key)
        return DuckArray(numpy_calls.as_stored(found, (self.array,)))

    def __setitem__(self, key: Any, value: Any) -> None:
        # Another array than before, so that what was made of it stays as it is.
        found = self.array.copy()
        found[key] = numpy_calls.unwrapped(value)
        self.array = found

    def __len__(self) -> int:
        return len(self.array)

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> np.ndarray[Any, Any]:
        refuse_silent_load()
        known = known_truth(self.array)
        if known is not None:
            return np.asarray(known, dtype)
        if copy is False:
            return self.array.__array__(dtype, copy=copy)
        value = loaded(self.array, {})
        return np.asarray(value, dtype)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return numpy_calls.ufunc_inside(ufunc, method, inputs, kwargs, DuckArray)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Any:
        return numpy_calls.function_inside(function, args, kwargs, DuckArray)

    def __copy__(self) -> DuckArray:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> DuckArray:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        return DuckArray, (self.array,)

    def __repr__(self) -> str:
        return (
            f"<asyncexec DuckArray shape={self.shape} dtype={self.dtype} chunks={self.chunksize}>"
        )

    def _repr_inline_(self, max_width: int) -> str:
        text = f"asyncexec.Array<chunksize={self.chunksize}>"
        return text if len(text) <= max_width else text[: max_width - 3] + "..."

    def _repr_html_(self) -> str:
        return self.array._repr_html_()

    def __bool__(self) -> bool:
        refuse_silent_load()
        known = known_truth(self.array)
        return bool(self.array) if known is None else known

    def __int__(self) -> int:
        return int(self.array)

    def __float__(self) -> float:
        return float(self.array)

    def __complex__(self) -> complex:
        return complex(self.array)

    def __index__(self) -> int:
        return self.array.__index__()

    __abs__ = _unary(np.absolute)
    __neg__ = _unary(np.negative)
    __pos__ = _unary(np.positive)
    __invert__ = _unary(np.invert)
    __add__, __radd__ = _binary(np.add), _reflected(np.add)
    __sub__, __rsub__ = _binary(np.subtract), _reflected(np.subtract)
    __mul__, __rmul__ = _binary(np.multiply), _reflected(np.multiply)
    __truediv__, __rtruediv__ = _binary(np.divide), _reflected(np.divide)
    __floordiv__, __rfloordiv__ = _binary(np.floor_divide), _reflected(np.floor_divide)
    __mod__, __rmod__ = _binary(np.remainder), _reflected(np.remainder)
    __pow__, __rpow__ = _binary(np.power), _reflected(np.power)
    __and__, __rand__ = _binary(np.bitwise_and), _reflected(np.bitwise_and)
    __or__, __ror__ = _binary(np.bitwise_or), _reflected(np.bitwise_or)
    __xor__, __rxor__ = _binary(np.bitwise_xor), _reflected(np.bitwise_xor)
    __lshift__, __rlshift__ = _binary(np.left_shift), _reflected(np.left_shift)
    __rshift__, __rrshift__ = _binary(np.right_shift), _reflected(np.right_shift)
    __matmul__, __rmatmul__ = _binary(np.matmul), _reflected(np.matmul)
    __eq__, __ne__ = _binary(np.equal), _binary(np.not_equal)
    __lt__, __le__ = _binary(np.less), _binary(np.less_equal)
    __gt__, __ge__ = _binary(np.greater), _binary(np.greater_equal)
    __hash__ = None  # type: ignore[assignment]  # equality is elementwise
