"""Assignment gives an array another expression, with NumPy's values; nothing else changes."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import asyncexec.array as xp
from asyncexec.array import index_keys, point_assignment
from tests.array.direct import run
from tests.array.index_strategies import any_keys, masks, numbers, spelt_ours
from tests.array.strategies import chunks_of, keys, leaves, shapes, values


def some(*, examples):
    return settings(
        max_examples=examples, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )


@st.composite
def values_for(draw, shape, dtype):
    """A value that broadcasts to `shape`: a lazy array or NumPy array or scalar, and what NumPy assigns."""
    own = tuple(n if draw(st.integers(0, 2)) else 1 for n in shape)
    own = own[draw(st.integers(0, len(own))) :] if draw(st.booleans()) else own
    found = -1 - np.arange(math.prod(own)).reshape(own).astype(dtype)
    kind = draw(st.sampled_from(["lazy", "lazy", "numpy", "scalar"]))
    if kind == "scalar":
        return 77, 77
    if kind == "numpy":
        return found, found
    return xp.asarray(found, chunks=draw(chunks_of(own))), found


def counting(shape):
    return np.arange(math.prod(shape)).reshape(shape)


def same(found, expected):
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(run(found), expected)


def assign(draw, x, array, key, our_key):
    before = array.copy()
    old, chunks = x[...], x.chunks
    ours, numpys = draw(values_for(array[key].shape, array.dtype))
    array[key] = numpys
    x[our_key] = ours
    assert x.chunks == chunks
    same(x, array)
    same(old, before)


@some(examples=30)
@given(st.data())
def test_any_basic_key_is_assigned_to(data):
    shape = data.draw(shapes())
    array, key = counting(shape), data.draw(keys(shape))
    x = xp.asarray(array, chunks=data.draw(chunks_of(shape)))
    assign(data.draw, x, array, key, key)


@some(examples=30)
@given(st.data())
def test_any_key_is_assigned_to(data):
    shape = data.draw(shapes(side=st.integers(0, 5)))
    array, key = counting(shape), data.draw(any_keys(shape))
    x = xp.asarray(array, chunks=data.draw(chunks_of(shape)))
    try:
        if array[key].ndim > 6:
            return
    except IndexError:
        with pytest.raises(IndexError):
            x[key] = 0
        return
    assign(data.draw, x, array, key, data.draw(spelt_ours(key)))


@some(examples=30)
@given(st.data())
def test_masks_are_assigned_to_also_if_they_are_counted_by_chunks(monkeypatch, data):
    monkeypatch.setattr(index_keys, "MOST_LISTED", data.draw(st.sampled_from([1, 10**6])))
    shape = data.draw(shapes(side=st.integers(0, 5)).filter(bool))
    array = counting(shape)
    x = xp.asarray(array, chunks=data.draw(chunks_of(shape)))
    axis = data.draw(st.integers(0, len(shape) - 1))
    mask = data.draw(masks(shape[axis : data.draw(st.integers(axis + 1, len(shape)))]))
    lazily = xp.asarray(mask, chunks=data.draw(chunks_of(mask.shape)))
    lead = (slice(None),) * axis
    ours = data.draw(st.sampled_from([mask, lazily]))
    assign(data.draw, x, array, (*lead, mask), (*lead, ours))


@some(examples=30)
@given(st.data())
def test_many_values_stand_behind_the_array(monkeypatch, data):
    monkeypatch.setattr(point_assignment, "_SHARE", 10**12)
    shape = data.draw(st.tuples(*[st.integers(1, 5)] * 3))
    array = counting(shape)
    axes = data.draw(st.sampled_from([(0,), (1,), (0, 2), (0, 1, 2)]))
    count = data.draw(st.integers(1, 6))
    key = tuple(
        data.draw(numbers(n, (count,))) if a in axes else data.draw(st.slices(n))
        for a, n in enumerate(shape)
    )
    x = xp.asarray(array, chunks=data.draw(chunks_of(shape)))
    assign(data.draw, x, array, key, key)


@some(examples=30)
@given(leaves(dtypes=[np.int64, np.float32, np.bool_]), st.data())
def test_assignments_are_fused_with_what_is_above_and_below(case, data):
    x, array = case
    x, array = x + x, np.asarray(array + array)
    for _ in range(2):
        key = data.draw(keys(array.shape))
        ours, numpys = data.draw(values_for(array[key].shape, array.dtype))
        if array.dtype.kind == "b":
            ours = numpys = True
        x[key], array[key] = ours, numpys
    view = data.draw(keys(array.shape))
    same((x * x)[view], np.asarray((array * array)[view]))


@pytest.mark.parametrize("dtype", ["uint8", "bool", "<U2", "datetime64[D]", "float32"])
def test_no_values_are_of_any_kind(dtype):
    x = xp.zeros(4, dtype=dtype, chunks=2)
    x[[]] = []
    x[2:2] = ()
    x[xp.zeros(4, dtype=xp.bool)] = []
    np.testing.assert_array_equal(run(x), np.zeros(4, dtype))


def test_new_axes_of_values_may_be_too_many():
    x = xp.zeros((2, 3))
    x[1] = np.ones((1, 1, 3))
    x[xp.asarray([True, False])] = np.full((1, 1, 3), 2.0)
    same(x, np.array([[2.0] * 3, [1.0] * 3]))


def test_a_loop_of_assignments_is_one_expression():
    x = xp.zeros((6, 4), chunks=(4, 2))
    expected = np.zeros((6, 4))
    for i in range(6):
        x[i, ::2] = i
        expected[i, ::2] = i
    assert len(x.to_plan().stages) == 1
    same(x, expected)


def test_a_loop_over_rows_is_one_stage():
    x, y = xp.zeros((30, 4), chunks=(8, 2)), xp.asarray(counting((30, 4)), chunks=(7, 3))
    for i in range(29):
        x[i] = y[i] * 2
    x[5] = 1
    assert len(x.to_plan().stages) == 1
    expected = counting((30, 4)) * 2.0
    expected[29], expected[5] = 0, 1
    same(x, expected)


def test_rows_that_follow_from_each_other():
    x, array = xp.ones((12, 4), chunks=(5, 2)), np.ones((12, 4))
    for i in range(1, 12):
        x[i] = x[i - 1] * 2 + 1
        array[i] = array[i - 1] * 2 + 1
    assert len(x.to_plan().stages) <= 12
    same(x, array)


def test_an_assignment_to_a_part_reads_the_values_where_they_go():
    x = xp.zeros((1000, 10), chunks=(10, 10))
    y = xp.map_blocks(np.negative, xp.ones((20, 10), chunks=(10, 10)))
    x[505:525] = y
    plan = x.to_plan()
    (read,) = plan.stages[-1].reads
    touched = [bool(read.relation.reads((range(i, i + 1), range(1)))[0]) for i in range(100)]
    assert [i for i, any_ in enumerate(touched) if any_] == [50, 51, 52]


def test_other_names_of_the_array_see_the_assignment_and_what_was_made_of_it_does_not():
    x = xp.arange(4, chunks=2)
    same_array, made = x, x + 0
    x[0] = 9
    same(same_array, np.array([9, 1, 2, 3]))
    same(made, np.arange(4))


def test_operators_in_place_work_on_parts():
    x = xp.asarray(counting((4, 5)), chunks=2)
    array = counting((4, 5))
    x[1:3] += 10
    x[:, [0, 2]] *= 2
    x[x > 20] -= 5
    array[1:3] += 10
    array[:, [0, 2]] *= 2
    array[array > 20] -= 5
    same(x, array)


@pytest.mark.parametrize(
    "dtype, value, error, match",
    [
        (np.int64, 1.5, TypeError, "another kind"),
        (np.float64, 1j, TypeError, "another kind"),
        (np.bool_, 1, TypeError, "another kind"),
        (np.int8, 300, OverflowError, "out of range for int8"),
        (np.int8, [1, 300], OverflowError, "300"),
        (np.int64, np.ones(3), TypeError, r"values of float64 .* astype\('int64'\)"),
        (np.int64, [0.5, 1, 2], TypeError, "another kind"),
        (np.float64, "text", TypeError, "values of <U4"),
        (
            np.float64,
            np.ones(4),
            ValueError,
            r"\(4,\) cannot be assigned to elements of shape \(2, 3\)",
        ),
        (np.float64, np.ones((2, 2, 3)), ValueError, "does not broadcast"),
        (np.float64, np.ma.masked_equal([1.0, 2, 3], 2), TypeError, "masked"),
    ],
)
def test_values_that_do_not_fit_are_an_error_at_once(dtype, value, error, match):
    x = xp.zeros((2, 3), dtype=dtype)
    with pytest.raises(error, match=match):
        x[...] = value


@pytest.mark.parametrize(
    "dtype, value",
    [
        (np.float32, np.float64(0.5)),
        (np.float64, 3),
        (np.int8, np.ones(3, np.int64)),
        (np.complex128, [1, 2j, 0.5]),
        (np.uint8, [1, 2, 255]),
        (np.bool_, [True, False, True]),
        ("M8[s]", np.datetime64("2000-01-01")),
    ],
)
def test_values_become_the_type_of_the_array(dtype, value):
    array = np.zeros((2, 3), dtype)
    x = xp.asarray(array)
    array[...] = value
    x[...] = value
    same(x, array)


def test_several_masks_and_keys_that_do_not_fit_are_errors():
    x = xp.zeros((2, 3))
    with pytest.raises(IndexError, match="out of range"):
        x[5] = 1
    with pytest.raises(IndexError, match="does not fit"):
        x[np.ones((3, 2), bool)] = 1
    with pytest.raises(ValueError, match=r"a value of shape \(5,\)"):
        x[x == 0] = np.ones(5)


def test_planning_assignments_to_a_million_chunks_takes_a_few_stages():
    x = xp.zeros((1000, 1000), chunks=1)
    x[::2] = 1
    x[np.arange(0, 1000, 3), np.arange(334)] = 5
    x[x > 1] = 0
    assert len(x.to_plan().stages) <= 2


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_assignments_run_on_executors(executor):
    array = values((20, 6), np.float64, 1)
    x = xp.asarray(array, chunks=(7, 4))
    x[x < 0] = 0.0
    x[3::4, 1] = xp.arange(5.0, chunks=2)
    x[[0, 19, 0], [5, 5, 5]] = [1.0, 2.0, 3.0]
    array = array.copy()
    array[array < 0] = 0.0
    array[3::4, 1] = np.arange(5.0)
    array[[0, 19, 0], [5, 5, 5]] = [1.0, 2.0, 3.0]
    np.testing.assert_array_equal(x.compute(executor=executor), array)
