"""Taking by positions: each task reads what it needs, fused with what is above and below."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

import asyncexec as ax
import asyncexec.array as xp
from tests.array.direct import run
from tests.array.strategies import DTYPES, leaves, shapes


@st.composite
def cases(draw, dtypes=DTYPES):
    """An array with an axis, and positions along it."""
    shape = draw(shapes(side=st.integers(1, 7)).filter(bool))
    x, data = draw(leaves(shape=shape, dtypes=dtypes))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    n = shape[axis]
    return x, data, np.array(draw(st.lists(st.integers(-n, n - 1), max_size=12)), int), axis


def stored(x):
    """The same array, made by a stage of its own: a function of blocks is not computed piece by piece."""
    return xp.map_blocks(np.copy, x, dtype=x.dtype)


@given(cases())
def test_taking_is_numpys(case):
    x, data, indices, axis = case
    found = xp.take(x, indices, axis=axis)
    expected = np.take(data, indices, axis=axis)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(run(found), expected)
    assert len(found.to_plan().stages) == 1


@given(cases(dtypes=[np.float64, np.int16]), st.data())
def test_it_is_fused_with_what_is_above_and_below(case, data):
    x, numbers, indices, axis = case
    by = data.draw(st.permutations(range(numbers.ndim)))
    key = tuple(data.draw(st.slices(n)) for n in numbers.shape)
    flipped = np.flip(numbers + 1, axis=axis)
    found = xp.permute_dims(xp.take(xp.flip(x + 1, axis=axis), indices, axis=axis), by) * 2
    expected = np.transpose(np.take(flipped, indices, axis=axis), by) * 2
    assert len(found.to_plan().stages) == 1
    np.testing.assert_array_equal(run(found), expected)
    np.testing.assert_array_equal(run(found[key]), expected[key])


@given(cases(dtypes=[np.int64]))
def test_it_reads_what_other_stages_make(case):
    x, data, indices, axis = case
    found = xp.take(stored(x), indices, axis=axis) + 1
    assert len(found.to_plan().stages) == 2
    np.testing.assert_array_equal(run(found), np.take(data, indices, axis=axis) + 1)
    total = xp.sum(xp.take(x, indices, axis=axis), axis=axis)
    np.testing.assert_array_equal(run(total), np.take(data, indices, axis=axis).sum(axis=axis))


@given(cases(dtypes=[np.int64]), st.data())
def test_positions_of_a_concatenation_may_lie_in_any_part(case, data):
    x, numbers, indices, axis = case
    y = np.concat([numbers, numbers + 100], axis=axis)
    both = xp.concat([x, x + 100], axis=axis)
    n = y.shape[axis]
    picked = np.array(data.draw(st.lists(st.integers(0, n - 1), max_size=9)), int)
    np.testing.assert_array_equal(
        run(xp.take(both, picked, axis=axis)), np.take(y, picked, axis=axis)
    )
    # What is within one part is read of that part alone.
    np.testing.assert_array_equal(
        run(xp.take(both, indices % numbers.shape[axis], axis=axis)),
        np.take(y, indices % numbers.shape[axis], axis=axis),
    )


def test_tasks_read_only_the_blocks_that_hold_their_elements():
    x = stored(xp.ones((1000, 4), chunks=(10, 4)))
    plan = xp.take(x, [995, 996, 3, *range(500, 510)], axis=0).to_plan()
    ((read,),) = (stage.reads for stage in plan.stages if stage.reads)
    assert [list(read.relation.reads((range(i, i + 1), range(1)))[0]) for i in (0, 1)] == [
        [0, 50, 99],
        [50],
    ]
    assert not read.relation.barrier


def test_what_comes_twice_is_not_computed_twice():
    x = xp.ones((6, 6), chunks=2)
    plan = xp.take(xp.sum(x, axis=0, keepdims=True), [0, 0, 3], axis=1).to_plan()
    assert sum(stage.tasks for stage in plan.stages if "take" in stage.operation) == 2
    assert len(plan.stages) == 3


def test_indices_may_be_a_lazy_array_a_range_or_a_list():
    x = xp.arange(10, chunks=3)
    for indices in (xp.asarray([7, 0]) + 1, [8, 1], range(8, 0, -7), np.array([8, 1], np.uint8)):
        assert xp.take(x, indices).compute().tolist() == [8, 1]
    assert x[xp.asarray([8, 1])].compute().tolist() == [8, 1]


@pytest.mark.parametrize(
    "indices, axis, error, match",
    [
        ([4], 0, IndexError, "index 4 is out of range for axis 0 with 4 elements"),
        ([0, -5], 0, IndexError, "index -5 is out of range for axis 0 with 4 elements"),
        ([0.5], 0, IndexError, "list of float64 is no index"),
        ([True], 0, IndexError, "list of bool is no index"),
        ([0], None, ValueError, r"take of 2 axes \(shape \(4, 5\)\): give an axis"),
        ([0], 2, IndexError, "axis 2"),
    ],
)
def test_what_cannot_be_taken_is_an_error_before_anything_runs(indices, axis, error, match):
    with pytest.raises(error, match=match):
        xp.take(xp.ones((4, 5)), indices, axis=axis)


def test_long_lists_count_as_memory():
    spec = ax.Spec(allowed_mem="1GB", reserved_mem="0B")
    x = xp.zeros(10**6, chunks=1000, dtype=xp.int8, spec=spec)
    plain = x[::-1]
    order = np.random.default_rng(0).permutation(10**6)
    more = xp.take(x, order).to_plan().projected_bytes - plain.to_plan().projected_bytes
    assert more >= 2 * 4 * 10**6


def test_plans_of_equal_positions_have_equal_fingerprints():
    def fingerprint(indices):
        return xp.take(xp.arange(2000, chunks=100), indices).to_plan().fingerprint

    order = np.random.default_rng(0).permutation(2000)
    other = order.copy()
    other[[1000, 1001]] = order[[1001, 1000]]
    assert fingerprint(order) == fingerprint(order.astype(np.int32)) != fingerprint(other)


@pytest.mark.parametrize("executor", ["threads", "processes"])
async def test_it_runs_on_executors(executor, tmp_path):
    data = np.arange(120.0).reshape(12, 10)
    x = xp.from_array(data, chunks=(5, 4))
    async with ax.Engine(executor, executor_options={"max_workers": 2}) as engine:
        await engine.execute(xp.store([x], [tmp_path / "x.zarr"]))
        y = xp.take(xp.from_zarr(tmp_path / "x.zarr"), [11, 3, 3, -2], axis=0) * 2
        result = await engine.execute(y)
    np.testing.assert_array_equal(result.value, data[[11, 3, 3, -2]] * 2)


def test_a_small_table_looked_up_many_times_makes_chunks_of_a_usual_size():
    x = xp.asarray(np.arange(10.0))
    found = xp.take(x, np.zeros(3_000_000, int))
    assert found.numblocks[0] < 10
    assert found.to_plan().projected_bytes < x.spec.allowed_bytes
