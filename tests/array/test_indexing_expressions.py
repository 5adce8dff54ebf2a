"""Arrays of integers, masks and assignments among other operations."""

import numpy as np
from hypothesis import given, settings, strategies as st

import asyncexec.array as xp
from tests.array.direct import run
from tests.array.index_strategies import any_keys, numbers
from tests.array.strategies import chunks_of, expressions, values
from tests.profiles import examples


def keys_that_fit(draw, data):
    """A key, and what NumPy selects by it; None where drawn arrays do not fit together."""
    key = draw(any_keys(data.shape))
    try:
        found = np.asarray(data[key])
    except IndexError:
        return None
    return (key, found) if found.ndim <= 4 else None


def indexed(draw, x, data):
    found = keys_that_fit(draw, data) if data.ndim <= 3 else None
    return (x, data) if found is None else (x[found[0]], found[1])


def assigned(draw, x, data):
    found = keys_that_fit(draw, data) if data.ndim <= 3 else None
    if found is None:
        return x, data
    key, shown = found
    ours, numpys = x[...], np.array(data)
    value = values(shown.shape, data.dtype, draw(st.integers(0, 99)))
    ours[key] = xp.asarray(value, chunks=draw(chunks_of(value.shape)))
    numpys[key] = value
    return ours, numpys


def assigned_where(draw, x, data):
    if data.dtype.kind == "c":
        return x, data
    ours, numpys = x[...], np.array(data)
    ours[x != 0] = True
    numpys[data != 0] = True
    return ours, numpys


def taken_along(draw, x, data):
    if not data.ndim or 0 in data.shape:
        return x, data
    axis = draw(st.integers(0, data.ndim - 1))
    lines = draw(numbers(data.shape[axis], data.shape))
    own = xp.asarray(lines, chunks=draw(chunks_of(lines.shape)))
    return xp.take_along_axis(x, own, axis=axis), np.take_along_axis(data, lines, axis=axis)


INDEXING = [indexed, assigned, assigned_where, taken_along] * 3


@settings(max_examples=examples(40))
@given(expressions(more=INDEXING))
def test_they_go_together_with_all_others(expression):
    x, data = expression
    assert (x.shape, x.dtype) == (data.shape, data.dtype)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(run(x), data, rtol=1e-5, atol=1e-5)
