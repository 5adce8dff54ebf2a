"""Selection by masks is NumPy's, whether the mask is looked at as a whole or counted chunk by chunk."""

import asyncio
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import asyncexec.array as xp
from asyncexec.array import index_keys
from asyncexec.errors import RunningLoopError
from tests.array.direct import run
from tests.array.index_strategies import masks
from tests.array.strategies import DTYPES, chunks_of, leaves, shapes, values


@pytest.fixture
def counted(monkeypatch):
    """Masks of more than two elements are large ones."""
    monkeypatch.setattr(index_keys, "MOST_LISTED", 2)


def some(*, examples):
    return settings(
        max_examples=examples, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )


@st.composite
def masked(draw, dtypes=DTYPES):
    """An array, a mask of some of its axes, and the first of these axes."""
    shape = draw(shapes(side=st.integers(0, 5)).filter(bool))
    x, data = draw(leaves(shape=shape, dtypes=dtypes))
    axis = draw(st.integers(0, len(shape) - 1))
    width = draw(st.integers(1, len(shape) - axis))
    mask = draw(masks(shape[axis : axis + width]))
    return x, data, mask, axis


def lazily(draw, mask):
    return xp.asarray(mask, chunks=draw(chunks_of(mask.shape)))


def same(found, expected):
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(run(found), expected)


@some(examples=40)
@given(masked(), st.data())
def test_large_masks_select_what_they_select_in_numpy(counted, case, data):
    x, array, mask, axis = case
    key = (slice(None),) * axis
    expected = array[(*key, mask)]
    same(x[(*key, data.draw(st.sampled_from([mask, lazily(data.draw, mask)])))], expected)


@some(examples=20)
@given(masked(), st.data())
def test_small_masks_select_what_they_select_in_numpy(case, data):
    x, array, mask, axis = case
    key = (slice(None),) * axis
    same(x[(*key, lazily(data.draw, mask))], array[(*key, mask)])


@some(examples=20)
@given(masked(), st.data())
def test_integers_and_slices_may_stand_beside_a_large_mask(counted, case, data):
    x, array, mask, axis = case
    before = [data.draw(st.slices(n)) for n in array.shape[:axis]]
    after = [
        data.draw(st.integers(0, n - 1)) if n and data.draw(st.booleans()) else slice(None)
        for n in array.shape[axis + mask.ndim :]
    ]
    key = (*before, mask, *after)
    same(x[key], array[key])


def test_what_a_condition_selects_of_its_own_array_needs_no_rechunking(counted):
    array = values((40, 30), np.float64, 0)
    x = xp.asarray(array, chunks=(7, 9))
    same(x[x > 0], array[array > 0])
    same((x * 2)[(x > 0) & (x < 1)], (array * 2)[(array > 0) & (array < 1)])


def test_what_is_selected_of_a_chunk_is_a_chunk(counted):
    x = xp.arange(10_000, chunks=1000)
    found = x[x % 10 == 0]
    assert (found.shape, found.chunks) == ((1000,), (100,))
    assert len(found.to_plan().stages) == 1
    found = x[(x < 1100) | (x >= 3000)]
    assert (found.shape, found.chunksizes) == ((8100,), ((1000, 100) + (1000,) * 7,))


def test_little_that_is_selected_of_many_chunks_is_put_together(counted):
    x = xp.arange(10_000, chunks=1000)
    found = x[x % 100 == 0]
    assert (found.shape, found.chunks) == ((100,), (100,))
    assert len(found.to_plan().stages) == 2


def test_a_mask_in_memory_is_counted_without_a_run(counted, monkeypatch):
    x = xp.asarray(np.arange(12), chunks=5)
    monkeypatch.setattr("asyncexec.array.array.run", None)
    same(x[np.arange(12) % 5 == 1], np.array([1, 6, 11]))


@some(examples=30)
@given(st.data())
def test_nonzero_and_its_kin_are_numpys(data):
    x, array = data.draw(leaves(shape=data.draw(shapes(side=st.integers(0, 5)).filter(bool))))
    mask = data.draw(masks(array.shape))
    x, array = (
        xp.where(mask, x, xp.zeros((), dtype=x.dtype)),
        np.where(mask, array, array.dtype.type(0)),
    )
    found, expected = xp.nonzero(x), np.nonzero(array)
    assert len(found) == len(expected)
    for own, numpys in zip(found, expected, strict=True):
        same(own, numpys)
    same(xp.argwhere(x), np.argwhere(array))
    same(xp.flatnonzero(x), np.flatnonzero(array))


def test_times_and_text_have_places_too():
    for array in (
        np.array(["1970-01-01", "2000-01-01", "NaT"], "M8[D]"),
        np.array([0, 3, 0], "m8[s]"),
        np.array(["", "a", "b"]),
        np.array([0.0, np.nan, -0.0]),
    ):
        same(xp.flatnonzero(xp.asarray(array, chunks=2)), np.flatnonzero(array))


def test_an_array_without_axes_has_no_places():
    with pytest.raises(ValueError, match="nonzero of an array without axes"):
        xp.nonzero(xp.asarray(1))
    for value in (0, 3):
        same(xp.argwhere(xp.asarray(value)), np.argwhere(value))
        same(xp.flatnonzero(xp.asarray(value)), np.flatnonzero(value))


@some(examples=25)
@given(masked(dtypes=[np.int64, np.float32]), st.data())
def test_compressing_and_extracting_are_numpys(case, data):
    x, array, _, axis = case
    along = data.draw(masks((data.draw(st.integers(0, array.shape[axis])),)))
    same(xp.compress(along, x, axis=axis), np.compress(along, array, axis=axis))
    mask = data.draw(masks(array.shape))
    same(xp.extract(lazily(data.draw, mask), x), np.extract(mask, array))
    if array.size:
        same(xp.compress(mask.ravel(), x), np.compress(mask.ravel(), array))


@pytest.mark.parametrize(
    "make, match",
    [
        (lambda x: xp.compress([True] * 4, x, axis=1), r"at most 3 .* not one of shape \(4,\)"),
        (lambda x: xp.compress([[True]], x, axis=1), r"along one axis"),
        (lambda x: xp.extract(np.ones(4, bool), x), r"as many elements as the array, 6 .* not 4"),
    ],
)
def test_conditions_that_do_not_fit_are_an_error(make, match):
    with pytest.raises(ValueError, match=match):
        make(xp.ones((2, 3)))


async def test_in_a_coroutine_the_error_names_what_to_write_instead():
    x = xp.arange(4)
    with pytest.raises(RunningLoopError, match=r"await asyncio.to_thread\(lambda: x\[key\]\)"):
        x[x > 1]
    with pytest.raises(RunningLoopError, match=r"x.__setitem__, key, value"):
        x[x > 1] = np.ones(2, int)
    x[x > 1] = 9
    found = await asyncio.to_thread(lambda: x[x > 1])
    same(found, np.array([9, 9]))


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_selections_run_on_executors(counted, executor):
    array = values((20, 6, 4), np.float64, 1)
    x = xp.asarray(array, chunks=(7, 4, 3))
    np.testing.assert_array_equal(x[x > 0].compute(executor=executor), array[array > 0])


def test_planning_a_selection_of_a_million_chunks_takes_a_few_stages(counted):
    n = 1_000_000
    mask = np.zeros(n, bool)
    mask[::3] = True
    found = xp.zeros(n, chunks=1)[mask]
    assert found.shape == (math.ceil(n / 3),)
    assert len(found.to_plan().stages) == 2
