"""Arrays made of the numbers of their elements or the places of their chunks."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import asyncexec.array as xp
from tests.array.direct import run
from tests.array.strategies import chunks_of, leaves, shapes
from tests.profiles import examples


def squares(region, factor=1):
    return np.add.outer(*(np.arange(a.start, a.stop) ** 2 for a in region)) * factor


def test_a_function_of_the_place_makes_each_chunk():
    x = xp.from_blocks(squares, (5, 7), dtype=np.int64, chunks=(2, 3), factor=3)
    expected = squares((slice(0, 5), slice(0, 7)), 3)
    np.testing.assert_array_equal(run(x), expected)
    np.testing.assert_array_equal(run(x[1:, ::2] + 1), expected[1:, ::2] + 1)
    assert len((x * 2).to_plan().stages) == 1
    np.testing.assert_array_equal(x.compute(executor="processes"), expected)
    np.testing.assert_array_equal(run(pickle.loads(pickle.dumps(x))), expected)
    wrong = xp.from_blocks(squares, (5, 7), dtype=np.float64, chunks=(2, 3))
    with pytest.raises(TypeError, match="int64 for chunk"):
        run(wrong)


@settings(max_examples=examples(25))
@given(st.data())
def test_numbers_of_elements(data):
    shape = data.draw(shapes(most_dims=3))
    chunks = data.draw(chunks_of(shape))
    np.testing.assert_array_equal(run(xp.indices(shape, chunks=chunks)), np.indices(shape))
    for ours, numpys in zip(
        xp.indices(shape, sparse=True, chunks=chunks), np.indices(shape, sparse=True), strict=True
    ):
        np.testing.assert_array_equal(run(ours), numpys)
    if shape:

        def weighted(*numbers):
            return sum((k + 1) * each for k, each in enumerate(numbers))

        found = xp.fromfunction(weighted, shape, chunks=chunks)
        np.testing.assert_array_equal(run(found), np.fromfunction(weighted, shape))


@pytest.mark.parametrize("endpoint", [True, False])
@pytest.mark.parametrize("num", [0, 1, 2, 9])
def test_powers_and_quotients(num, endpoint):
    for ends in [(1, 1000), (-2.5, -0.1), (256, 1)]:
        found = run(xp.geomspace(*ends, num, endpoint=endpoint, chunks=4))
        np.testing.assert_allclose(found, np.geomspace(*ends, num, endpoint=endpoint), rtol=1e-12)
    found = run(xp.logspace(-1, 3.5, num, endpoint=endpoint, base=2, chunks=4))
    np.testing.assert_allclose(found, np.logspace(-1, 3.5, num, endpoint=endpoint, base=2))


def test_powers_that_integers_hold_are_integers():
    found = run(xp.logspace(0, 7, 8, base=-2, dtype=np.int8, chunks=3))
    np.testing.assert_array_equal(found, np.logspace(0, 7, 8, base=-2, dtype=np.int8))
    assert run(xp.geomspace(1, 100, 3, dtype=np.int8)).tolist() == [1, 10, 100]


@settings(max_examples=examples(25))
@given(st.data())
def test_diagonals_and_triangles(data):
    k = data.draw(st.integers(-4, 4))
    x, a = data.draw(leaves(shape=(data.draw(st.integers(0, 6)),)))
    np.testing.assert_array_equal(run(xp.diag(x, k=k)), np.diag(a, k))
    y, b = data.draw(leaves(shape=(4, 6)))
    if k > -4:
        np.testing.assert_array_equal(run(xp.diag(y, k=k)), np.diag(b, k))
    rows, columns = data.draw(st.integers(0, 5)), data.draw(st.integers(0, 5))
    np.testing.assert_array_equal(
        run(xp.tri(rows, columns, k=k, chunks=2)), np.tri(rows, columns, k)
    )
    np.testing.assert_array_equal(run(xp.identity(rows)), np.identity(rows))


@pytest.mark.parametrize(
    "call, error, match",
    [
        (lambda: xp.geomspace(0, 1), ValueError, "must not be 0"),
        (lambda: xp.geomspace(-1, 1), ValueError, "differ in sign"),
        (lambda: xp.logspace(0, 1, -1), ValueError, "cannot be"),
        (lambda: xp.logspace(0, 3, 4, dtype=np.uint8), OverflowError, r"1000.0 is out of range"),
        (lambda: xp.logspace(0, 8, 9, base=-2, dtype=np.int8), OverflowError, "256.0 is out of"),
        (lambda: xp.geomspace(-1, -9, 3, dtype=np.uint16), OverflowError, "uint16"),
        (lambda: xp.geomspace(1e5, 1, 3, dtype=np.int16), OverflowError, "100000.0 is out of"),
        (lambda: xp.diag(xp.ones((2, 2, 2))), ValueError, "one axis or two"),
        (lambda: xp.indices((-1,)), ValueError, "from 0"),
    ],
)
def test_what_cannot_be_is_refused(call, error, match):
    with pytest.raises(error, match=match):
        call()
