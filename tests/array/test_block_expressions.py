"""Random expressions of manipulations and functions of blocks, one on another, beside what NumPy makes of the same."""

import numpy as np
from hypothesis import given, settings, strategies as st

import asyncexec.array as xp
from tests.array.direct import run
from tests.array.strategies import OPERATIONS, leaves, reduce
from tests.profiles import examples

RULES = {"reflect": "symmetric", "nearest": "edge", "periodic": "wrap"}


def reshaped(draw, x, data):
    shape = draw(st.sampled_from([data.shape[::-1], (1, *data.shape), (data.size,)]))
    return xp.reshape(x, shape), data.reshape(shape)


def rolled(draw, x, data):
    axes = tuple(range(data.ndim))
    shifts = tuple(draw(st.integers(-3, 3)) for _ in axes)
    return (xp.roll(x, shifts, axis=axes), np.roll(data, shifts, axes)) if axes else (x, data)


def padded(draw, x, data):
    if not data.size or not data.ndim:
        return x, data
    mode = draw(st.sampled_from(["constant", "edge", "reflect", "wrap", "symmetric"]))
    widths = [(draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in data.shape]
    return xp.pad(x, widths, mode), np.pad(data, widths, mode)


def repeated(draw, x, data):
    if not data.ndim:
        return x, data
    axis = draw(st.integers(0, data.ndim - 1))
    return xp.repeat(x, 2, axis=axis), np.repeat(data, 2, axis=axis)


def windows(draw, x, data):
    if not data.ndim or not data.size:
        return x, data
    axis = draw(st.integers(0, data.ndim - 1))
    width = draw(st.integers(1, min(3, data.shape[axis])))
    return (
        xp.sliding_window_view(x, width, axis),
        np.lib.stride_tricks.sliding_window_view(data, width, axis),
    )


def both_sides(block, axis, depth):
    """The sum of the elements at ``depth`` before and after each, where there are both."""
    before = (slice(None),) * axis
    n = block.shape[axis]
    found = block.copy()
    one, other = block[(*before, slice(n - 2 * depth))], block[(*before, slice(2 * depth, n))]
    found[(*before, slice(depth, n - depth))] = one + other if depth else block
    return found


def overlapping(draw, x, data):
    if not data.ndim or not data.size or data.dtype.kind == "b":
        return x, data
    axis = draw(st.integers(0, data.ndim - 1))
    rule = draw(st.sampled_from(sorted(RULES)))
    depth = draw(st.integers(0, min(2, data.shape[axis])))
    widths = [(depth, depth) if p == axis else (0, 0) for p in range(data.ndim)]
    around = both_sides(np.pad(data, widths, RULES[rule]), axis, depth)
    key = (slice(None),) * axis + (slice(depth, depth + data.shape[axis]),)
    found = xp.map_overlap(
        lambda block: both_sides(block, axis, depth),
        x,
        depth={axis: depth},
        boundary=rule,
        dtype=data.dtype,
    )
    return found, around[key]


def of_lines(draw, x, data):
    if not data.ndim or not data.size or data.dtype.kind == "b":
        return x, data

    def added_up(block):
        return np.cumsum(block, axis=-1, dtype=data.dtype)

    found = xp.apply_gufunc(added_up, "(i)->(i)", x, allow_rechunk=True, output_dtypes=data.dtype)
    return found, added_up(data)


OURS = [reshaped, rolled, padded, repeated, windows, overlapping, of_lines]
OTHERS = [operation for operation in OPERATIONS if operation is not reduce]


@settings(max_examples=examples(60))
@given(st.data())
def test_expressions_are_what_numpy_makes_of_them(data):
    x, array = data.draw(leaves(dtypes=[np.float64, np.int64, np.int16, np.bool_]))
    for _ in range(data.draw(st.integers(2, 7))):
        operation = data.draw(st.sampled_from([*OURS, *OURS, *OTHERS]))
        with np.errstate(all="ignore"):
            y, found = operation(data.draw, x, array)
        if found.ndim <= 4 and found.size <= 1500:
            x, array = y, found
    assert (x.shape, x.dtype) == (array.shape, array.dtype)
    np.testing.assert_allclose(run(x), array, rtol=1e-6, atol=1e-6)
