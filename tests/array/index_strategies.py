"""Keys of every kind, as NumPy takes them, and the same with arrays of ours."""

import numpy as np
from hypothesis import strategies as st

import asyncexec.array as xp
from tests.array.strategies import chunks_of


@st.composite
def numbers(draw, n, shape):
    """Integers that index an axis of `n` elements, negative ones among them."""
    size = int(np.prod(shape))
    listed = draw(st.lists(st.integers(-n, n - 1), min_size=size, max_size=size))
    kind = draw(st.sampled_from([np.int64, np.int16]))
    return np.array(listed, kind).reshape(shape)


@st.composite
def masks(draw, shape):
    return np.array(
        draw(st.lists(st.booleans(), min_size=int(np.prod(shape)), max_size=int(np.prod(shape)))),
        bool,
    ).reshape(shape)


@st.composite
def broadcastable(draw):
    """Shapes of index arrays that broadcast: one common shape, with some axes of length 1 or missing."""
    common = draw(st.lists(st.integers(0, 3), max_size=2))

    def one():
        shape = tuple(n if draw(st.booleans()) else 1 for n in common)
        return shape[draw(st.integers(0, len(shape))) :] if draw(st.booleans()) else shape

    return one


@st.composite
def any_keys(draw, shape, new_axes=True):
    """A key of integers, slices, new axes, an ellipsis, arrays of integers and masks."""
    one = draw(broadcastable())
    length = draw(st.integers(0, 3))
    parts, axis = [], 0
    while axis < len(shape):
        n = shape[axis]
        kind = draw(st.sampled_from(["slice", "int", "array", "array", "mask"]))
        if kind == "mask":
            width = draw(st.integers(1, len(shape) - axis))
            mask = np.zeros(shape[axis : axis + width], bool)
            # Masks among arrays select as many as these are, so that they broadcast.
            chosen = draw(st.permutations(range(mask.size)))[:length] if mask.size < 40 else []
            mask.flat[list(chosen)] = True
            parts.append(mask)
            axis += width
            continue
        if n == 0 or kind == "slice":
            parts.append(draw(st.slices(n)))
        elif kind == "int":
            parts.append(draw(st.integers(-n, n - 1)))
        else:
            parts.append(draw(numbers(n, one())))
        axis += 1
    start = draw(st.integers(0, len(parts)))
    if draw(st.booleans()):
        parts[start : draw(st.integers(start, len(parts)))] = [...]
    else:
        parts = parts[:start]
    if new_axes:
        for _ in range(draw(st.integers(0, 1))):
            parts.insert(draw(st.integers(0, len(parts))), None)
    if draw(st.integers(0, 9)) == 0:
        parts.insert(draw(st.integers(0, len(parts))), draw(st.booleans()))
    return tuple(parts)


@st.composite
def spelt_ours(draw, key):
    """The same key with some of its arrays as lazy arrays or lists."""
    return tuple(draw(_spelt(part)) if isinstance(part, np.ndarray) else part for part in key)


@st.composite
def _spelt(draw, part):
    kind = draw(st.sampled_from(["numpy", "numpy", "lazy", "list"]))
    if kind == "lazy":
        return xp.asarray(part, chunks=draw(chunks_of(part.shape)))
    return part.tolist() if kind == "list" and part.size and part.ndim else part
