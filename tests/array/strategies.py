"""Random arrays, and random expressions of them, beside what NumPy makes of the same."""

from itertools import pairwise

import numpy as np
from hypothesis import strategies as st

import asyncexec.array as xp
from asyncexec.plan.lengths import Lengths, lengths_of

DTYPES = [np.float64, np.float32, np.int64, np.int16, np.uint8, np.bool_, np.complex128]
SIDES = st.integers(0, 7)


@st.composite
def shapes(draw, most_dims=3, side=SIDES):
    return tuple(draw(st.lists(side, min_size=0, max_size=most_dims)))


@st.composite
def chunks_of(draw, shape):
    """Chunks of an array: along each axis of one length, or of lengths that differ."""
    return tuple(draw(lengths_along(n)) for n in shape)


@st.composite
def lengths_along(draw, n):
    if n < 3 or draw(st.integers(0, 2)):
        return draw(st.integers(1, max(n, 1)))
    ends = draw(st.sets(st.integers(1, n - 1), min_size=1, max_size=4))
    each = tuple(b - a for a, b in pairwise((0, *sorted(ends), n)))
    found = lengths_of(each)
    return each if isinstance(found, Lengths) else found


def values(shape, dtype, seed):
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind == "c":
        return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)
    if dtype.kind == "f":
        return rng.normal(size=shape).astype(dtype)
    return rng.integers(0, 50, shape).astype(dtype)


@st.composite
def leaves(draw, shape=None, dtypes=DTYPES):
    """A lazy array and the NumPy array it is made of."""
    shape = draw(shapes()) if shape is None else shape
    data = values(shape, draw(st.sampled_from(dtypes)), draw(st.integers(0, 2**32 - 1)))
    return xp.asarray(data, chunks=draw(chunks_of(shape))), data


@st.composite
def keys(draw, shape, new_axes=True):
    """A basic index of an array of `shape`."""
    parts = []
    for n in shape:
        kinds = ["slice"] if n == 0 else ["slice", "slice", "int"]
        if draw(st.sampled_from(kinds)) == "int":
            parts.append(draw(st.integers(-n, n - 1)))
        else:
            parts.append(draw(st.slices(n)))
    parts = parts[: draw(st.integers(0, len(parts)))]
    if len(parts) < len(shape) and draw(st.booleans()):
        parts.append(...)
    if new_axes:
        for _ in range(draw(st.integers(0, 2))):
            parts.insert(draw(st.integers(0, len(parts))), None)
    return tuple(parts)


def numeric(data):
    return data.dtype.kind in "iuf"


def unary(draw, x, data):
    functions = [
        (xp.square, np.square),
        (xp.isfinite, np.isfinite),
        (xp.logical_not, np.logical_not),
    ]
    if data.dtype.kind != "b":
        functions += [(xp.negative, np.negative), (xp.abs, np.abs)]
    ours, numpys = draw(st.sampled_from(functions))
    return ours(x), numpys(data)


def with_scalar(draw, x, data):
    scalar = draw(st.sampled_from([0, 1, 3, 0.5, True]))
    if draw(st.booleans()):
        return x * scalar, data * scalar
    return scalar + x, scalar + data


def binary(draw, x, data):
    """Another array that broadcasts to it, in other chunks."""
    shape = tuple(n if draw(st.booleans()) else 1 for n in data.shape)
    shape = shape[draw(st.integers(0, len(shape))) :]
    y, other = draw(leaves(shape=shape))
    ours, numpys = draw(
        st.sampled_from([(xp.add, np.add), (xp.multiply, np.multiply), (xp.equal, np.equal)])
    )
    if draw(st.booleans()):
        return ours(x, y), numpys(data, other)
    return ours(y, x), numpys(other, data)


def with_itself(draw, x, data):
    axes = tuple(range(data.ndim))
    return x * xp.flip(x, axis=axes), data * np.flip(data, axis=axes)


def index(draw, x, data):
    if data.ndim > 3:
        return x, data
    key = draw(keys(data.shape))
    return x[key], data[key]


def take(draw, x, data):
    axes = [axis for axis, n in enumerate(data.shape) if n]
    if not axes:
        return x, data
    axis = draw(st.sampled_from(axes))
    n = data.shape[axis]
    indices = draw(st.lists(st.integers(-n, n - 1), max_size=9))
    return xp.take(x, indices, axis=axis), np.take(data, np.array(indices, int), axis=axis)


def transpose(draw, x, data):
    axes = draw(st.permutations(range(data.ndim)))
    return xp.permute_dims(x, axes), np.transpose(data, axes)


def rechunk(draw, x, data):
    return xp.rechunk(x, draw(chunks_of(data.shape))), data


def concat(draw, x, data):
    if data.ndim == 0:
        return xp.stack([x, x + x]), np.stack([data, data + data])
    axis = draw(st.integers(0, data.ndim - 1))
    shape = tuple(draw(SIDES) if a == axis else n for a, n in enumerate(data.shape))
    y, other = draw(leaves(shape=shape, dtypes=[data.dtype]))
    return xp.concat([x, y, x], axis=axis), np.concat([data, other, data], axis=axis)


def stack(draw, x, data):
    axis = draw(st.integers(0, data.ndim))
    return xp.stack([x, x[...]], axis=axis), np.stack([data, data], axis=axis)


def broadcast(draw, x, data):
    shape = (draw(st.integers(0, 3)), *data.shape)
    return xp.broadcast_to(x, shape), np.broadcast_to(data, shape)


def reduce(draw, x, data):
    axes = tuple(a for a in range(data.ndim) if draw(st.booleans()))
    keepdims = draw(st.booleans())
    options = {"axis": axes, "keepdims": keepdims}
    split = draw(st.sampled_from([None, 2, 3]))
    if data.dtype.kind == "b":
        return xp.all(x, **options), np.all(data, **options)
    if draw(st.booleans()) and all(data.shape[a] for a in axes) and numeric(data):
        return xp.max(x, **options, split_every=split), np.max(data, **options)
    return xp.sum(x, **options, split_every=split), np.sum(data, **options)


def deviation(draw, x, data):
    """A reduction, and what it came from."""
    if not data.ndim or not data.shape[0] or not numeric(data):
        return x, data
    return x - xp.mean(x, axis=0), data - np.mean(data, axis=0)


def blocks(draw, x, data):
    if data.dtype.kind == "b":
        return x, data
    return xp.map_blocks(plus_one, x, dtype=data.dtype), plus_one(data)


def plus_one(block):
    return block + 1


OPERATIONS = [
    unary,
    with_scalar,
    binary,
    with_itself,
    index,
    take,
    transpose,
    rechunk,
    concat,
    stack,
    broadcast,
    reduce,
    deviation,
    blocks,
]


@st.composite
def expressions(draw, most_operations=6, more=()):
    """An expression of these operations and `more` of them, and its value by NumPy."""
    x, data = draw(leaves())
    for _ in range(draw(st.integers(0, most_operations))):
        operation = draw(st.sampled_from([*OPERATIONS, *more]))
        with np.errstate(all="ignore"):
            y, found = operation(draw, x, data)
        if found.ndim <= 4 and found.size <= 2000:
            x, data = y, found
    return x, data
