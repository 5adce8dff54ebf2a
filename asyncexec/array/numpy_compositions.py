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
    array = _lazy(a)
    if mode == "raise":
        return array.take(indices, axis)
    if mode not in ("clip", "wrap"):
        raise ValueError(f"mode={mode!r} is none of 'raise', 'clip' and 'wrap'")
    n = array.size if axis is None else array.shape[axis]
    places: Any = indices if isinstance(indices, Operators) else np.asarray(indices)
    if not n and places.size:
        raise IndexError(f"numpy.take of {places.size} elements of an axis of none")
    inside = np.clip(places, 0, max(n - 1, 0)) if mode == "clip" else places % max(n, 1)
    return array.take(inside, axis)


def _inner(a: Any, b: Any, /) -> Any:
    # Numbers, which are no arrays of the namespace.
    if not np.ndim(a) or not np.ndim(b):
        return _lazy(a) * b
    return namespace().inner(_lazy(a), _lazy(b))


def _of_triangle(name: str) -> Callable[..., Any]:
    def triangle(m: Any, k: int = 0) -> Any:
        array = _lazy(m)
        if array.ndim == 1:
            array = namespace().broadcast_to(array, array.shape * 2)
        return getattr(namespace(), name)(array, k=k)

    return triangle


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
    "inner": _inner,
    "tril": _of_triangle("tril"),
    "triu": _of_triangle("triu"),
    "outer": _outer,
    "diagonal": _diagonal,
    "trace": _trace,
    "nonzero": lambda a: a.nonzero(),
    "cumsum": _scanned("cumsum"),
    "cumprod": _scanned("cumprod"),
}
"""Functions that must not be looked up by their names."""

COMPOSED: Mapping[str, Callable[..., Any]] = {
    "vdot": _vdot,
    "array_split": _array_split,
    "split": _split,
    "fliplr": lambda m: namespace().flip(m, axis=1),
    "flipud": lambda m: namespace().flip(m, axis=0),
}
"""Functions made of others, where the namespace has none."""
