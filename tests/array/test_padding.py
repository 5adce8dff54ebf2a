"""Padding in every mode of NumPy's."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import asyncexec.array as xp
from tests.array.direct import run
from tests.array.strategies import leaves, shapes
from tests.profiles import examples

MODES = [
    "constant",
    "edge",
    "linear_ramp",
    "maximum",
    "mean",
    "median",
    "minimum",
    "reflect",
    "symmetric",
    "wrap",
]


@settings(max_examples=examples(80))
@given(st.data())
def test_every_mode_is_that_of_numpy(data):
    shape = data.draw(shapes(most_dims=3, side=st.integers(1, 5)))
    mode = data.draw(st.sampled_from(MODES))
    dtypes = [np.float64, np.int16, np.int64, np.bool_] if mode != "linear_ramp" else [np.float64]
    if mode in ("maximum", "minimum"):
        dtypes = dtypes[:3]
    x, a = data.draw(leaves(shape=shape, dtypes=dtypes))
    widths = [(data.draw(st.integers(0, 7)), data.draw(st.integers(0, 7))) for _ in shape]
    options = {}
    if mode in ("maximum", "mean", "median", "minimum") and data.draw(st.booleans()):
        options["stat_length"] = data.draw(st.integers(1, 4))
    if mode == "constant":
        options["constant_values"] = [(1, 0)] * max(len(shape), 1)
    if mode == "linear_ramp":
        options["end_values"] = 3.0
    found = xp.pad(x, widths or 0, mode, **options)
    expected = np.pad(a, widths, mode, **options) if shape else a
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(run(found), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("width", [2, (1, 2), ((1, 2),), ((1, 2), (0, 3)), {1: 2}, {-1: (0, 3)}])
def test_widths_in_every_form(width):
    a = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(run(xp.pad(xp.asarray(a, chunks=2), width)), np.pad(a, width))


def test_no_elements_are_padded_with_values_alone():
    np.testing.assert_array_equal(run(xp.pad(xp.ones((0, 2)), 1)), np.zeros((2, 4)))
    assert xp.pad(xp.ones(3), 1, "empty").shape == (5,)
    with pytest.raises(ValueError, match="no elements to pad it with"):
        xp.pad(xp.ones((0, 2)), 1, "edge")


def test_padding_reads_each_part_once_and_stores_nothing():
    x = xp.map_blocks(np.negative, xp.ones((40, 40, 40), chunks=10), dtype=float)
    for mode in ("constant", "reflect", "wrap", "edge"):
        padded = xp.pad(xp.asarray(np.ones((40, 40, 40)), chunks=10), 3, mode) + 1
        assert len(padded.to_plan().stages) == 1
        assert len(xp.pad(x, 3, mode).to_plan().stages) <= 2


@pytest.mark.parametrize(
    "call, error, match",
    [
        (lambda x: xp.pad(x, -1), ValueError, "negative"),
        (lambda x: xp.pad(x, 1, "odd"), ValueError, "mode 'odd' is none of"),
        (lambda x: xp.pad(x, ((1, 1),) * 3), ValueError, "each of the 2 axes"),
        (lambda x: xp.pad(x, 1.5), TypeError, "integer"),
        (lambda x: xp.pad(x, 1, "reflect", reflect_type="odd"), ValueError, "'even'"),
        (lambda x: xp.pad(x, 1, "mean", stat_length=0), ValueError, "at least 1"),
        (lambda x: xp.pad(xp.astype(x, xp.int8), 1, constant_values=300), OverflowError, "300"),
    ],
)
def test_what_cannot_be_is_refused(call, error, match):
    with pytest.raises(error, match=match):
        call(xp.ones((4, 4), chunks=3))


def test_padding_on_executors():
    a = np.arange(20.0).reshape(4, 5)
    x = xp.asarray(a, chunks=(3, 2))
    for executor in ("threads", "processes"):
        found = xp.pad(x, ((2, 1), (0, 6)), "reflect").compute(executor=executor)
        np.testing.assert_array_equal(found, np.pad(a, ((2, 1), (0, 6)), "reflect"))
