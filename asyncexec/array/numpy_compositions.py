"""NumPy's functions that the namespace has not by their names, or with other meanings of their arguments.

Those of ``OWN`` come first; those of ``COMPOSED`` are taken where the namespace has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from asyncexec.array.namespace import namespace
from asyncexec.array.operators import Operators


def _lazy(x: Any) -> Any:
    return x if isinstance(x, Operators) else namespace().asarray(x)


def _no_out(called: str, out: Any) -> None:
    if out is not None:
        raise TypeError(
            f"numpy.{called}(out=...) would change an array in place: write y = numpy.{called}(...)"
        )


def _size(a: Any, axis: int | None = None) -> int:
    return int(a.size) if axis is None else int(a.shape[axis])


def _take(
    a: Any, indices: Any, axis: int | None = None, out: Any = None, mode: str = "raise"
) -> Any:
    _no_out("take", out)
    if mode != "raise":
        raise TypeError(
            f"numpy.take(mode={mode!r}) is not known for lazy arrays: use indices in range"
        )
    return _lazy(a).take(indices, axis)


def _reshape(a: Any, /, shape: Any, order: str = "C", *, copy: bool | None = None) -> Any:
    if order not in ("C", "F", "A", "K"):
        raise ValueError(f"order={order!r} is none of 'C', 'F', 'A' and 'K'")
    if order != "F":
        # "A" and "K" follow the memory, which has arrays in C order here.
        return _lazy(a).reshape(shape, copy=copy)
    # Read with the first axis changing fastest, an array is its transpose read in C order.
    wanted = tuple(np.atleast_1d(shape))[::-1]
    return _lazy(a).transpose().reshape(wanted, copy=copy).transpose()


def _repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    return _lazy(a).repeat(repeats, axis)


def _where(condition: Any, /, *operands: Any) -> Any:
    return (
        namespace().where(_lazy(condition), *operands) if operands else _lazy(condition).nonzero()
    )


def _like(name: str) -> Callable[..., Any]:
    def made(a: Any, *args: Any, shape: Any = None, **keywords: Any) -> Any:
        options = {k: v for k, v in keywords.items() if k not in ("order", "subok")}
        fill = (
            {}
            if name != "full_like"
            else {"fill_value": args[0] if args else options.pop("fill_value")}
        )
        rest = args[1:] if name == "full_like" else args
        if rest:
            options["dtype"] = rest[0]
        if shape is None or tuple(np.atleast_1d(shape)) == a.shape:
            return getattr(namespace(), name)(a, *fill.values(), **options)
        options["dtype"] = options.get("dtype") or a.dtype
        return getattr(namespace(), name.removesuffix("_like"))(
            shape, *fill.values(), **options, spec=a.own_spec
        )

    return made


def _dot(a: Any, b: Any, out: Any = None) -> Any:
    _no_out("dot", out)
    if not np.ndim(a) or not np.ndim(b):
        return _lazy(a) * b
    return namespace().tensordot(_lazy(a), _lazy(b), axes=((-1,), (max(np.ndim(b) - 2, 0),)))


def _inner(a: Any, b: Any, /) -> Any:
    if not np.ndim(a) or not np.ndim(b):
        return _lazy(a) * b
    return namespace().tensordot(_lazy(a), _lazy(b), axes=((-1,), (-1,)))


def _vdot(a: Any, b: Any, /) -> Any:
    return namespace().vecdot(_lazy(a).ravel(), _lazy(b).ravel())


def _outer(a: Any, b: Any, out: Any = None) -> Any:
    _no_out("outer", out)
    return _lazy(a).ravel()[:, None] * _lazy(b).ravel()


def _last(x: Any, axis1: int, axis2: int) -> Any:
    return namespace().moveaxis(_lazy(x), (axis1, axis2), (-2, -1))


def _diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    return namespace().linalg.diagonal(_last(a, axis1, axis2), offset=offset)


def _trace(  # noqa: PLR0917 - NumPy's
    a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None
) -> Any:
    _no_out("trace", out)
    return namespace().linalg.trace(_last(a, axis1, axis2), offset=offset, dtype=dtype)


def _at_least(ndim: int) -> Callable[..., Any]:
    def raised(*arrays: Any) -> Any:
        found = [_raised(_lazy(x), ndim) for x in arrays]
        return found[0] if len(found) == 1 else tuple(found)

    return raised


def _raised(x: Any, ndim: int) -> Any:
    missing = ndim - x.ndim
    if missing <= 0:
        return x
    if ndim == 3 and x.ndim:
        return x[None, :, None] if x.ndim == 1 else x[..., None]
    return x[(None,) * missing]


def _stacked(axis: int, ndim: int) -> Callable[..., Any]:
    def stacked(tup: Sequence[Any], *, dtype: Any = None, casting: Any = "same_kind") -> Any:
        parts = [_raised(_lazy(x), ndim) for x in tup]
        along = 0 if axis == 1 and parts[0].ndim == 1 else axis
        found = namespace().concat(parts, axis=along)
        return found if dtype is None else _cast(found, dtype, casting)

    return stacked


def _cast(x: Any, dtype: Any, casting: Any) -> Any:
    if not np.can_cast(x.dtype, dtype, casting):
        raise TypeError(f"elements of {x.dtype} become no {np.dtype(dtype)} by casting={casting!r}")
    return x.astype(dtype)


def _concatenate(
    arrays: Sequence[Any],
    /,
    axis: int | None = 0,
    out: Any = None,
    *,
    dtype: Any = None,
    casting: Any = "same_kind",
) -> Any:
    _no_out("concatenate", out)
    found = namespace().concat([_lazy(x) for x in arrays], axis=axis)
    return found if dtype is None else _cast(found, dtype, casting)


def _stack(
    arrays: Sequence[Any],
    axis: int = 0,
    out: Any = None,
    *,
    dtype: Any = None,
    casting: Any = "same_kind",
) -> Any:
    _no_out("stack", out)
    found = namespace().stack([_lazy(x) for x in arrays], axis=axis)
    return found if dtype is None else _cast(found, dtype, casting)


def _column_stack(tup: Sequence[Any]) -> Any:
    parts = [_lazy(x) for x in tup]
    return namespace().concat([x if x.ndim > 1 else x.reshape(-1, 1) for x in parts], axis=1)


def _append(arr: Any, values: Any, axis: int | None = None) -> Any:
    first, second = _lazy(arr), _lazy(values)
    if axis is None:
        first, second, axis = first.ravel(), second.ravel(), 0
    return namespace().concat([first, second], axis=axis)


def _check_sections(given: Any) -> None:
    if not np.ndim(given) and int(given) < 1:
        raise ValueError(f"an axis is split into one part or more, and not into {given!r}")


def _array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    n = ary.shape[axis]
    _check_sections(indices_or_sections)
    if np.ndim(indices_or_sections):
        inner = [int(i) for i in indices_or_sections]
    else:
        each, more = divmod(n, int(indices_or_sections))
        inner = [k * each + min(k, more) for k in range(1, int(indices_or_sections))]
    lead = (slice(None),) * (axis % ary.ndim)
    return [ary[(*lead, slice(a, b))] for a, b in zip([0, *inner], [*inner, n], strict=True)]


def _split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    _check_sections(indices_or_sections)
    if not np.ndim(indices_or_sections) and ary.shape[axis] % int(indices_or_sections):
        raise ValueError(
            f"an axis of length {ary.shape[axis]} cannot be split into {indices_or_sections} equal parts: "
            f"use numpy.array_split()"
        )
    return _array_split(ary, indices_or_sections, axis)


def _rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    first, second = axes
    flip = namespace().flip
    turned = k % 4
    if turned == 0:
        return m
    if turned == 2:
        return flip(flip(m, axis=first), axis=second)
    if turned == 1:
        return flip(m, axis=second).swapaxes(first, second)
    return flip(m.swapaxes(first, second), axis=second)


def _isclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: Any = None) -> Any:
    return np.isclose(_lazy(a), b, rtol=rtol, atol=atol, equal_nan=bool(equal_nan))


def _allclose(a: Any, b: Any, *args: Any, **keywords: Any) -> Any:
    return namespace().all(_isclose(a, b, *args, **keywords))


def _array_equal(a1: Any, a2: Any, equal_nan: Any = None) -> Any:
    first, second = _lazy(a1), _lazy(a2)
    if first.shape != second.shape:
        return namespace().asarray(np.False_)
    same = first == second
    if equal_nan and first.dtype.kind in "fcmM" and second.dtype.kind in "fcmM":
        same |= (first != first) & (second != second)  # noqa: PLR0124 - NaN and NaT alone differ from themselves
    return namespace().all(same)


def _ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = None) -> Any:
    _no_out("ptp", out)
    return a.max(axis, keepdims=bool(keepdims)) - a.min(axis, keepdims=bool(keepdims))


def _average(
    a: Any, axis: Any = None, weights: Any = None, returned: Any = None, *, keepdims: Any = None
) -> Any:
    ns, x, kept = namespace(), _lazy(a), bool(keepdims)
    if weights is None:
        mean = ns.mean(x, axis=axis, keepdims=kept)
        total = ns.full(
            mean.shape, x.size / max(mean.size, 1), dtype=mean.dtype, chunks=mean.chunks
        )
        return (mean, total) if returned else mean
    factors = _lazy(weights)
    if factors.shape != x.shape:
        if not isinstance(axis, int) or factors.ndim != 1:
            raise TypeError(
                f"numpy.average: weights of shape {factors.shape} need one axis, and not axis={axis!r}"
            )
        factors = factors[tuple(slice(None) if p == axis % x.ndim else None for p in range(x.ndim))]
    factors = ns.broadcast_to(factors, x.shape)
    total = ns.sum(factors, axis=axis, keepdims=kept)
    mean = ns.sum(x * factors, axis=axis, keepdims=kept) / total
    return (mean, total) if returned else mean


def _flatnonzero(a: Any) -> Any:
    return a.ravel().nonzero()[0]


def _argwhere(a: Any) -> Any:
    return namespace().stack(a.nonzero(), axis=1)


def _type(value: Any) -> Any:
    return getattr(value, "dtype", None) if isinstance(value, Operators) else value


def _can_cast(from_: Any, to: Any, casting: Any = "safe") -> bool:
    return bool(np.can_cast(_type(from_), _type(to), casting))


def _scanned(method: str) -> Callable[..., Any]:
    def scanned(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
        _no_out(method, out)
        return getattr(a, method)(axis, dtype)

    return scanned


def _text(a: Any, *_: Any, **__: Any) -> str:
    return repr(a)


OWN: Mapping[str, Callable[..., Any]] = {
    "shape": lambda a: a.shape,
    "ndim": lambda a: a.ndim,
    "size": _size,
    "result_type": lambda *values: np.result_type(*map(_type, values)),
    "can_cast": _can_cast,
    "common_type": lambda *arrays: np.common_type(*(np.empty(0, a.dtype) for a in arrays)),
    "min_scalar_type": lambda a: a.dtype,
    "iscomplexobj": lambda x: x.dtype.kind == "c",
    "isrealobj": lambda x: x.dtype.kind != "c",
    "shares_memory": lambda *_, **__: False,
    "may_share_memory": lambda *_, **__: False,
    "array_repr": _text,
    "array_str": _text,
    "array2string": _text,
    "copy": lambda a, *_, **__: a.copy(),
    "ravel": lambda a, order="C": _reshape(a, -1, order),
    "reshape": _reshape,
    "transpose": lambda a, axes=None: a.transpose(axes),
    "matrix_transpose": lambda x, /: x.mT,
    "permute_dims": lambda a, axes=None: a.transpose(axes),
    "swapaxes": lambda a, axis1, axis2: a.swapaxes(axis1, axis2),
    "squeeze": lambda a, axis=None: a.squeeze(axis),
    "take": _take,
    "repeat": _repeat,
    "where": _where,
    "concatenate": _concatenate,
    "stack": _stack,
    "zeros_like": _like("zeros_like"),
    "ones_like": _like("ones_like"),
    "empty_like": _like("empty_like"),
    "full_like": _like("full_like"),
    "dot": _dot,
    "outer": _outer,
    "diagonal": _diagonal,
    "trace": _trace,
    "nonzero": lambda a: a.nonzero(),
    "cumsum": _scanned("cumsum"),
    "cumprod": _scanned("cumprod"),
}
"""Functions that must not be looked up by their names."""

COMPOSED: Mapping[str, Callable[..., Any]] = {
    "inner": _inner,
    "vdot": _vdot,
    "atleast_1d": _at_least(1),
    "atleast_2d": _at_least(2),
    "atleast_3d": _at_least(3),
    "vstack": _stacked(0, 2),
    "hstack": _stacked(1, 1),
    "dstack": _stacked(2, 3),
    "column_stack": _column_stack,
    "append": _append,
    "array_split": _array_split,
    "split": _split,
    "fliplr": lambda m: namespace().flip(m, axis=1),
    "flipud": lambda m: namespace().flip(m, axis=0),
    "rot90": _rot90,
    "allclose": _allclose,
    "array_equal": _array_equal,
    "ptp": _ptp,
    "average": _average,
    "flatnonzero": _flatnonzero,
    "argwhere": _argwhere,
}
"""Functions made of others, where the namespace has none."""
